//! argon2 in all three variants (RFC 9106), in PHC form.

use std::cell::RefCell;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{HashError, phc};

const KIND: &str = "argon2";
/// KiB: 256 MiB.
const MAX_MEMORY: u32 = 256 * 1024;
/// KiB filled, all passes together: about a second.
const MAX_WORK: u64 = 1024 * 1024;

thread_local! {
    /// What argon2 fills, kept from one password to the next: to have it from the system each time is a fifth of the work.
    static MEMORY: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}
/// More is not kept; of 1 KiB.
const KEPT_BLOCKS: usize = 64 * 1024;

fn with_memory<T>(blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
    MEMORY.with_borrow_mut(|memory| {
        memory.resize(blocks, Block::default());
        let done = work(memory);
        if blocks > KEPT_BLOCKS {
            *memory = Vec::new();
        }
        done
    })
}

/// Frees what this thread keeps, when there is nothing more to check for now.
pub(in crate::password) fn free_memory() {
    MEMORY.take();
}

#[derive(Debug, Clone)]
pub(super) struct Argon {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Argon {
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        let malformed = |problem| HashError::malformed(KIND, problem);
        let mut parts = text.split('$');
        let (before, kind) = (parts.next(), parts.next().unwrap_or_default());
        let algorithm = Algorithm::new(kind).map_err(|_| malformed("it does not begin with its variant"))?;
        let mut next = parts.next().unwrap_or_default();
        // Hashes from before there was a second version do not name theirs.
        let mut version = Version::V0x10;
        if let Some(named) = next.strip_prefix("v=") {
            version = match named {
                "16" => Version::V0x10,
                "19" => Version::V0x13,
                _ => return Err(malformed("its version is neither 16 nor 19")),
            };
            next = parts.next().unwrap_or_default();
        }
        let [memory, passes, lanes] =
            phc::parameters(next, ["m", "t", "p"]).ok_or(malformed("its parameters are not m=…,t=…,p=…"))?;
        let (Some(""), Some(salt), Some(output), None) = (before, parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("its parts are not kind, version, parameters, salt and hash"));
        };
        let (salt, output) = phc::salt_and_output(KIND, phc::bytes(salt), output)?;
        if salt.len() < argon2::MIN_SALT_LEN {
            return Err(malformed("the salt is shorter than 8 bytes"));
        }
        let params = Params::new(memory, passes, lanes, Some(output.len()))
            .map_err(|_| malformed("its parameters are not possible"))?;
        Ok(Self { algorithm, version, params, salt, output })
    }

    pub(super) fn expect_bounded(&self) -> Result<(), HashError> {
        let (memory, passes) = (self.params.m_cost(), u64::from(self.params.t_cost()));
        HashError::unless_within("m", memory.into(), MAX_MEMORY.into())?;
        HashError::unless_within("m times t", u64::from(memory).saturating_mul(passes), MAX_WORK)
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        let is_done = with_memory(self.params.block_count(), |memory| {
            argon2.hash_password_into_with_memory(password, &self.salt, &mut output, memory).is_ok()
        });
        is_done && output.ct_eq(&self.output).into()
    }

    pub(super) fn is_like_ours(&self) -> bool {
        self.algorithm == Algorithm::Argon2id && self.version == Version::V0x13
    }

    pub(super) fn has(&self, params: &Params) -> bool {
        let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        costs(&self.params) == costs(params) && self.output.len() == Params::DEFAULT_OUTPUT_LEN
    }
}
