//! Which upstream a request goes to. Hosts are looked up first, then paths; what could be read as another path by an
//! upstream that tidies up paths is refused before.

use std::collections::HashMap;
use std::sync::Arc;

use propusk_verify::{Demand, Verifier};

use crate::config::{ConfigError, Route, RouteClass};
use crate::pool::Upstream;

/// Where matching requests go.
pub(crate) struct Target {
    /// As configured; the label of metrics and logs.
    pub(crate) pattern: Arc<str>,
    /// Whom the token must be for.
    pub(crate) audience: String,
    pub(crate) upstream: Arc<Upstream>,
    /// Decides on its tokens.
    pub(crate) verifier: Verifier,
    /// What they have to stand up to.
    pub(crate) demand: Demand,
}

fn demand(route: &Route) -> Demand {
    let mut demand = match route.class {
        RouteClass::Ordinary => Demand::ordinary(),
        RouteClass::Elite => Demand::elite(),
    };
    if let Some(permission) = &route.permission {
        demand = demand.permission(permission.clone());
    }
    match route.past_bound {
        Some(past_bound) => demand.past_bound(past_bound),
        None => demand,
    }
}

/// All routes.
#[derive(Default)]
pub(crate) struct RouteTable {
    hosts: HashMap<String, matchit::Router<Arc<Target>>>,
    any: matchit::Router<Arc<Target>>,
    first: Option<Arc<Target>>,
}

/// Paths that the gateway answers itself, so no route may cover them alone.
pub(crate) const OWN_PATHS: &[&str] = &["/login", "/logout", "/session", "/-", "/auth", "/oauth", "/admin"];

impl RouteTable {
    /// Adds a row; `key` names it in errors.
    pub(crate) fn insert(
        &mut self,
        key: &str,
        route: &Route,
        upstream: Arc<Upstream>,
        verifier: Verifier,
    ) -> Result<(), ConfigError> {
        let wrong = |problem: String| ConfigError::new(format!("{key}.path"), problem);
        let (prefix, below) = match route.path.strip_suffix("/**") {
            Some(prefix) => (prefix, true),
            None => (route.path.as_str(), false),
        };
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_graphic() && !b"*{}?#%\\;".contains(&byte));
        if !(route.path.starts_with('/') && is_plain && path_is_unambiguous(prefix) && !prefix.contains("//")) {
            return Err(wrong(format!("{:?} is not of the form /name or /name/**", route.path)));
        }
        let own = OWN_PATHS.iter().find(|own| prefix == **own || prefix.starts_with(&format!("{own}/")));
        if let Some(own) = own {
            return Err(wrong(format!("{own} belongs to the gateway")));
        }
        let target = Arc::new(Target {
            pattern: route.path.as_str().into(),
            audience: route.audience.clone(),
            upstream,
            verifier,
            demand: demand(route),
        });
        self.first.get_or_insert_with(|| target.clone());
        let table = match &route.host {
            Some(host) => self.hosts.entry(host.to_ascii_lowercase()).or_default(),
            None => &mut self.any,
        };
        let mut add = |pattern: String| table.insert(pattern, target.clone()).map_err(|error| wrong(error.to_string()));
        if below {
            if !prefix.is_empty() {
                add(prefix.to_owned())?;
            }
            add(format!("{prefix}/"))?;
            add(format!("{prefix}/{{*rest}}"))
        } else {
            add(prefix.to_owned())
        }
    }

    /// The first row: by its audience a session is judged that asks for nothing in particular.
    pub(crate) fn first(&self) -> Option<&Arc<Target>> {
        self.first.as_ref()
    }

    /// The row for `host` (with or without port) and `path`.
    pub(crate) fn find(&self, host: Option<&str>, path: &str) -> Option<&Arc<Target>> {
        let by_host = host.and_then(|host| {
            let name = without_port(host).to_ascii_lowercase();
            self.hosts.get(name.trim_end_matches('.'))
        });
        let found = by_host.and_then(|table| table.at(path).ok()).or_else(|| self.any.at(path).ok());
        found.map(|found| found.value)
    }
}

/// Whether some server could read `path` as one that belongs to the gateway or its like elsewhere: `/-/`, `/auth/` …
/// Upstreams have operations addresses of their own, which answer to loopback, and that is where the gateway may be.
pub(crate) fn is_own(path: &str) -> bool {
    let plain = decoded(&decoded(path));
    let mut tidy = String::with_capacity(plain.len() + 1);
    for segment in plain.split('/').filter(|segment| !segment.is_empty()) {
        tidy.push('/');
        tidy.push_str(segment);
    }
    OWN_PATHS
        .iter()
        .any(|own| tidy.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ';'])))
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(meant) => {
                bytes.push(meant);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Whether every server reads `path` as the same path: no dot segments, however they are written, and no backslashes.
pub(crate) fn path_is_unambiguous(path: &str) -> bool {
    let mut plain = path.to_ascii_lowercase();
    // Twice, for servers that decode once too often.
    for _ in 0..2 {
        plain = plain.replace("%25", "%").replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    }
    let has_dots = plain.split(['/', '\\', ';']).any(|segment| segment == "." || segment == "..");
    !(has_dots || plain.contains('\\') || plain.contains("%00"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use propusk_verify::KeySource;
    use propusk_verify::jose::KeyRing;
    use url::Url;

    use super::*;

    fn table(rows: &[(Option<&str>, &str)]) -> Result<RouteTable, ConfigError> {
        let connector = crate::pool::connector(false, None).unwrap();
        let mut table = RouteTable::default();
        for (index, (host, path)) in rows.iter().enumerate() {
            let url = Url::parse("http://127.0.0.1:1").unwrap();
            let upstream = Upstream::new(&url, connector.clone(), 1, Duration::from_secs(1)).unwrap();
            let route =
                Route { host: host.map(ToOwned::to_owned), ..Route::new(*path, url.as_str(), format!("a{index}")) };
            let keys = KeySource::fixed(KeyRing::default());
            let verifier = Verifier::builder().issuer("i").audience(&route.audience).keys(keys).build();
            table.insert("routes[0]", &route, upstream, verifier)?;
        }
        Ok(table)
    }

    fn found<'t>(table: &'t RouteTable, host: &str, path: &str) -> Option<&'t str> {
        table.find(Some(host), path).map(|target| &*target.audience)
    }

    #[test]
    fn prefixes() {
        let table = table(&[(None, "/users/**"), (None, "/exact"), (None, "/users/special/**")]).unwrap();
        for path in ["/users", "/users/", "/users/me", "/users/a/b", "/users/-/whoami"] {
            assert_eq!(found(&table, "h", path), Some("a0"), "{path}");
        }
        assert_eq!(found(&table, "h", "/users/special/x"), Some("a2"));
        assert_eq!(found(&table, "h", "/exact"), Some("a1"));
        for path in ["/", "/user", "/userss", "/exact/", "/exact/x", "//users/me", "*", "/Users/me", ""] {
            assert_eq!(found(&table, "h", path), None, "{path}");
        }
    }

    #[test]
    fn hosts() {
        let table = table(&[(None, "/a/**"), (Some("Api.Example"), "/a/**"), (Some("api.example"), "/b")]).unwrap();
        for host in ["api.example", "API.example:8080", "api.example."] {
            assert_eq!(found(&table, host, "/a/x"), Some("a1"), "{host}");
        }
        assert_eq!(found(&table, "other", "/a/x"), Some("a0"));
        assert_eq!(found(&table, "other", "/b"), None);
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
    }

    #[test]
    fn wrong_rows() {
        for path in [
            "",
            "users",
            "/a/*",
            "/a/**/b",
            "/{x}",
            "/a//b",
            "/../a",
            "/a?b",
            "/login",
            "/-/x/**",
            "/auth/**",
            "/admin/v1",
        ] {
            assert!(table(&[(None, path)]).is_err(), "{path}");
        }
        assert!(table(&[(None, "/a"), (None, "/a")]).is_err());
        assert!(table(&[(None, "/**")]).is_ok());
    }

    #[test]
    fn ambiguous_paths() {
        for path in [
            "/users/../cars",
            "/users/%2e%2e/cars",
            "/users/.%2E/cars",
            "/users/..%2fcars",
            "/users/%2e%2e%2fcars",
            "/users/..;/cars",
            "/users/..\\cars",
            "/users/%5c..",
            "/users/.",
            "/./users",
            "/users/%252e%252e/cars",
            "/users/..",
            "/users/a%00b",
        ] {
            assert!(!path_is_unambiguous(path), "{path}");
        }
        for path in
            ["/users/me", "/users/a.b", "/users/...", "/users/.well-known", "/users/a%20b", "/users/a%2Fb", "/-/live"]
        {
            assert!(path_is_unambiguous(path), "{path}");
        }
    }

    #[test]
    fn own_paths_in_every_spelling() {
        for path in [
            "/-/",
            "/-/live",
            "/-",
            "//-/live",
            "/%2d/live",
            "/%252D/live",
            "/auth/register",
            "/%61uth/x",
            "/login",
            "/-;x/live",
            "/admin//v1",
        ] {
            assert!(is_own(path), "{path}");
        }
        for path in ["/", "/users/-/whoami", "/authors", "/logins", "/-x", "/a/login", "/%", "/%zz/-/"] {
            assert!(!is_own(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_url_parser_never_leaves_the_route(path in r"/users/[a-z./%2eE5cCfF;\\-]{0,20}") {
            let table = table(&[(None, "/users/**")]).unwrap();
            if path_is_unambiguous(&path) && table.find(None, &path).is_some() {
                let tidied = Url::parse("http://h/").unwrap().join(&path).unwrap();
                prop_assert!(tidied.path().starts_with("/users/"), "{} became {}", path, tidied.path());
            }
        }
    }
}
