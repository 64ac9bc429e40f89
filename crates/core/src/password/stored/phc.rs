//! Reading `$kind$parameters$salt$hash` and forms near it.

use base64ct::{Base64Unpadded, Encoding as _};

use super::HashError;

/// A number by itself or of a parameter: decimal digits without a zero before them.
pub(super) fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// The values of `a=1,b=2`, which has exactly these names and in this order.
pub(super) fn parameters<const N: usize>(text: &str, names: [&str; N]) -> Option<[u32; N]> {
    let mut values = [0; N];
    let mut parts = text.split(',');
    for (value, name) in values.iter_mut().zip(names) {
        *value = number(parts.next()?.strip_prefix(name)?.strip_prefix('=')?)?;
    }
    parts.next().is_none().then_some(values)
}

/// Base64 without padding; passlib writes `.` for `+`, and Django pads.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let plain = text.trim_end_matches('=').replace('.', "+");
    Base64Unpadded::decode_vec(&plain).ok()
}

/// The lengths that salts and outputs of any kind have.
const SALT_BYTES: std::ops::RangeInclusive<usize> = 1..=256;
const OUTPUT_BYTES: std::ops::RangeInclusive<usize> = 12..=64;

/// A salt and what came out, of lengths that make sense.
pub(super) fn salt_and_output(
    kind: &'static str,
    salt: Option<Vec<u8>>,
    output: &str,
) -> Result<(Vec<u8>, Vec<u8>), HashError> {
    let salt = salt.filter(|salt| SALT_BYTES.contains(&salt.len()));
    let salt = salt.ok_or(HashError::malformed(kind, "the salt is no base64 of 1 to 256 bytes"))?;
    let output = bytes(output).filter(|output| OUTPUT_BYTES.contains(&output.len()));
    let output = output.ok_or(HashError::malformed(kind, "its last part is no base64 of 12 to 64 bytes"))?;
    Ok((salt, output))
}
