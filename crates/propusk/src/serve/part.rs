//! The parts of a system, and the command line that starts one.

use std::net::SocketAddr;

use clap::ValueEnum;

use crate::config::Config;

/// A part that can run as a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The authority.
    Authority,
    /// The gateway.
    Gateway,
    /// A demo service.
    Demo(Service),
}

/// The demo services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Service {
    /// People and their accounts.
    Users,
    /// Posts with their authors.
    Posts,
    /// Cars to buy.
    Cars,
}

impl Service {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Users, Self::Posts, Self::Cars];

    /// Its name, which is also its audience and its client at the authority.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Posts => "posts",
            Self::Cars => "cars",
        }
    }
}

impl Part {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Authority,
        Self::Gateway,
        Self::Demo(Service::Users),
        Self::Demo(Service::Posts),
        Self::Demo(Service::Cars),
    ];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Gateway => "gateway",
            Self::Demo(service) => service.name(),
        }
    }

    /// The key of the address where it listens.
    pub(crate) const fn listen_key(self) -> &'static str {
        match self {
            Self::Authority => "listen.authority",
            Self::Gateway => "listen.gateway",
            Self::Demo(Service::Users) => "listen.users",
            Self::Demo(Service::Posts) => "listen.posts",
            Self::Demo(Service::Cars) => "listen.cars",
        }
    }

    /// Where it listens.
    pub(crate) fn listen(self, config: &mut Config) -> &mut SocketAddr {
        match self {
            Self::Authority => &mut config.listen_authority,
            Self::Gateway => &mut config.listen_gateway,
            Self::Demo(Service::Users) => &mut config.listen_users,
            Self::Demo(Service::Posts) => &mut config.listen_posts,
            Self::Demo(Service::Cars) => &mut config.listen_cars,
        }
    }

    /// The arguments after `propusk` that start it with this configuration, of which nothing is left to a file or to
    /// the environment.
    pub(crate) fn arguments(self, config: &Config) -> Vec<String> {
        let command = match self {
            Self::Authority | Self::Gateway => vec!["serve", self.name()],
            Self::Demo(service) => vec!["serve", "demo", service.name()],
        };
        let changed = config.changed().into_iter().filter(|(key, _)| self.reads(key));
        let sets = changed.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
        command.into_iter().map(str::to_owned).chain(sets).collect()
    }

    /// Whether a key makes a difference to it. All addresses do: they are checked together.
    fn reads(self, key: &str) -> bool {
        let section = key.split('.').next().unwrap_or_default();
        let of_all = ["issuer", "insecure_http", "listen", "tls", "log", "debug", "token", "verify", "authority"];
        let own: &[&str] = match self {
            Self::Authority => {
                &["database", "kek", "session", "refresh", "password", "throttle", "argon2", "keys", "feed", "revoke"]
            }
            Self::Gateway => &["feed", "gateway", "revoke"],
            Self::Demo(_) => &["feed", "demo", "database", "revoke"],
        };
        of_all.contains(&section) || own.contains(&section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn a_part_is_started_again_with_the_same_settings() {
        let sets = [
            "issuer=http://127.0.0.1:1",
            "listen.cars=127.0.0.1:7003",
            "token.access_ttl=2m",
            "argon2.m_kib=8",
            "gateway.trusted_proxies=10.0.0.0/8,::1",
            "gateway.routes=[{path=\"/x\",upstream=\"http://127.0.0.1:2\",audience=\"x\"}]",
            "feed.lease=2s",
        ];
        let sources = Sources { sets: sets.map(str::to_owned).to_vec(), ..Sources::default() };
        let config = Config::load(&sources).unwrap();
        for part in Part::ALL {
            let arguments = part.arguments(&config);
            let sets = arguments.iter().filter(|argument| argument.contains('=')).cloned().collect();
            let again = Config::load(&Sources { sets, ..Sources::default() }).unwrap();
            let wanted: Vec<_> = config.changed().into_iter().filter(|(key, _)| part.reads(key)).collect();
            assert_eq!(again.changed(), wanted, "{}", part.name());
        }
        let cars = Part::Demo(Service::Cars).arguments(&config).join(" ");
        assert!(cars.starts_with("serve demo cars --set issuer=http://127.0.0.1:1"), "{cars}");
        assert!(cars.contains("listen.cars=127.0.0.1:7003") && !cars.contains("argon2"), "{cars}");
    }
}
