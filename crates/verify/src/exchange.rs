//! Token exchange (RFC 8693): a service turns its caller's token into one for the next service.

use std::fmt;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use http::{HeaderValue, Uri};
use zeroize::Zeroizing;

use crate::http_client::{HttpClient, form_encode};
use crate::secret::RawToken;
use crate::tls::TlsError;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Exchanges tokens at an authority, as one client of it. Cheap to clone.
#[derive(Clone)]
pub struct TokenExchange {
    http: HttpClient,
    endpoint: Uri,
    authorization: HeaderValue,
}

/// The text is no `http` or `https` URL with a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an http or https URL")]
pub struct UrlError(pub String);

/// What [`TokenExchange::new`] was given cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeConfigError {
    /// The endpoint.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Client id or secret.
    #[error("the client id or secret cannot be sent in a header")]
    Credentials,
    /// Certificates to trust.
    #[error("the certificates to trust cannot be used: {0}")]
    Roots(#[from] TlsError),
}

/// Why no token was had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The authority said no; its OAuth error code (RFC 6749 section 5.2, RFC 8693 section 2.2.2).
    #[error("the exchange was refused: {0}")]
    Refused(String),
    /// The authority gave no answer that makes sense.
    #[error("the authority cannot be asked: {0}")]
    Unavailable(String),
}

impl TokenExchange {
    /// For the token endpoint of an authority, authenticated as `client_id` by Basic. `https` trusts the machine's own
    /// roots.
    ///
    /// # Errors
    /// [`ExchangeConfigError`].
    pub fn new(token_endpoint: &str, client_id: &str, client_secret: &str) -> Result<Self, ExchangeConfigError> {
        Self::new_trusting(token_endpoint, client_id, client_secret, None)
    }

    /// The same, trusting only the certificates in `roots_pem` where it is given.
    ///
    /// # Errors
    /// [`ExchangeConfigError`].
    pub fn new_trusting(
        token_endpoint: &str,
        client_id: &str,
        client_secret: &str,
        roots_pem: Option<&str>,
    ) -> Result<Self, ExchangeConfigError> {
        let endpoint = parse_url(token_endpoint)?;
        // RFC 6749 section 2.3.1: each half is form-encoded first.
        let pair = Zeroizing::new(format!("{}:{}", form_encode(client_id), form_encode(client_secret)));
        let header = Zeroizing::new(format!("Basic {}", Base64::encode_string(pair.as_bytes())));
        let mut authorization = HeaderValue::from_str(&header).map_err(|_| ExchangeConfigError::Credentials)?;
        authorization.set_sensitive(true);
        let http = HttpClient::new(&endpoint, Duration::from_secs(5), roots_pem)?;
        Ok(Self { http, endpoint, authorization })
    }

    /// A token for `audience` that speaks for the same subject, names this client as the actor, and ends no later.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub async fn exchange(&self, subject: &RawToken, audience: &str) -> Result<RawToken, ExchangeError> {
        let form = [
            ("grant_type", GRANT_TYPE),
            ("subject_token", subject.expose()),
            ("subject_token_type", ACCESS_TOKEN),
            ("audience", audience),
        ];
        let (status, body) = self
            .http
            .post_form(&self.endpoint, &self.authorization, &form)
            .await
            .map_err(|error| ExchangeError::Unavailable(error.to_string()))?;
        let member = |name: &str| -> Option<String> {
            let answer: serde_json::Value = serde_json::from_slice(&body).ok()?;
            answer.get(name)?.as_str().map(str::to_owned)
        };
        match (status, member("access_token"), member("error")) {
            (200, Some(token), _) => Ok(RawToken::new(token)),
            (400..=499, _, Some(error)) => Err(ExchangeError::Refused(error)),
            (status, ..) => Err(ExchangeError::Unavailable(format!("status {status}"))),
        }
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

pub(crate) fn parse_url(text: &str) -> Result<Uri, UrlError> {
    let wrong = || UrlError(text.to_owned());
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if is_web { Ok(uri) } else { Err(wrong()) }
}
