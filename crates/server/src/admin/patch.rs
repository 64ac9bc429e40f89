//! Members of a merge patch (RFC 7396).

use serde::{Deserialize, Deserializer};

/// A member that is there: `Some(None)` for `null`, which takes away what was there. For one that is not there, serde's
/// default is `None`.
pub(super) fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
