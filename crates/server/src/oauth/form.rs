//! Form parameters by RFC 6749: a duplicate is an error, an empty one is absent, an unknown one is ignored.

use std::fmt;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use zeroize::Zeroizing;

use super::error::OAuthError;
use crate::extract::media_type;

/// The parameters of one request. Their values are not printed: some are secrets.
pub(super) struct Form(Vec<(String, Zeroizing<String>)>);

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let is_form = media_type(request.headers())
            .is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        if !is_form {
            return Err(OAuthError::invalid_request("send Content-Type: application/x-www-form-urlencoded"));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                OAuthError::too_large()
            } else {
                OAuthError::invalid_request("the body could not be read")
            }
        })?;
        Self::parse(&body)
    }
}

impl Form {
    pub(super) fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(OAuthError::invalid_request(format!("{name} comes more than once")));
            }
            parameters.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(parameters))
    }

    /// A parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// A parameter that has to be there.
    pub(super) fn need(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::missing(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_empty_values() {
        assert!(Form::parse(b"a=1&a=2").is_err());
        assert!(Form::parse(b"a=1&%61=2").is_err());
        let form = Form::parse(b"a=&b=x%20y&c=1").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("d")), (None, Some("x y"), None));
        assert_eq!(format!("{form:?}"), r#"["a", "b", "c"]"#);
    }
}
