//! Where to go after signing in: a path of this origin, or nothing.

/// Longer ones are not worth a redirect.
const MAX: usize = 2048;

/// `text` if a browser that is at this origin must stay there when it follows it, else `None`.
///
/// Only visible ASCII (so no tab or line feed, which URL parsers drop), no backslash (which they read as a slash), and
/// no empty path segment (`//host` names another host).
pub(crate) fn parse(text: &str) -> Option<&str> {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let is_safe = text.len() <= MAX
        && path.starts_with('/')
        && !path.contains("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_safe.then_some(text)
}

/// The address of the sign-in page that leads back to `target`.
pub(crate) fn login_url(target: &str) -> String {
    const PAGE: &str = "/login?";
    let mut query = url::form_urlencoded::Serializer::for_suffix(PAGE.to_owned(), PAGE.len());
    query.append_pair("return_to", parse(target).unwrap_or("/"));
    query.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    #[test]
    fn kept() {
        for path in ["/", "/cars", "/cars?a=b&c=//d", "/a/b#c", "/%2F%2Fevil", "/a:b@c", "/?u=http://x"] {
            assert_eq!(parse(path), Some(path));
        }
    }

    #[test]
    fn dropped() {
        for path in [
            "",
            "cars",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "http://evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/a//b",
            "/.//evil.example",
            "javascript:alert(1)",
            " /",
            "/ ",
            "/\0",
            "/é",
            "?a",
            "#a",
        ] {
            assert_eq!(parse(path), None, "{path:?}");
        }
        assert_eq!(parse(&format!("/{}", "a".repeat(MAX))), None);
    }

    #[test]
    fn login_urls() {
        assert_eq!(login_url("/cars?a=b&c"), "/login?return_to=%2Fcars%3Fa%3Db%26c");
        assert_eq!(login_url("//evil"), "/login?return_to=%2F");
    }

    proptest! {
        #[test]
        fn what_is_kept_never_leaves_the_origin(text in r#"[/\\?#:@.a-z%\t\n ]{0,12}"#) {
            let base = Url::parse("http://gw.example:8080/login").unwrap();
            if let Some(path) = parse(&text) {
                let joined = base.join(path).unwrap();
                prop_assert_eq!(joined.origin(), base.origin());
            }
        }
    }
}
