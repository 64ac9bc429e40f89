//! A bearer token in plain text: whoever has it can use it.

use std::fmt;

use zeroize::Zeroizing;

/// An access or refresh token as it goes over the wire. It cannot be printed by accident, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct RawToken(Zeroizing<String>);

impl RawToken {
    /// Wraps a token.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, to be sent to whom it is for and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for RawToken {
    fn as_ref(&self) -> &str {
        self.expose()
    }
}

impl fmt::Debug for RawToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawToken(…)")
    }
}

impl From<String> for RawToken {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for RawToken {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
