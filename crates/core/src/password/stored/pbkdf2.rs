//! PBKDF2 (RFC 8018) with HMAC of SHA-1, SHA-256 or SHA-512, in the forms of PHC, passlib and Django.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, Algorithm};

use super::{HashError, phc};

const KIND: &str = "PBKDF2";
/// About a second.
const MAX_ITERATIONS: u32 = 3_000_000;

#[derive(Clone)]
pub(super) struct Pbkdf2 {
    algorithm: Algorithm,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl std::fmt::Debug for Pbkdf2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pbkdf2").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Pbkdf2 {
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        let malformed = |problem| HashError::malformed(KIND, problem);
        let parts: Vec<&str> = text.split('$').collect();
        let (kind, costs, salt, output) = match parts.as_slice() {
            ["", kind, costs, salt, output] => (*kind, *costs, phc::bytes(salt), *output),
            // Django's salt is used as it stands.
            [kind, costs, salt, output] => (*kind, *costs, Some(salt.as_bytes().to_vec()), *output),
            _ => return Err(malformed("its parts are not kind, iterations, salt and hash")),
        };
        let algorithm = match kind {
            "pbkdf2" | "pbkdf2-sha1" | "pbkdf2_sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
            "pbkdf2-sha256" | "pbkdf2_sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
            "pbkdf2-sha512" | "pbkdf2_sha512" => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => return Err(malformed("its digest is none of sha1, sha256 and sha512")),
        };
        let (salt, output) = phc::salt_and_output(KIND, salt, output)?;
        let length = u32::try_from(output.len()).ok();
        let iterations = match phc::parameters(costs, ["i", "l"]) {
            Some([_, named]) if Some(named) != length => return Err(malformed("it is not as long as its l says")),
            Some([iterations, _]) => Some(iterations),
            None => phc::parameters(costs, ["i"]).map(|[iterations]| iterations).or_else(|| phc::number(costs)),
        };
        let iterations = iterations.and_then(NonZeroU32::new).ok_or(malformed("its iterations are no number"))?;
        Ok(Self { algorithm, iterations, salt, output })
    }

    pub(super) fn expect_bounded(&self) -> Result<(), HashError> {
        HashError::unless_within("its iterations", self.iterations.get().into(), MAX_ITERATIONS.into())
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        pbkdf2::verify(self.algorithm, self.iterations, &self.salt, password, &self.output).is_ok()
    }
}
