//! bcrypt, which looks at the first 72 bytes of a password and at no more.

use super::HashError;

const KIND: &str = "bcrypt";
/// 2¹⁴ rounds: about a second.
const MAX_COST: u32 = 14;

#[derive(Debug, Clone)]
pub(super) struct Bcrypt {
    text: String,
    cost: u32,
}

impl Bcrypt {
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        let parts = text.parse::<::bcrypt::HashParts>();
        let parts = parts.map_err(|_| HashError::malformed(KIND, "it is not $2b$COST$ and 53 characters"))?;
        if !(4..=31).contains(&parts.get_cost()) {
            return Err(HashError::malformed(KIND, "its cost is not from 04 to 31"));
        }
        Ok(Self { text: text.to_owned(), cost: parts.get_cost() })
    }

    pub(super) fn expect_bounded(&self) -> Result<(), HashError> {
        HashError::unless_within("its cost", self.cost.into(), MAX_COST.into())
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        ::bcrypt::verify(password, &self.text).unwrap_or(false)
    }
}
