//! Whether a request that changes something comes from a page of this site.
//!
//! The cookie is `SameSite=Strict`, but a sibling subdomain is the same site; so `Sec-Fetch-Site` and `Origin` decide,
//! and a client that sends neither must send a header that no foreign page can send without a preflight.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName};
use url::Url;

use crate::problem::{Problem, Slug};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const CSRF: HeaderName = HeaderName::from_static("propusk-csrf");

/// Refuses what may come from a foreign page. `own` is the origin that browsers know this gateway by; without it the
/// `Host` of the request has to do, and the scheme is not compared.
pub(crate) fn check(headers: &HeaderMap, own: Option<&Url>) -> Result<(), Problem> {
    check_claims(headers, own)?;
    let is_claimed = headers.contains_key(FETCH_SITE) || headers.contains_key(ORIGIN);
    let has_header = headers.get(CSRF).is_some_and(|value| value.as_bytes() == b"1");
    if is_claimed || has_header {
        return Ok(());
    }
    refuse("without Sec-Fetch-Site and Origin the header Propusk-CSRF: 1 is needed")
}

/// Refuses what a browser says comes from a foreign page; who says nothing is no browser.
pub(crate) fn check_claims(headers: &HeaderMap, own: Option<&Url>) -> Result<(), Problem> {
    let sites: Vec<_> = headers.get_all(FETCH_SITE).iter().collect();
    // Values of tomorrow are refused until somebody has thought about them.
    if sites.iter().any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none")) {
        return refuse("Sec-Fetch-Site says that it comes from elsewhere");
    }
    let origins: Vec<_> = headers.get_all(ORIGIN).iter().collect();
    if origins.iter().any(|origin| !is_own(origin.as_bytes(), headers, own)) {
        return refuse("Origin is another one");
    }
    Ok(())
}

fn refuse(why: &str) -> Result<(), Problem> {
    Err(Problem::detail(Slug::Csrf, why))
}

fn is_own(origin: &[u8], headers: &HeaderMap, own: Option<&Url>) -> bool {
    let Some(origin) = std::str::from_utf8(origin).ok().and_then(|text| Url::parse(text).ok()) else {
        return false;
    };
    if !matches!(origin.scheme(), "http" | "https") {
        return false;
    }
    if let Some(own) = own {
        return origin.origin() == own.origin();
    }
    // The Host has no scheme; parsing it under the origin's makes default ports compare.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    Url::parse(&format!("{}://{host}/", origin.scheme())).is_ok_and(|host| host.origin() == origin.origin())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn allowed(lines: &[(&'static str, &str)], own: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("gw.example:8080"));
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        check(&headers, own.map(|own| Url::parse(own).unwrap()).as_ref()).is_ok()
    }

    #[test]
    fn table() {
        let rows: &[(&[(&'static str, &str)], bool)] = &[
            (&[], false),
            (&[("propusk-csrf", "1")], true),
            (&[("propusk-csrf", "0")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("propusk-csrf", "1")], false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "news")], false),
            (&[("origin", "http://gw.example:8080")], true),
            (&[("origin", "https://gw.example:8080")], true),
            (&[("origin", "http://gw.example")], false),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "http://gw.example:8080.evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (&[("origin", "http://evil.example"), ("propusk-csrf", "1")], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")], false),
            (&[("origin", "http://gw.example:8080"), ("origin", "http://evil.example")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://gw.example:8080")], false),
        ];
        for (lines, expected) in rows {
            assert_eq!(allowed(lines, None), *expected, "{lines:?}");
        }
    }

    #[test]
    fn who_says_nothing_of_pages_is_no_browser() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("gw.example"));
        assert!(check_claims(&headers, None).is_ok());
        headers.insert(FETCH_SITE, HeaderValue::from_static("cross-site"));
        assert!(check_claims(&headers, None).is_err());
    }

    #[test]
    fn with_a_configured_origin_the_scheme_counts_and_the_host_does_not() {
        let own = Some("https://example.com");
        assert!(allowed(&[("origin", "https://example.com")], own));
        assert!(allowed(&[("origin", "https://example.com:443")], own));
        assert!(!allowed(&[("origin", "http://example.com")], own));
        assert!(!allowed(&[("origin", "http://gw.example:8080")], own));
    }
}
