//! The one credential of a request: session cookie, Basic or Bearer. Two are an error, whatever they say: the client
//! and the gateway could disagree on which of them counts.

use base64ct::{Base64, Encoding};
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use propusk_verify::Reason;
use zeroize::Zeroizing;

use crate::problem::Problem;
use crate::secret::Secret;
use crate::session::cookie::COOKIE_NAME;

/// What a client shows.
#[derive(Debug)]
pub(crate) enum Credential {
    /// The sealed session cookie's value.
    Cookie(String),
    /// Username and password.
    Basic(Basic),
    /// An access token.
    Bearer(Secret),
}

/// Username and password of RFC 7617.
#[derive(Debug)]
pub(crate) struct Basic {
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// A password is at most 128 code points; what is longer than any username and password is not looked at.
const MAX_BASIC: usize = 2048;

/// The one credential, `None` without any.
///
/// # Errors
/// Two credentials, a malformed header, or another scheme than Bearer and Basic.
pub(crate) fn credential(headers: &HeaderMap) -> Result<Option<Credential>, Reason> {
    let cookie = session_cookie(headers)?;
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    match (cookie, first, second) {
        (None, None, _) => Ok(None),
        (Some(cookie), None, _) => Ok(Some(Credential::Cookie(cookie))),
        (None, Some(value), None) => authorization(value.as_bytes()).map(Some),
        (Some(_), Some(_), _) | (_, _, Some(_)) => Err(Reason::TwoCredentials),
    }
}

/// The session cookie's value; a second cookie of that name is a second credential.
pub(crate) fn session_cookie(headers: &HeaderMap) -> Result<Option<String>, Reason> {
    let mut found = None;
    for (name, value) in headers.get_all(COOKIE).iter().flat_map(|line| crumbs(line.as_bytes())) {
        if name == COOKIE_NAME.as_bytes() {
            let value = String::from_utf8_lossy(value).into_owned();
            if found.replace(value).is_some() {
                return Err(Reason::TwoCredentials);
            }
        }
    }
    Ok(found)
}

/// What a client is told of a credential that cannot be used, or of none.
pub(crate) fn refuse(reason: Reason, realm: &str) -> Problem {
    tracing::info!(reason = reason.code(), "no credential that can be used");
    let verdict = reason.verdict();
    let problem = match reason {
        Reason::TwoCredentials => Problem::detail(verdict, "more than one credential"),
        Reason::MalformedHeader => Problem::detail(verdict, "the Authorization header is malformed"),
        Reason::OtherScheme => Problem::detail(verdict, "the Authorization scheme must be Bearer or Basic"),
        _ => verdict.into(),
    };
    problem.realm(realm)
}

/// Names and values of one `Cookie` line.
pub(crate) fn crumbs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').map(|crumb| {
        let crumb = crumb.trim_ascii();
        let split = crumb.iter().position(|byte| *byte == b'=').unwrap_or(crumb.len());
        let (name, value) = crumb.split_at(split);
        (name.trim_ascii(), value.strip_prefix(b"=").unwrap_or(value).trim_ascii())
    })
}

fn authorization(value: &[u8]) -> Result<Credential, Reason> {
    let text = std::str::from_utf8(value).map_err(|_| Reason::MalformedHeader)?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (is_bearer, is_basic) = (scheme.eq_ignore_ascii_case("bearer"), scheme.eq_ignore_ascii_case("basic"));
    if !is_bearer && !is_basic {
        return Err(Reason::OtherScheme);
    }
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
        return Err(Reason::MalformedHeader);
    }
    if is_bearer {
        return Ok(Credential::Bearer(Secret::from(rest.to_owned())));
    }
    basic(rest).map(Credential::Basic).ok_or(Reason::MalformedHeader)
}

fn basic(text: &str) -> Option<Basic> {
    if text.len() > MAX_BASIC {
        return None;
    }
    let bytes = Zeroizing::new(Base64::decode_vec(text).ok()?);
    let (username, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    // RFC 7617 section 2: no control characters in either.
    let is_plain = !username.is_empty() && !username.chars().chain(password.chars()).any(char::is_control);
    is_plain.then(|| Basic { username: username.to_owned(), password: Secret::from(password.to_owned()) })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(lines: &[(&'static str, &str)]) -> Result<Option<Credential>, Reason> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        credential(&headers)
    }

    #[test]
    fn one_of_each() {
        assert!(of(&[]).unwrap().is_none());
        assert!(of(&[("cookie", "a=b; other=c")]).unwrap().is_none());
        let Some(Credential::Cookie(value)) = of(&[("cookie", "a=b;__Host-Http-propusk=xyz ;c=d")]).unwrap() else {
            panic!("no cookie");
        };
        assert_eq!(value, "xyz");
        // alice:open sesame: with colon
        let Some(Credential::Basic(basic)) = of(&[("authorization", "basic YWxpY2U6b3Blbjpz")]).unwrap() else {
            panic!("no basic");
        };
        assert_eq!((basic.username.as_str(), basic.password.expose()), ("alice", "open:s"));
        let Some(Credential::Bearer(token)) = of(&[("authorization", "BEARER a.b.c")]).unwrap() else {
            panic!("no bearer");
        };
        assert_eq!(token.expose(), "a.b.c");
    }

    #[test]
    fn two_are_refused() {
        for lines in [
            &[("cookie", "__Host-Http-propusk=x"), ("authorization", "Bearer a")][..],
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
            &[("authorization", "Bearer a"), ("authorization", "Basic YTpi")],
            &[("cookie", "__Host-Http-propusk=x; __Host-Http-propusk=y")],
            &[("cookie", "__Host-Http-propusk=x"), ("cookie", "__Host-Http-propusk=x")],
            &[("cookie", "__Host-Http-propusk"), ("authorization", "Bearer a")],
        ] {
            assert_eq!(of(lines).err(), Some(Reason::TwoCredentials), "{lines:?}");
        }
    }

    #[test]
    fn malformed() {
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Bearer a b",
            "Bearer a,b",
            "Basic !",
            "Basic YWxpY2U=",
            "Basic OnB3",
            "Basic YTpiCg==",
        ] {
            assert_eq!(of(&[("authorization", value)]).err(), Some(Reason::MalformedHeader), "{value:?}");
        }
        for value in ["", "Digest x=y", "Negotiate", "Bearers a"] {
            assert_eq!(of(&[("authorization", value)]).err(), Some(Reason::OtherScheme), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_cookie_line_is_survived_and_ours_is_found(before in "[^_\\x00-\\x1f\\x7f]{0,20}", after in "[^_\\x00-\\x1f\\x7f]{0,20}") {
            let mut headers = HeaderMap::new();
            let line = format!("{before};__Host-Http-propusk=value; {after}");
            headers.insert(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            prop_assert_eq!(session_cookie(&headers), Ok(Some("value".to_owned())));
        }

        #[test]
        fn any_authorization_is_survived(value in prop::collection::vec(prop_oneof![Just(9u8), 32u8..127, 128u8..], 0..60)) {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_bytes(&value).unwrap());
            let _ = credential(&headers);
        }

        #[test]
        fn a_pair_comes_back(username in "[^:\\p{Cc}]{1,20}", password in "\\P{Cc}{0,40}") {
            let pair = Base64::encode_string(format!("{username}:{password}").as_bytes());
            let found = of(&[("authorization", &format!("Basic {pair}"))]).unwrap();
            let Some(Credential::Basic(basic)) = found else { panic!("no basic") };
            prop_assert_eq!((basic.username.as_str(), basic.password.expose()), (username.as_str(), password.as_str()));
        }
    }
}
