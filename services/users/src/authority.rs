//! Asking the authority whose token it is: the token itself carries an opaque id and no name.

use propusk_verify::RawToken;
use propusk_verify::axum::ApiError;
use propusk_verify::problem::Problem;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The authority's introspection endpoint (RFC 7662), which tells a service about tokens for itself.
#[derive(Clone)]
pub(crate) struct Authority {
    http: reqwest::Client,
    introspect: String,
    client_id: String,
    client_secret: Zeroizing<String>,
}

/// What it says about an active token.
#[derive(Deserialize)]
pub(crate) struct Identity {
    pub(crate) username: String,
    /// Today's authority keeps it to itself.
    pub(crate) email: Option<String>,
}

/// `{"active":false}` and no more, or who it is.
#[derive(Deserialize)]
struct Answer {
    active: bool,
    #[serde(flatten)]
    identity: Option<Identity>,
}

/// The authority could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the authority could not be asked: {0}")]
pub(crate) struct AuthorityAway(#[from] reqwest::Error);

impl From<AuthorityAway> for ApiError {
    fn from(error: AuthorityAway) -> Self {
        tracing::warn!(%error);
        let title = "The authority cannot be asked at the moment";
        Problem::new(503, "authority-unavailable", title).retry_after(1).into()
    }
}

impl Authority {
    pub(crate) fn new(http: reqwest::Client, base: &str, client_id: String, client_secret: Zeroizing<String>) -> Self {
        let introspect = format!("{}/oauth/introspect", base.trim_end_matches('/'));
        Self { http, introspect, client_id, client_secret }
    }

    /// Whose token this is; `None` if it is not active any more.
    pub(crate) async fn identify(&self, token: &RawToken) -> Result<Option<Identity>, AuthorityAway> {
        let answer: Answer = self
            .http
            .post(&self.introspect)
            .basic_auth(&self.client_id, Some(self.client_secret.as_str()))
            .form(&[("token", token.expose())])
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(answer.identity.filter(|_| answer.active))
    }
}
