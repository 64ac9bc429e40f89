//! One public key in PEM (RFC 7468).

use base64ct::{Base64, Encoding as _};

use super::key::KeyError;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The DER of the one block that the text consists of.
pub(super) fn public_key(text: &str) -> Result<Vec<u8>, KeyError> {
    if text.contains("PRIVATE KEY-----") {
        return Err(KeyError::Private);
    }
    let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(KeyError::Form)?;
    let body: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    Base64::decode_vec(&body).map_err(|_| KeyError::Form)
}
