//! What is taken off a request before an upstream sees it, and off an answer before a client does.
//!
//! An upstream may believe a header that says who is calling. So everything that could say so is removed, whoever
//! sent it, in every spelling that some server reads as the same name (`_` for `-`, any case).

use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, EXPECT, HOST, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

use crate::credential::crumbs;
use crate::session::cookie::COOKIE_NAME;

/// Names that claim an identity, and all that begin with these.
const FORGEABLE: &[&str] = &["propusk-", "x-remote-", "x-auth-", "x-authenticated-", "x-user", "x-jwt-"];
/// The same, whole names.
const FORGEABLE_EXACT: &[&str] = &[
    "authorization",
    "remote-user",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-id-token",
    "x-access-token",
    // Transaction tokens: nobody outside may bring one.
    "txn-token",
];

/// Takes off a request what no client may say, and what concerns only the connection to the client.
pub(crate) fn clean_request(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    let forged: Vec<HeaderName> = headers.keys().filter(|name| is_forgeable(name.as_str())).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
    headers.remove(EXPECT);
    headers.remove(HOST);
    strip_session_cookie(headers);
}

/// Takes off an answer what concerns only the connection to the upstream, and any session cookie that an upstream
/// tries to set.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    if headers.get_all(SET_COOKIE).iter().any(sets_session_cookie) {
        let kept: Vec<HeaderValue> =
            headers.get_all(SET_COOKIE).iter().filter(|value| !sets_session_cookie(value)).cloned().collect();
        headers.remove(SET_COOKIE);
        for value in kept {
            headers.append(SET_COOKIE, value);
        }
    }
}

fn is_forgeable(name: &str) -> bool {
    let dashed;
    let name = if name.contains('_') {
        dashed = name.replace('_', "-");
        &dashed
    } else {
        name
    };
    FORGEABLE_EXACT.contains(&name) || FORGEABLE.iter().any(|prefix| name.starts_with(prefix))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    let fixed = [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in fixed {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// Other cookies stay as they are.
fn strip_session_cookie(headers: &mut HeaderMap) {
    let is_ours = |name: &[u8]| name.eq_ignore_ascii_case(COOKIE_NAME.as_bytes());
    let ours = headers.get_all(COOKIE).iter().any(|line| crumbs(line.as_bytes()).any(|(name, _)| is_ours(name)));
    if !ours {
        return;
    }
    let kept: Vec<u8> = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|crumb| !crumb.is_empty() && !crumbs(crumb).any(|(name, _)| is_ours(name)))
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    headers.remove(COOKIE);
    if let Ok(value) = HeaderValue::from_bytes(&kept)
        && !kept.is_empty()
    {
        headers.insert(COOKIE, value);
    }
}

fn sets_session_cookie(value: &HeaderValue) -> bool {
    crumbs(value.as_bytes()).next().is_some_and(|(name, _)| name.eq_ignore_ascii_case(COOKIE_NAME.as_bytes()))
}

/// Puts our own credential on.
pub(crate) fn authorize(headers: &mut HeaderMap, token: &str) -> Result<(), http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn names_after(lines: &[(&str, &str)]) -> Vec<String> {
        let mut headers = headers(lines);
        clean_request(&mut headers);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn forged_identity_is_removed() {
        for name in [
            "Authorization",
            "Propusk-Verdict",
            "Propusk_Sub",
            "PROPUSK-Anything",
            "Remote-User",
            "REMOTE_USER",
            "X-Remote-User",
            "X_Remote_Groups",
            "X-Auth-Request-Email",
            "X-Authenticated-Userid",
            "X-User",
            "X-User-Id",
            "x_user_name",
            "X-Username",
            "X-Forwarded-User",
            "X_Forwarded_Email",
            "X-Forwarded_Groups",
            "X-Forwarded-Preferred-Username",
            "X-Forwarded-Access-Token",
            "X-JWT-Assertion",
            "X_Jwt_Payload",
            "X-Id-Token",
            "X-Access-Token",
            "Txn-Token",
        ] {
            assert_eq!(names_after(&[(name, "root"), ("accept", "*/*")]), ["accept"], "{name}");
        }
    }

    #[test]
    fn harmless_ones_stay() {
        for name in ["accept", "x-request-id", "user-agent", "x-custom_header", "content-type", "traceparent", "origin"]
        {
            assert_eq!(names_after(&[(name, "v")]), [name]);
        }
    }

    #[test]
    fn hop_by_hop_headers_are_removed_and_those_they_name() {
        let lines = [
            ("connection", "close, X-Secret"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "2"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "close"),
            ("accept", "*/*"),
        ];
        assert_eq!(names_after(&lines), ["accept"]);
    }

    #[test]
    fn only_our_cookie_goes() {
        let cleaned = |line: &str| {
            let mut map = headers(&[("cookie", line)]);
            clean_request(&mut map);
            map.get(COOKIE).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(cleaned("a=b; c=d").as_deref(), Some("a=b; c=d"));
        assert_eq!(cleaned("a=b; __Host-Http-propusk=x; c=d").as_deref(), Some("a=b; c=d"));
        assert_eq!(cleaned("__host-http-PROPUSK =x;c").as_deref(), Some("c"));
        assert_eq!(cleaned("__Host-Http-propusk=x"), None);
    }

    #[test]
    fn upstreams_cannot_set_our_cookie() {
        let mut map = headers(&[
            ("set-cookie", "__Host-Http-propusk=x; Path=/"),
            ("set-cookie", "theirs=y"),
            ("connection", "x-a"),
            ("x-a", "b"),
        ]);
        clean_answer(&mut map);
        assert_eq!(map, headers(&[("set-cookie", "theirs=y")]));
    }

    proptest! {
        #[test]
        fn no_spelling_slips_through(index in 0..FORGEABLE_EXACT.len() + FORGEABLE.len(), flips in prop::collection::vec(any::<(bool, bool)>(), 40), suffix in "[a-z]{0,5}") {
            let name = match FORGEABLE_EXACT.get(index) {
                Some(name) => (*name).to_owned(),
                None => format!("{}{suffix}", FORGEABLE[index - FORGEABLE_EXACT.len()]),
            };
            let spelled: String = name.chars().zip(flips.iter().cycle()).map(|(c, (upper, under))| match c {
                '-' if *under => '_',
                c if *upper => c.to_ascii_uppercase(),
                c => c,
            }).collect();
            let name = spelled.trim_end_matches('-').to_owned();
            prop_assume!(!name.is_empty() && is_forgeable(&name.to_lowercase()));
            prop_assert!(names_after(&[(&spelled, "root")]).is_empty(), "{}", spelled);
        }
    }
}
