//! scrypt (RFC 7914), in PHC form as passlib and others write it.

use ::scrypt::Params;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{HashError, phc};

const KIND: &str = "scrypt";
/// Bytes of one table, `128 · N · r`.
const MAX_MEMORY: u64 = 256 * 1024 * 1024;
/// Bytes filled, all `p` tables together.
const MAX_WORK: u64 = 2 * MAX_MEMORY;

#[derive(Debug, Clone)]
pub(super) struct Scrypt {
    params: Params,
    /// `N`, `r` and `p`.
    costs: [u64; 3],
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Scrypt {
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        let malformed = |problem| HashError::malformed(KIND, problem);
        let parts: Vec<&str> = text.split('$').collect();
        let ["", _, parameters, salt, output] = parts.as_slice() else {
            return Err(malformed("its parts are not kind, parameters, salt and hash"));
        };
        let [log_n, r, p] =
            phc::parameters(parameters, ["ln", "r", "p"]).ok_or(malformed("its parameters are not ln=…,r=…,p=…"))?;
        let impossible = malformed("its parameters are not possible");
        // Below these bounds nothing in the library can overflow; what costs too much is far below them.
        if !(1..=40).contains(&log_n) || !(1..=1 << 14).contains(&r) || !(1..=1 << 14).contains(&p) {
            return Err(impossible);
        }
        let params = u8::try_from(log_n).ok().and_then(|log_n| Params::new(log_n, r, p).ok()).ok_or(impossible)?;
        let (salt, output) = phc::salt_and_output(KIND, phc::bytes(salt), output)?;
        Ok(Self { params, costs: [1 << log_n, r.into(), p.into()], salt, output })
    }

    pub(super) fn expect_bounded(&self) -> Result<(), HashError> {
        let [n, r, p] = self.costs;
        let memory = 128 * n * r;
        HashError::unless_within("its memory in bytes", memory, MAX_MEMORY)?;
        HashError::unless_within("its work in bytes", memory.saturating_mul(p), MAX_WORK)
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        let is_done = ::scrypt::scrypt(password, &self.salt, &self.params, &mut output).is_ok();
        is_done && output.ct_eq(&self.output).into()
    }
}
