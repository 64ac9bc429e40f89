//! The one list of everything that can be configured.
//!
//! A row is a field of [`Config`], its type, its key, its default, and what it means. File, environment, flags, the
//! example file and the command lines of restarted parts are all made from it. To add a key, add a row; what keys mean
//! together is checked in [`super::check`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::routes::Routes;
use super::setting::{Issuer, LogFilter, LogFormat, Networks, OpsAccess, Origin, PastBound, Setting, Synchronous};
use super::sources::Layers;

/// A key as the example file shows it.
pub(crate) struct Key {
    /// `section.name`, or `name` outside of any section.
    pub(crate) path: &'static str,
    /// What it means, a line each.
    pub(crate) doc: &'static [&'static str],
    /// As a flag would give it; empty if there is none.
    pub(crate) default: &'static str,
    /// A value to show for a key without a default.
    pub(crate) example: &'static str,
    /// Writes a value that is given as text in the form of TOML.
    pub(crate) to_toml: fn(&str) -> Option<String>,
}

/// A section of the file.
pub(crate) struct Section {
    /// What it is about.
    pub(crate) about: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
}

macro_rules! registry {
    ($(
        $about:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $path:literal, $default:literal $(, example $example:literal)?;
            )+
        }
    )+) => {
        /// Everything that can be configured, with its type.
        #[derive(Debug, Clone)]
        pub(crate) struct Config {
            $($(
                $(#[doc = $doc])+
                pub(crate) $field: $type,
            )+)+
        }

        /// All keys, in the order of the example file.
        pub(crate) const SECTIONS: &[Section] = &[$(
            Section {
                about: $about,
                keys: &[$(
                    Key {
                        path: $path,
                        doc: &[$($doc),+],
                        default: $default,
                        example: concat!($($example)?),
                        to_toml: |text| <$type as Setting>::from_text(text).ok().map(|value| value.to_toml()),
                    },
                )+],
            },
        )+];

        impl Config {
            /// Reads every key; `None` if one of them is wrong, which `layers` keeps the error of.
            pub(super) fn read(layers: &mut Layers) -> Option<Self> {
                $($(let $field = layers.read::<$type>($path, $default);)+)+
                Some(Self { $($($field: $field?,)+)+ })
            }

            /// The keys whose values are not the defaults, with their values as text.
            pub(crate) fn changed(&self) -> Vec<(&'static str, String)> {
                let all = [$($(($path, $default, self.$field.to_text()),)+)+];
                all.into_iter()
                    .filter(|(_, default, value)| default != value)
                    .map(|(path, _, value)| (path, value))
                    .collect()
            }
        }
    };
}

registry! {
    "General." {
        /// The claim `iss` of every token, exactly as verifiers compare it: the URL at which clients reach the authority.
        /// `up` takes the authority's own address if it is not set.
        issuer: Option<Issuer> = "issuer", "", example "https://id.example.com";
        /// Lets listeners beyond loopback speak plain HTTP, and lets the issuer be such an address. Tokens and passwords
        /// then cross the network in the clear, unless something in front of Propusk encrypts. The feed carries keys: it
        /// never does.
        insecure_http: bool = "insecure_http", "false";
    }
    "Where each part listens. Port 0 is any free one." {
        /// The authority: JSON, OAuth, keys, admin API.
        listen_authority: SocketAddr = "listen.authority", "127.0.0.1:8081";
        /// The authority's gRPC, for verifiers.
        listen_feed: SocketAddr = "listen.feed", "127.0.0.1:0";
        /// The gateway.
        listen_gateway: SocketAddr = "listen.gateway", "127.0.0.1:8080";
        /// The demo service `users`.
        listen_users: SocketAddr = "listen.users", "127.0.0.1:0";
        /// The demo service `posts`.
        listen_posts: SocketAddr = "listen.posts", "127.0.0.1:0";
        /// The demo service `cars`.
        listen_cars: SocketAddr = "listen.cars", "127.0.0.1:0";
        /// Who may see `/-/live`, `/-/ready` and `/-/metrics`: "loopback" or "anywhere".
        listen_ops: OpsAccess = "listen.ops", "loopback";
    }
    "TLS for all listeners, and for the calls from part to part." {
        /// Certificate chain, PEM, the server's own certificate first; it is not one that signs others. For `up` it has to
        /// be valid for the addresses of the listeners, such as 127.0.0.1. Read again when it changes.
        tls_cert: Option<PathBuf> = "tls.cert", "", example "/etc/propusk/tls.crt";
        /// Its private key, PEM, mode 0600. Read again when it changes.
        tls_key: Option<PathBuf> = "tls.key", "", example "/etc/propusk/tls.key";
        /// The only certificates to trust in calls to authority, services and upstreams, PEM. If it is not set, those
        /// count that the machine trusts.
        tls_ca: Option<PathBuf> = "tls.ca", "", example "/etc/propusk/ca.crt";
    }
    "Log lines, on standard error." {
        /// "human", "json", or "auto": for people on a terminal, JSON elsewhere.
        log_format: LogFormat = "log.format", "auto";
        /// What is logged: a level, or a list such as "warn,propusk_server=debug".
        log_level: LogFilter = "log.level", "info";
    }
    "The SQLite file of the part that `serve` starts. `up` keeps its files in its data directory." {
        /// The file. It is made if it is not there.
        database_path: Option<PathBuf> = "database.path", "", example "/var/lib/propusk/authority.db";
        /// Of the authority. With "full", what was answered survives a power cut. "normal" may lose the last changes then,
        /// "off" the whole database: for tests.
        database_synchronous: Synchronous = "database.synchronous", "full";
    }
    "The key-encryption key, under which private keys are stored." {
        /// A file with 32 bytes in base64url, mode 0600. The variable PROPUSK_KEK may hold the key instead.
        kek_file: Option<PathBuf> = "kek.file", "", example "/etc/propusk/kek";
    }
    "Access tokens." {
        /// Their life; at most one hour. A service may have its own.
        token_access_ttl: Duration = "token.access_ttl", "10m";
        /// How far clocks may differ, at `exp`, `nbf` and `iat`.
        token_leeway: Duration = "token.leeway", "5s";
    }
    "Sessions of people." {
        /// A session ends after this long without a refresh.
        session_idle_ttl: Duration = "session.idle_ttl", "14d";
        /// A session ends after this long in any case.
        session_absolute_ttl: Duration = "session.absolute_ttl", "90d";
        /// How long a replayed refresh token still yields its successor; after that its session ends.
        refresh_grace: Duration = "refresh.grace", "20s";
    }
    "Passwords. Lengths are in code points after NFKC." {
        /// At least 8.
        password_min_length: u32 = "password.min_length", "15";
        /// At least 64.
        password_max_length: u32 = "password.max_length", "128";
        /// Passwords that nobody may take, beside the 30,000 most common ones: a text file, one a line, in whatever case.
        /// Eight bytes of memory each. Read at the start.
        password_blocklist_file: Option<PathBuf> = "password.blocklist_file", "", example "/etc/propusk/blocklist.txt";
        /// Slows down failing sign-ins by account and address, and failing clients. Only failures count.
        throttle_enabled: bool = "throttle.enabled", "true";
        /// The longest that somebody has to wait between two attempts.
        throttle_max_delay: Duration = "throttle.max_delay", "1m";
        /// argon2id (RFC 9106): memory in KiB. A password is hashed anew at its next sign-in when these change.
        argon2_m_kib: u32 = "argon2.m_kib", "19456";
        /// Passes.
        argon2_t: u32 = "argon2.t", "2";
        /// Lanes.
        argon2_p: u32 = "argon2.p", "1";
        /// How many sign-ins may wait for a thread that hashes; more are answered 503.
        argon2_queue: u32 = "argon2.queue", "64";
    }
    "Signing keys." {
        /// `max-age` of key sets and PEM files; a new key signs only after it has passed.
        keys_jwks_max_age: Duration = "keys.jwks_max_age", "1m";
        /// How long after a start no staged key becomes active, so that every verifier has been heard of.
        keys_settle: Duration = "keys.settle", "1m";
        /// How long a key signs before the next one takes over. "0s" is for ever: until `propusk keys rotate`.
        keys_rotate_every: Duration = "keys.rotate_every", "0s";
        /// Serve the access-token keys of all audiences at /.well-known/jwks.json. This gives up their isolation: a
        /// verifier that takes its keys from there takes any audience's.
        keys_publish_all: bool = "keys.publish_all", "false";
    }
    "What verifiers hold from the authority." {
        /// URL of the authority's gRPC listener, for gateway and services.
        feed_url: Option<Origin> = "feed.url", "", example "http://127.0.0.1:8082";
        /// How long a verifier may decide on elite endpoints from memory after it last heard. A revocation waits at most
        /// this long for a verifier that does not answer. "0s" grants no leases: elite endpoints ask online.
        feed_lease: Duration = "feed.lease", "3s";
        /// How often it renews.
        feed_renew: Duration = "feed.renew", "1s";
        /// Bound on how much faster one machine's clock may run than another's: 0.2 is 20 %.
        feed_drift: f64 = "feed.drift", "0.2";
        /// How long a call that revokes waits until that is enforced, before it answers who is outstanding. Longer than
        /// the lease.
        revoke_wait_limit: Duration = "revoke.wait_limit", "5s";
        /// How old a view ordinary endpoints may decide on.
        verify_max_staleness: Duration = "verify.max_staleness", "5s";
        /// What they do when it is older: "refuse" (503), "online" (ask), or "serve" (until the token's own end).
        verify_past_bound: PastBound = "verify.past_bound", "refuse";
    }
    "What answers tell." {
        /// Adds `Propusk-Decision` to answers: by what a token was judged, and how old that was. On under `up`.
        debug_decision_headers: bool = "debug.decision_headers", "false";
    }
    "The authority, and gateway and services as its clients." {
        /// Proxies in front of the authority, whose `Forwarded` and `X-Forwarded-For` count: addresses or blocks. The
        /// gateway is none of them: it is believed because it authenticates.
        authority_trusted_proxies: Networks = "authority.trusted_proxies", "";
        /// Base URL of the authority, for its clients.
        authority_url: Option<Origin> = "authority.url", "", example "http://127.0.0.1:8081";
    }
    "The gateway." {
        /// Its client at the authority: first-party, with the grants password and refresh_token.
        gateway_client_id: String = "gateway.client_id", "gateway";
        /// A file with that client's secret, mode 0600.
        gateway_client_secret_file: Option<PathBuf> = "gateway.client_secret_file", "", example "/etc/propusk/gateway.secret";
        /// A file with the key that seals session cookies: 32 bytes in base64url, mode 0600.
        gateway_cookie_key_file: Option<PathBuf> = "gateway.cookie_key_file", "", example "/etc/propusk/cookie-key";
        /// A file with the key before that one. Its cookies are still read, and replaced at their next refresh.
        gateway_previous_cookie_key_file: Option<PathBuf> = "gateway.previous_cookie_key_file", "", example "/etc/propusk/cookie-key.old";
        /// Where browsers see the gateway. If it is not set, the `Host` of a request counts.
        gateway_public_origin: Option<Origin> = "gateway.public_origin", "", example "https://example.com";
        /// Proxies in front of it, whose `Forwarded` and `X-Forwarded-*` count: addresses or blocks.
        gateway_trusted_proxies: Networks = "gateway.trusted_proxies", "";
        /// What is forwarded. A row has path ("/cars/**" is /cars and all below it), upstream and audience, and may have
        /// host, class ("ordinary" or "elite"), permission and past_bound (as verify.past_bound, for this route).
        /// `up` has its three services here if nothing is set.
        gateway_routes: Routes = "gateway.routes", "";
    }
    "A demo service, as `serve demo` starts it." {
        /// A file with the secret of its client, whose id is the service's name; mode 0600.
        demo_client_secret_file: Option<PathBuf> = "demo.client_secret_file", "", example "/etc/propusk/cars.secret";
        /// Base URL of `users`, which `posts` and `cars` call.
        demo_users_url: Option<Origin> = "demo.users_url", "", example "http://127.0.0.1:9001";
    }
}

/// All keys, in order.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_are_distinct_and_of_one_or_two_words() {
        let paths: BTreeSet<_> = keys().map(|key| key.path).collect();
        assert_eq!(paths.len(), keys().count());
        for path in paths {
            let words: Vec<_> = path.split('.').collect();
            assert!(words.len() <= 2, "{path}");
            let is_plain =
                |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            assert!(words.iter().all(is_plain) && !path.contains("__"), "{path}");
        }
    }

    /// Else a key that nobody touched would count as changed.
    #[test]
    fn defaults_are_written_as_they_are_read() {
        let config = Config::read(&mut Layers::default()).unwrap();
        assert_eq!(config.changed(), []);
    }

    #[test]
    fn a_key_has_a_default_or_an_example() {
        for key in keys() {
            let shown = [key.default, key.example].map(|text| (key.to_toml)(text).filter(|toml| !toml.is_empty()));
            assert!(shown.iter().any(Option::is_some), "{}", key.path);
            assert!(key.default.is_empty() || key.example.is_empty(), "{}", key.path);
            assert!(key.doc.iter().all(|line| line.starts_with(' ')), "{}", key.path);
        }
    }
}
