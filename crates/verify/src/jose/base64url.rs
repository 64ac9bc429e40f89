//! Strict base64url (RFC 4648 section 5) without padding: each byte string has exactly one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Whether every byte belongs to the alphabet. Padding does not.
pub(crate) fn is_alphabet(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The bytes, or nothing when the text is not their one spelling: bits after the last byte have to be zero. What tokens
/// and public keys say is no secret to whoever can measure how long this takes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The same into a place that has room for at least as many bytes as the text; how many there are.
pub(crate) fn decode_into(text: &str, place: &mut [u8]) -> Option<usize> {
    URL_SAFE_NO_PAD.decode_slice(text, place).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_other_spellings() {
        assert_eq!(decode("Zg"), Some(b"f".to_vec()));
        // The same byte with other trailing bits, padded, in the standard alphabet, with white space.
        for other in ["Zh", "Zv", "Zg==", "Zg=", "Z g", "Zg\n", " Zg", "Z", "Zg.", "ZZZZZ"] {
            assert_eq!(decode(other), None, "{other}");
        }
        assert_eq!(decode("--__"), Some(vec![0xfb, 0xef, 0xff]));
        assert_eq!(decode("++//"), None);
    }

    proptest! {
        #[test]
        fn one_spelling_for_each_byte_string(text in "[A-Za-z0-9_-]{0,12}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), text);
            }
        }
    }
}
