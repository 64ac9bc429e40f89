//! Optimistic concurrency: a change is made to what its author saw, or not at all.

/// Which version of a thing a change is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is by now, also if it is not there.
    Anything,
    /// Whatever it is by now, if it is there.
    Existing,
    /// One of these.
    OneOf(Vec<u64>),
}

impl Expected {
    /// Whether the change may be made to what is there: its version, or nothing.
    pub fn allows(&self, version: Option<u64>) -> bool {
        match self {
            Self::Anything => true,
            Self::Existing => version.is_some(),
            Self::OneOf(versions) => version.is_some_and(|version| versions.contains(&version)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_made_to_what_its_author_saw() {
        assert!(Expected::Anything.allows(None) && Expected::Anything.allows(Some(3)));
        assert!(!Expected::Existing.allows(None) && Expected::Existing.allows(Some(3)));
        let seen = Expected::OneOf(vec![2, 3]);
        assert!(seen.allows(Some(3)) && !seen.allows(Some(4)) && !seen.allows(None));
        assert!(!Expected::OneOf(Vec::new()).allows(Some(1)));
    }
}
