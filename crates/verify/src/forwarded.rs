//! Who is behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`, of which only what a listed proxy says counts.
//!
//! Both grow at their right end, so they are read from there: what the nearest proxy saw is believed if that proxy is
//! listed, what the one before it saw if that one is listed too, and so on. A proxy that writes one of the two hands on
//! the other as its client made it up; so where both are there and do not agree, neither counts, and the client is as
//! good as the proxy itself.

use std::net::IpAddr;
use std::str::FromStr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// An address block such as `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address that came in over IPv6 counts as the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an address or a block like 10.0.0.0/8");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.parse::<u32>().map_err(|_| wrong()))?;
        if prefix > longest { Err(wrong()) } else { Ok(Self { address: address.to_canonical(), prefix }) }
    }
}

/// The address of the client: that of the connection, or, behind listed proxies, the first from our side that is none.
#[must_use]
pub fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return peer;
    }
    let farthest = |chain: Vec<Option<IpAddr>>| {
        let mut client = peer;
        for address in chain.into_iter().rev() {
            let Some(address) = address else { break };
            client = address;
            if !is_trusted(client) {
                break;
            }
        }
        client
    };
    match (forwarded(headers).map(farthest), forwarded_for(headers).map(farthest)) {
        (None, None) => peer,
        (Some(client), None) | (None, Some(client)) => client,
        (Some(one), Some(other)) => {
            if one == other {
                one
            } else {
                peer
            }
        }
    }
}

/// The address that the first one to forward a request says it is from: to be believed of somebody who is known to have
/// written the header anew.
#[must_use]
pub fn said_first(headers: &HeaderMap) -> Option<IpAddr> {
    forwarded(headers).or_else(|| forwarded_for(headers))?.first().copied().flatten()
}

/// The `for` of each element of `Forwarded`; `None` without such a header.
fn forwarded(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let node = |element: &str| {
        let pairs = outside_quotes(element, ';');
        let node = pairs.iter().find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            name.eq_ignore_ascii_case("for").then_some(value)
        })?;
        let quoted = node.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        address_of(quoted.unwrap_or(node))
    };
    joined(headers, &FORWARDED).map(|text| outside_quotes(&text, ',').into_iter().map(node).collect())
}

fn forwarded_for(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    joined(headers, &FORWARDED_FOR).map(|text| text.split(',').map(|node| address_of(node.trim())).collect())
}

/// All lines of a header as one. What is not text is no address either.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// A node of RFC 7239 section 6, if it is an address: with or without a port, and IPv6 in brackets or bare.
fn address_of(node: &str) -> Option<IpAddr> {
    let address = if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        (port.is_empty() || port.starts_with(':')).then_some(address)?
    } else {
        match node.split_once(':') {
            Some((address, port)) if !port.contains(':') => address,
            _ => node,
        }
    };
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c: char| {
        let ends = c == separator && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        ends
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn client(lines: &[(&'static str, &str)], peer: &str) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client_address(&headers(lines), peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn networks() {
        let ten: Network = "10.0.0.0/8".parse().unwrap();
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.1.1".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
        let one: Network = "::1".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()));
        assert!(!one.contains("::2".parse().unwrap()));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "a/8", "1.2.3.4/"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_stranger_says_does_not_count() {
        let claims = [("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "1.1.1.1")];
        assert_eq!(client(&claims, "9.9.9.9"), "9.9.9.9");
        assert_eq!(client(&claims, "::ffff:9.9.9.9"), "9.9.9.9");
    }

    #[test]
    fn a_listed_proxy_is_believed_up_to_the_first_that_is_not_listed() {
        for (chain, expected) in [
            ("1.1.1.1", "1.1.1.1"),
            ("6.6.6.6, 1.1.1.1", "1.1.1.1"),
            ("6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("1.1.1.1:8080, fd00::1", "1.1.1.1"),
            ("2001:db8::7, [fd00::1]:443", "2001:db8::7"),
            ("6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"),
            ("6.6.6.6, nonsense", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client(&[("x-forwarded-for", chain)], "10.0.0.1"), expected, "{chain}");
        }
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1")];
        assert_eq!(client(&lines, "10.0.0.1"), "1.1.1.1");
    }

    #[test]
    fn nodes_of_rfc_7239() {
        for (value, expected) in [
            ("for=1.1.1.1", "1.1.1.1"),
            ("For=\"1.1.1.1:4711\"; proto=https;by=10.0.0.1", "1.1.1.1"),
            ("proto=http;for=\"[2001:db8::17]:4711\"", "2001:db8::17"),
            ("for=6.6.6.6, for=1.1.1.1, for=10.0.0.2", "1.1.1.1"),
            ("for=6.6.6.6;host=\"a,for=7.7.7.7\"", "6.6.6.6"),
            ("for=\"a\\\",\", for=1.1.1.1", "1.1.1.1"),
            ("for=6.6.6.6, for=unknown", "10.0.0.1"),
            ("for=6.6.6.6, for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("for=6.6.6.6, proto=https", "10.0.0.1"),
        ] {
            assert_eq!(client(&[("forwarded", value)], "10.0.0.1"), expected, "{value}");
        }
    }

    #[test]
    fn a_header_that_the_proxy_hands_on_unseen_convinces_nobody() {
        let agree = [("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "6.6.6.6, 1.1.1.1")];
        assert_eq!(client(&agree, "10.0.0.1"), "1.1.1.1");
        let made_up = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "1.1.1.1")];
        assert_eq!(client(&made_up, "10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn who_was_named_first() {
        let first = |lines: &[(&'static str, &str)]| said_first(&headers(lines)).map(|address| address.to_string());
        assert_eq!(first(&[]), None);
        assert_eq!(first(&[("forwarded", "for=\"[2001:db8::1]\", for=10.0.0.1")]).as_deref(), Some("2001:db8::1"));
        assert_eq!(first(&[("x-forwarded-for", "1.1.1.1, 10.0.0.1")]).as_deref(), Some("1.1.1.1"));
        assert_eq!(first(&[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "9.9.9.9")]).as_deref(), Some("1.1.1.1"));
        assert_eq!(first(&[("forwarded", "for=unknown")]), None);
    }

    proptest! {
        #[test]
        fn what_was_there_before_the_proxy_s_own_entry_changes_nothing(before in "[0-9a-f.:, \\[\\]=;\"for\\\\]{0,60}") {
            // An open quote makes the rest of `Forwarded` one element, which then is no address: the proxy's own counts.
            let chain = format!("{before}, 1.1.1.1");
            prop_assert_eq!(client(&[("x-forwarded-for", &chain)], "10.0.0.1"), "1.1.1.1");
            let chain = format!("{before}, for=1.1.1.1");
            let seen = client(&[("forwarded", &chain)], "10.0.0.1");
            prop_assert!(seen == "1.1.1.1" || (before.contains('"') && seen == "10.0.0.1"), "{}", seen);
        }
    }
}
