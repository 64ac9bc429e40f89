//! `Forwarded` (RFC 7239), `X-Forwarded-*` and `X-Real-IP`: rewritten, unless a listed proxy says them.

use std::net::IpAddr;

use http::header::{FORWARDED, HOST, HeaderValue};
use http::{HeaderMap, HeaderName};
use propusk_verify::forwarded::{Network, client_address};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Who the client is and what it asked for, as far as that can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client's address.
    pub(crate) client: IpAddr,
    /// The peer is a listed proxy, so what it says stays.
    trusted: bool,
    host: Option<HeaderValue>,
    is_https: bool,
}

impl Origin {
    /// Reads it off a request that came from `peer`. `is_https` is what browsers see when no proxy says otherwise.
    pub(crate) fn of(headers: &HeaderMap, peer: IpAddr, trusted: &[Network], is_https: bool) -> Self {
        let peer = peer.to_canonical();
        let from_proxy = trusted.iter().any(|network| network.contains(peer));
        Self {
            client: client_address(headers, peer, trusted),
            trusted: from_proxy,
            host: headers.get(HOST).cloned(),
            is_https,
        }
    }

    /// Whether what a proxy in front says about the client is believed.
    pub(crate) fn is_believed(&self) -> bool {
        self.trusted
    }

    /// Makes the headers of a request to an upstream say this.
    pub(crate) fn write(&self, headers: &mut HeaderMap, peer: IpAddr) {
        let peer = peer.to_canonical();
        let proto = if self.is_https { "https" } else { "http" };
        if self.trusted {
            let chain = joined(headers).map_or_else(|| peer.to_string(), |before| format!("{before}, {peer}"));
            set(headers, &FOR, &chain);
            headers.entry(PROTO).or_insert(HeaderValue::from_static(proto));
            if let Some(host) = &self.host {
                headers.entry(FORWARDED_HOST).or_insert(host.clone());
            }
            if !headers.contains_key(&REAL_IP) {
                set(headers, &REAL_IP, &self.client.to_string());
            }
            return;
        }
        let claimed: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
        for name in claimed {
            headers.remove(name);
        }
        set(headers, &FOR, &peer.to_string());
        set(headers, &REAL_IP, &peer.to_string());
        headers.insert(PROTO, HeaderValue::from_static(proto));
        let host = self.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        if let Some(host) = &self.host {
            headers.insert(FORWARDED_HOST, host.clone());
        }
        set(headers, &FORWARDED, &format!("{};host=\"{host}\";proto={proto}", node(peer)));
    }
}

/// An address as RFC 7239 section 4 writes it.
pub(crate) fn node(address: IpAddr) -> String {
    if address.is_ipv6() { format!("for=\"[{address}]\"") } else { format!("for={address}") }
}

fn joined(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

fn is_claim(name: &str) -> bool {
    let name = name.replace('_', "-");
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn rewritten(mut headers: HeaderMap, peer: &str, trusted: &[Network]) -> (HeaderMap, IpAddr) {
        let peer = peer.parse().unwrap();
        let origin = Origin::of(&headers, peer, trusted, false);
        headers.remove(HOST);
        origin.write(&mut headers, peer);
        (headers, origin.client)
    }

    #[test]
    fn what_a_stranger_says_is_replaced() {
        let claims = headers(&[
            ("host", "gw:1"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x_forwarded_for", "1.1.1.1"),
            ("x-real-ip", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/x"),
        ]);
        let (after, client) = rewritten(claims, "9.9.9.9", &["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(
            after,
            headers(&[
                ("x-forwarded-for", "9.9.9.9"),
                ("x-real-ip", "9.9.9.9"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "gw:1"),
                ("forwarded", "for=9.9.9.9;host=\"gw:1\";proto=http"),
            ])
        );
        assert_eq!(client, "9.9.9.9".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn what_a_listed_proxy_says_is_kept_and_the_chain_grows() {
        let claims = headers(&[
            ("host", "gw"),
            ("x-forwarded-for", "6.6.6.6, 1.1.1.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "example.com"),
        ]);
        let (after, client) = rewritten(claims, "10.0.0.1", &["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(
            client,
            "1.1.1.1".parse::<IpAddr>().unwrap(),
            "the last that no listed proxy vouches for is not believed"
        );
        assert_eq!(after["x-forwarded-for"], "6.6.6.6, 1.1.1.1, 10.0.0.2, 10.0.0.1");
        assert_eq!(after["x-forwarded-proto"], "https");
        assert_eq!(after["x-forwarded-host"], "example.com");
    }

    proptest! {
        #[test]
        fn nothing_a_stranger_says_gets_through(values in prop::collection::vec((0usize..7, "[6-9a-f.:, \"\\[\\];=/*]{0,30}"), 0..12)) {
            const NAMES: [&str; 7] = ["forwarded", "x-forwarded-for", "x_forwarded_for", "x-real-ip", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-x"];
            let mut claims = headers(&[("host", "gw")]);
            for (name, value) in values {
                claims.append(NAMES[name], HeaderValue::from_str(&value).unwrap());
            }
            let (after, client) = rewritten(claims, "9.9.9.9", &[]);
            let (expected, _) = rewritten(headers(&[("host", "gw")]), "9.9.9.9", &[]);
            prop_assert_eq!(after, expected);
            prop_assert_eq!(client, "9.9.9.9".parse::<IpAddr>().unwrap());
        }

        #[test]
        fn what_a_listed_proxy_hands_on_is_survived(value in "[0-9a-f.:, \\[\\]]{0,60}") {
            let mut claims = headers(&[("host", "gw")]);
            claims.append(FOR, HeaderValue::from_str(&value).unwrap());
            let (after, _) = rewritten(claims, "10.0.0.1", &["10.0.0.0/8".parse().unwrap()]);
            prop_assert!(after["x-forwarded-for"].to_str().unwrap().ends_with(", 10.0.0.1"));
        }
    }

    #[test]
    fn ipv6_is_quoted() {
        let (after, _) = rewritten(headers(&[("host", "gw")]), "2001:db8::1", &[]);
        assert_eq!(after["forwarded"], "for=\"[2001:db8::1]\";host=\"gw\";proto=http");
        let (after, _) = rewritten(headers(&[("host", "gw")]), "::ffff:9.9.9.9", &[]);
        assert_eq!(after["x-forwarded-for"], "9.9.9.9");
    }
}
