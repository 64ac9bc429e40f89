//! Randomness of the operating system.

use base64ct::{Base64UrlUnpadded, Encoding};

/// The system has no randomness to give; nothing can be done without.
#[derive(Debug, thiserror::Error)]
#[error("the system's random generator failed")]
pub(crate) struct NoRandomness;

/// Unpredictable bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// 128 random bits as text.
pub(crate) fn id() -> Result<String, NoRandomness> {
    bytes::<16>().map(|bytes| Base64UrlUnpadded::encode_string(&bytes))
}
