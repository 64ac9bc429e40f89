//! What values mean by themselves and together: a rule each, all of them tried.

use std::net::SocketAddr;
use std::time::Duration;

use url::{Host, Url};

use super::duration::format as shown;
use super::registry::Config;
use super::setting::Setting as _;
use super::sources::ConfigError;

/// The longest lease: nobody should wait longer for a revocation.
const MAX_LEASE: Duration = Duration::from_secs(60);
/// Larger differences between clocks are faults to be mended, not tolerated.
const MAX_LEEWAY: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);
/// 4 GiB: a larger number is a slip.
const MAX_ARGON2_KIB: u32 = 4 * 1024 * 1024;

/// Every rule that `config` breaks.
pub(super) fn check(config: &Config) -> Vec<ConfigError> {
    let mut rules = Rules::default();
    tokens_and_sessions(config, &mut rules);
    passwords(config, &mut rules);
    feed(config, &mut rules);
    keys(config, &mut rules);
    listeners(config, &mut rules);
    addresses(config, &mut rules);
    rules.broken
}

#[derive(Default)]
struct Rules {
    broken: Vec<ConfigError>,
}

impl Rules {
    /// Notes `problem` unless the rule holds.
    fn demand(&mut self, holds: bool, key: &str, problem: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(ConfigError { place: None, key: Some(key.to_owned()), problem: problem() });
        }
    }

    fn at_most(&mut self, key: &str, value: Duration, most: Duration) {
        self.demand(value <= most, key, || format!("{} is more than {}", shown(value), shown(most)));
    }

    fn at_least(&mut self, key: &str, value: Duration, least: Duration) {
        self.demand(value >= least, key, || format!("{} is less than {}", shown(value), shown(least)));
    }
}

fn tokens_and_sessions(config: &Config, rules: &mut Rules) {
    rules.at_least("token.access_ttl", config.token_access_ttl, SECOND);
    rules.at_most("token.access_ttl", config.token_access_ttl, propusk_core::settings::MAX_ACCESS_TTL);
    rules.at_most("token.leeway", config.token_leeway, MAX_LEEWAY);
    rules.at_least("session.idle_ttl", config.session_idle_ttl, SECOND);
    let (idle, absolute) = (config.session_idle_ttl, config.session_absolute_ttl);
    rules.demand(idle <= absolute, "session.idle_ttl", || {
        format!("{} is longer than session.absolute_ttl, {}", shown(idle), shown(absolute))
    });
    rules.at_most("refresh.grace", config.refresh_grace, Duration::from_secs(600));
}

fn passwords(config: &Config, rules: &mut Rules) {
    let (min, max) = (config.password_min_length, config.password_max_length);
    rules.demand(min >= 8, "password.min_length", || format!("{min} is less than 8"));
    rules.demand((64..=4096).contains(&max), "password.max_length", || format!("{max} is not from 64 to 4096"));
    rules.demand(min <= max, "password.min_length", || format!("{min} is more than password.max_length, {max}"));
    let (memory, passes, lanes) = (config.argon2_m_kib, config.argon2_t, config.argon2_p);
    rules.demand((1..=255).contains(&lanes), "argon2.p", || format!("{lanes} is not from 1 to 255"));
    rules.demand((1..=1000).contains(&passes), "argon2.t", || format!("{passes} is not from 1 to 1000"));
    let least = lanes.saturating_mul(8);
    rules.demand((least..=MAX_ARGON2_KIB).contains(&memory), "argon2.m_kib", || {
        format!("{memory} is not from {least} (8 for each lane) to {MAX_ARGON2_KIB}")
    });
    let queue = config.argon2_queue;
    rules.demand((1..=100_000).contains(&queue), "argon2.queue", || format!("{queue} is not from 1 to 100000"));
    rules.at_least("throttle.max_delay", config.throttle_max_delay, SECOND);
    rules.at_most("throttle.max_delay", config.throttle_max_delay, Duration::from_secs(3600));
}

fn feed(config: &Config, rules: &mut Rules) {
    let (lease, renew, drift) = (config.feed_lease, config.feed_renew, config.feed_drift);
    let limit = config.revoke_wait_limit;
    rules.at_most("feed.lease", lease, MAX_LEASE);
    rules.at_least("feed.renew", renew, Duration::from_millis(10));
    rules.demand(limit > lease, "revoke.wait_limit", || {
        format!("{} is not longer than feed.lease, {}", shown(limit), shown(lease))
    });
    rules.at_most("revoke.wait_limit", limit, Duration::from_secs(60));
    let is_drift = (0.0..0.5).contains(&drift);
    rules.demand(is_drift, "feed.drift", || format!("{drift} is not from 0 to under 0.5"));
    if !is_drift {
        return;
    }
    let usable = |whole: Duration| whole.mul_f64(1.0 - drift);
    rules.demand(lease.is_zero() || renew < usable(lease), "feed.renew", || {
        format!("{} is not shorter than feed.lease less feed.drift, {}", shown(renew), shown(usable(lease)))
    });
    let bound = config.verify_max_staleness;
    rules.demand(renew < usable(bound), "verify.max_staleness", || {
        format!("{} less feed.drift is not longer than feed.renew, {}", shown(bound), shown(renew))
    });
}

/// No faster than those who fetch key sets can follow.
fn keys(config: &Config, rules: &mut Rules) {
    let every = config.keys_rotate_every;
    if !every.is_zero() {
        rules.at_least("keys.rotate_every", every, config.keys_jwks_max_age.max(SECOND));
    }
}

fn listeners(config: &Config, rules: &mut Rules) {
    let all = listeners_of(config);
    rules.demand(config.tls_cert.is_some() == config.tls_key.is_some(), "tls.cert", || {
        "tls.cert and tls.key belong together".to_owned()
    });
    for (index, (key, address)) in all.iter().enumerate() {
        let is_safe = config.tls_cert.is_some() || address.ip().to_canonical().is_loopback();
        let is_feed = *key == FEED;
        rules.demand(is_safe || is_feed || config.insecure_http, key, || {
            format!("{address} is reached from other machines, without TLS. Set tls.cert and tls.key, listen on 127.0.0.1, or set insecure_http=true if something in front encrypts")
        });
        rules.demand(is_safe || !is_feed, key, || {
            format!("{address} is reached from other machines, without TLS. The feed carries keys, so insecure_http is not for it: set tls.cert and tls.key, or listen on 127.0.0.1")
        });
        let same = all.iter().take(index).find(|(_, other)| other == address && address.port() != 0);
        if let Some((other, _)) = same {
            rules.demand(false, key, || format!("{address} is taken by {other}"));
        }
    }
}

/// The listener for verifiers.
const FEED: &str = "listen.feed";

/// The key and value of every listener.
fn listeners_of(config: &Config) -> [(&'static str, SocketAddr); 6] {
    [
        ("listen.authority", config.listen_authority),
        (FEED, config.listen_feed),
        ("listen.gateway", config.listen_gateway),
        ("listen.users", config.listen_users),
        ("listen.posts", config.listen_posts),
        ("listen.cars", config.listen_cars),
    ]
}

/// Secrets and tokens go to these: in the clear only within the machine.
fn addresses(config: &Config, rules: &mut Rules) {
    let all = [
        ("issuer", config.issuer.to_text()),
        ("authority.url", config.authority_url.to_text()),
        ("demo.users_url", config.demo_users_url.to_text()),
    ];
    for (key, text) in all {
        rules.demand(!is_plain(&text) || config.insecure_http, key, || {
            format!("{text} is plain HTTP to another machine. Use https, or set insecure_http=true")
        });
    }
    let feed = config.feed_url.to_text();
    rules.demand(!is_plain(&feed), "feed.url", || {
        format!("{feed} is plain HTTP to another machine. The feed carries keys: use https")
    });
}

fn is_plain(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
