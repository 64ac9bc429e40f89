//! Client authentication (RFC 6749 section 2.3.1): Basic or the body, never both.

use base64ct::{Base64, Encoding as _};
use http::{HeaderMap, header};
use propusk_core::clients::{self, ClientAuthError};
use propusk_core::env::Env;
use propusk_core::secret::PlainSecret;
use propusk_core::store::{Client, Tx};

use super::error::OAuthError;
use super::form::Form;
use crate::app::App;
use crate::extract::Origin;

/// The client that sent the request, as it is by now.
pub(super) async fn authenticate(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Client, OAuthError> {
    answer_to(app, origin, headers, form, |_, _, client| Ok(client)).await
}

/// Runs an operation of a few reads for the client that sent the request, in the very snapshot in which it was
/// authenticated.
pub(super) async fn answer_to<T: Send + 'static>(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    form: &Form,
    operation: impl FnOnce(&dyn Tx, Env<'_>, Client) -> Result<T, OAuthError> + Send + 'static,
) -> Result<T, OAuthError> {
    let (id, secret) = presented(headers, form)?;
    let attempt = app.throttle.client(&id, origin.throttled_as()).await?;
    let authenticated = app.read_briefly(move |tx, env| match clients::authenticate(tx, env, &id, &secret) {
        Ok(client) => Ok(Some(operation(tx, env, client))),
        Err(ClientAuthError::Refused) => Ok(None),
        Err(error @ ClientAuthError::Store(_)) => Err(error),
    });
    let authenticated = authenticated.await;
    attempt.note(&authenticated);
    authenticated?.ok_or_else(OAuthError::invalid_client)?
}

/// Who it says it is. Nothing of it has been checked.
fn presented(headers: &HeaderMap, form: &Form) -> Result<(String, PlainSecret), OAuthError> {
    Ok(match basic(headers)? {
        Some(credentials) => {
            if form.get("client_secret").is_some() {
                return Err(OAuthError::invalid_request("two kinds of client authentication: send one"));
            }
            if form.get("client_id").is_some_and(|id| id != credentials.0) {
                return Err(OAuthError::invalid_request("client_id is another client than the one in the header"));
            }
            credentials
        }
        None => match (form.get("client_id"), form.get("client_secret")) {
            (Some(id), Some(secret)) => (id.to_owned(), PlainSecret::presented(secret)),
            _ => return Err(OAuthError::invalid_client()),
        },
    })
}

fn basic(headers: &HeaderMap) -> Result<Option<(String, PlainSecret)>, OAuthError> {
    let mut all = headers.get_all(header::AUTHORIZATION).into_iter();
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(OAuthError::invalid_request("several Authorization headers"));
    }
    parse_basic(value.as_bytes()).map(Some).ok_or_else(OAuthError::invalid_client)
}

/// Id and secret are form-encoded before they are joined.
pub(crate) fn parse_basic(value: &[u8]) -> Option<(String, PlainSecret)> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = zeroize::Zeroizing::new(Base64::decode_vec(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((form_decoded(id)?, PlainSecret::presented(form_decoded(secret)?)))
}

fn form_decoded(text: &str) -> Option<String> {
    let field = format!("v={}", text.replace('&', "%26"));
    let (_, value) = url::form_urlencoded::parse(field.as_bytes()).next()?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id_and_secret: &str) -> String {
        format!("bAsIc {}", Base64::encode_string(id_and_secret.as_bytes()))
    }

    #[test]
    fn ids_and_secrets_are_form_encoded() {
        let (id, secret) = parse_basic(header("a%3Ab:s%25+%2B&").as_bytes()).unwrap();
        assert_eq!((id.as_str(), secret.expose()), ("a:b", "s% +&"));
        assert!(parse_basic(b"Bearer x").is_none());
        assert!(parse_basic(b"Basic !").is_none());
        assert!(parse_basic(header("nocolon").as_bytes()).is_none());
    }
}
