use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::registry::{SECTIONS, keys};
use super::*;

/// A file with this text, and the path to it.
fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn sources(text: &str, environment: &[(&str, &str)], sets: &[&str]) -> (Sources, tempfile::NamedTempFile) {
    let file = file(text);
    let sources = Sources {
        file: Some(file.path().to_owned()),
        environment: environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
        defaults: Vec::new(),
    };
    (sources, file)
}

fn load(text: &str, environment: &[(&str, &str)], sets: &[&str]) -> Result<Config, ConfigErrors> {
    Config::load(&sources(text, environment, sets).0)
}

/// Every error as text, the path of the temporary file left out.
fn errors(text: &str, environment: &[(&str, &str)], sets: &[&str]) -> Vec<String> {
    let (sources, file) = sources(text, environment, sets);
    let path = file.path().display().to_string();
    let errors = Config::load(&sources).unwrap_err().0;
    errors.iter().map(|error| error.to_string().replace(&path, "x.toml")).collect()
}

#[test]
fn the_defaults_are_those_that_are_documented() {
    let config = load("", &[], &[]).unwrap();
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    assert_eq!(config.token_access_ttl, Duration::from_secs(600));
    assert_eq!(config.token_leeway, Duration::from_secs(5));
    assert_eq!(config.session_idle_ttl, Duration::from_secs(14 * 86_400));
    assert_eq!(config.session_absolute_ttl, Duration::from_secs(90 * 86_400));
    assert_eq!(config.refresh_grace, Duration::from_secs(20));
    assert_eq!((config.password_min_length, config.password_max_length), (15, 128));
    assert!(config.throttle_enabled);
    assert_eq!(config.throttle_max_delay, Duration::from_secs(60));
    let argon2 = (config.argon2_m_kib, config.argon2_t, config.argon2_p, config.argon2_queue);
    assert_eq!(argon2, (19_456, 2, 1, 64));
    assert_eq!(config.database_synchronous, Synchronous::Full);
    assert_eq!(
        (config.listen_authority, config.listen_gateway),
        (address("127.0.0.1:8081"), address("127.0.0.1:8080"))
    );
    let drawn = [config.listen_feed, config.listen_users, config.listen_posts, config.listen_cars];
    assert_eq!(drawn, [address("127.0.0.1:0"); 4]);
    assert_eq!(config.listen_ops, OpsAccess::Loopback);
    assert_eq!((config.feed_lease, config.feed_renew), (Duration::from_secs(3), Duration::from_secs(1)));
    assert!((config.feed_drift - 0.2).abs() < f64::EPSILON);
    assert_eq!(config.verify_max_staleness, Duration::from_secs(5));
    assert_eq!(config.verify_past_bound, PastBound::Refuse);
    assert_eq!(config.revoke_wait_limit, Duration::from_secs(5));
    assert_eq!((config.keys_jwks_max_age, config.keys_settle), (Duration::from_secs(60), Duration::from_secs(60)));
    assert!(!config.keys_publish_all && !config.debug_decision_headers && !config.insecure_http);
}

#[test]
fn the_example_is_read_as_the_defaults() {
    let config = load(&example(), &[], &[]).unwrap();
    assert_eq!(config.changed(), []);
    for key in keys() {
        let name = key.path.rsplit('.').next().unwrap();
        assert!(example().contains(&format!("{name} = ")), "{}", key.path);
    }
}

/// What it shows for keys without a default is right as well.
#[test]
fn the_examples_of_the_example_are_right() {
    let text: String = example()
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|rest| rest.split_once(" = ").is_some_and(|(name, _)| is_name(name)))
                .unwrap_or(line)
        })
        .collect::<Vec<_>>()
        .join("\n");
    let config = load(&text, &[], &[]).unwrap();
    let without = SECTIONS.iter().flat_map(|section| section.keys).filter(|key| !key.example.is_empty());
    let changed: Vec<_> = config.changed().into_iter().map(|(path, _)| path).collect();
    assert_eq!(changed, without.map(|key| key.path).collect::<Vec<_>>());
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// `cargo xtask example` writes it; this test says so before CI does.
#[test]
fn the_checked_in_example_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../propusk.example.toml");
    let checked_in = std::fs::read_to_string(path).unwrap();
    assert_eq!(checked_in, example(), "run: cargo xtask example");
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let text = "[token]\naccess_ttl = \"4m\"\nleeway = \"4s\"\n[refresh]\ngrace = \"4s\"\n";
    let environment = [("PROPUSK_TOKEN__ACCESS_TTL", "3m"), ("PROPUSK_TOKEN__LEEWAY", "3s")];
    let config = load(text, &environment, &["token.access_ttl=1m", "token.access_ttl=2m"]).unwrap();
    assert_eq!(config.token_access_ttl, Duration::from_secs(120), "the last flag");
    assert_eq!(config.token_leeway, Duration::from_secs(3), "the environment");
    assert_eq!(config.refresh_grace, Duration::from_secs(4), "the file");
    assert_eq!(config.feed_lease, Duration::from_secs(3), "the default");
}

#[test]
fn a_command_may_have_defaults_of_its_own_which_everything_else_overrides() {
    let (mut sources, _file) = sources("[debug]\ndecision_headers = false\n", &[], &[]);
    sources.defaults = vec![("debug.decision_headers", "true".to_owned()), ("listen.cars", "127.0.0.1:7".to_owned())];
    let config = Config::load(&sources).unwrap();
    assert!(!config.debug_decision_headers);
    assert_eq!(config.listen_cars, "127.0.0.1:7".parse().unwrap());
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place_and_what_would_be_right() {
    let text = "\
issuer = \"id.example.com\"
insecure_htp = true
[token]
access_ttl = 600
leeway = \"5 s\"
[listen]
cars = \"localhost:1\"
[nonsense]
key = 1
[argon2]
p = -1
";
    let environment = [("PROPUSK_FEED__LEESE", "1s"), ("PROPUSK_FEED__DRIFT", "much"), ("PATH", "/bin")];
    let found = errors(text, &environment, &["token.acces_ttl=1m", "no equals sign"]);
    let wanted = [
        "x.toml:2:1: insecure_htp: there is no such key; did you mean insecure_http?",
        "x.toml:9:1: nonsense.key: there is no such key; `propusk config example` shows all of them",
        "PROPUSK_FEED__LEESE: feed.leese: there is no such key; did you mean feed.lease?",
        "--set: token.acces_ttl: there is no such key; did you mean token.access_ttl?",
        "--set: \"no equals sign\" is not of the form KEY=VALUE, as in token.access_ttl=5m",
        "x.toml:1:1: issuer: \"id.example.com\" is not a URL such as https://id.example.com, without query, fragment or slash at the end",
        "x.toml:7:1: listen.cars: \"localhost:1\" is not an address with a port, such as \"127.0.0.1:8081\" or \"[::1]:0\"",
        "x.toml:4:1: token.access_ttl: 600 is not a duration such as \"250ms\", \"5s\", \"10m\", \"2h\" or \"14d\"",
        "x.toml:5:1: token.leeway: \"5 s\" is not a duration such as \"250ms\", \"5s\", \"10m\", \"2h\" or \"14d\"",
        "x.toml:11:1: argon2.p: -1 is not a whole number from 0 to 4294967295",
        "PROPUSK_FEED__DRIFT: feed.drift: \"much\" is not a number such as 0.2",
    ];
    for error in wanted {
        assert!(found.iter().any(|found| found == error), "missing: {error}\nfound: {found:#?}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_named() {
    let found = errors("[token\n", &[], &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("x.toml:1:7: is not TOML: "), "{found:?}");
    let sources = Sources { file: Some("/nonexistent/x.toml".into()), ..Sources::default() };
    let error = Config::load(&sources).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/x.toml: cannot be read"), "{error}");
}

#[test]
fn documented_variables_with_our_prefix_are_no_keys() {
    for name in super::sources::OTHER_VARIABLES {
        load("", &[(name, "whatever")], &[]).unwrap();
    }
    let found = errors("", &[("PROPUSK_TOKENS", "x")], &[]);
    assert!(found[0].starts_with("PROPUSK_TOKENS: tokens: there is no such key"), "{found:?}");
}

#[test]
fn a_variable_that_is_no_utf8_is_an_error_and_not_a_replacement_character() {
    use std::os::unix::ffi::OsStringExt as _;
    let value = OsString::from_vec(vec![0xff]);
    let sources = Sources { environment: vec![("PROPUSK_ISSUER".into(), value)], ..Sources::default() };
    let error = Config::load(&sources).unwrap_err().to_string();
    assert!(error.contains("PROPUSK_ISSUER: issuer: is not UTF-8"), "{error}");
}

/// A rule that is broken, the flags that break it, and the key that the error names.
#[test]
fn rules_over_several_keys() {
    let broken: &[(&[&str], &str)] = &[
        (&["token.access_ttl=61m"], "token.access_ttl: 61m is more than 1h"),
        (&["token.access_ttl=0s"], "token.access_ttl: 0s is less than 1s"),
        (&["token.leeway=6m"], "token.leeway: 6m is more than 5m"),
        (&["session.idle_ttl=91d"], "session.idle_ttl: 91d is longer than session.absolute_ttl, 90d"),
        (&["password.min_length=7"], "password.min_length: 7 is less than 8"),
        (&["password.max_length=63"], "password.max_length: 63 is not from 64 to 4096"),
        (&["password.min_length=100", "password.max_length=64"], "password.min_length: 100 is more than"),
        (&["argon2.m_kib=7"], "argon2.m_kib: 7 is not from 8"),
        (&["argon2.p=4", "argon2.m_kib=31"], "argon2.m_kib: 31 is not from 32 (8 for each lane)"),
        (&["argon2.queue=0"], "argon2.queue: 0 is not from 1"),
        (&["feed.drift=0.5"], "feed.drift: 0.5 is not from 0 to under 0.5"),
        (&["feed.drift=-0.1"], "feed.drift: -0.1 is not"),
        (&["feed.drift=NaN"], "feed.drift: \"NaN\" is not a number"),
        (&["revoke.wait_limit=3s"], "revoke.wait_limit: 3s is not longer than feed.lease, 3s"),
        (&["feed.lease=8s"], "revoke.wait_limit: 5s is not longer than feed.lease, 8s"),
        (&["feed.renew=2400ms"], "feed.renew: 2400ms is not shorter than feed.lease less feed.drift, 2400ms"),
        (&["keys.rotate_every=59s"], "keys.rotate_every: 59s is less than 1m"),
        (&["verify.max_staleness=1s"], "verify.max_staleness: 1s less feed.drift is not longer than feed.renew, 1s"),
        (&["listen.gateway=0.0.0.0:80"], "listen.gateway: 0.0.0.0:80 is reached from other machines, without TLS."),
        (&["listen.feed=[::]:80"], "listen.feed: [::]:80 is reached from other machines"),
        (&["listen.cars=127.0.0.1:8080"], "listen.cars: 127.0.0.1:8080 is taken by listen.gateway"),
        (&["issuer=http://id.example.com"], "issuer: http://id.example.com is plain HTTP to another machine."),
        (&["feed.url=http://10.0.0.1:1"], "feed.url: http://10.0.0.1:1 is plain HTTP to another machine."),
        (&["listen.feed=0.0.0.0:80", "insecure_http=true"], "listen.feed: 0.0.0.0:80 is reached from other machines"),
        (&["feed.url=http://10.0.0.1:1", "insecure_http=true"], "The feed carries keys: use https"),
        (&["tls.cert=/x"], "tls.cert: tls.cert and tls.key belong together"),
        (&["tls.key=/x"], "tls.cert: tls.cert and tls.key belong together"),
    ];
    for (sets, wanted) in broken {
        let found = errors("", &[], sets);
        assert!(found.iter().any(|error| error.contains(wanted)), "{sets:?}: {wanted}: {found:?}");
    }
    let kept: &[&[&str]] = &[
        &["token.access_ttl=1h"],
        &["feed.lease=0s", "revoke.wait_limit=1s"],
        &["feed.lease=8s", "revoke.wait_limit=9s"],
        &["keys.rotate_every=2s", "keys.jwks_max_age=2s"],
        &["listen.gateway=0.0.0.0:80", "insecure_http=true"],
        &["listen.gateway=0.0.0.0:80", "listen.feed=[::]:81", "tls.cert=/x", "tls.key=/y"],
        &["tls.ca=/x"],
        &["listen.gateway=[::ffff:127.0.0.1]:80"],
        &["issuer=http://localhost:8081"],
        &["issuer=https://id.example.com/tenant", "feed.url=https://10.0.0.1:1"],
        &["listen.cars=127.0.0.1:0", "listen.users=127.0.0.1:0"],
    ];
    for sets in kept {
        if let Err(error) = load("", &[], sets) {
            panic!("{sets:?}: {error}");
        }
    }
}

#[test]
fn wrong_values_and_broken_rules_of_others_are_told_together() {
    let found = errors("[feed]\nlease = \"8s\"\n[token]\nunknown = 1\n", &[], &[]);
    assert!(found.iter().any(|error| error.contains("token.unknown")), "{found:?}");
    assert!(found.iter().any(|error| error.contains("revoke.wait_limit")), "{found:?}");
}

#[test]
fn routes_come_from_tables_and_from_flags() {
    let text = "[[gateway.routes]]\npath = \"/x/**\"\nupstream = \"http://127.0.0.1:1\"\naudience = \"x\"\n";
    let from_file = load(text, &[], &[]).unwrap().gateway_routes;
    let flag = format!("gateway.routes={}", from_file.to_text());
    assert_eq!(load("", &[], &[&flag]).unwrap().gateway_routes, from_file);
    assert_eq!(from_file.0, [RouteSpec::ordinary("/x/**", "http://127.0.0.1:1", "x")]);
}

proptest! {
    /// Whatever is typed, there is an answer, and never a value that was not asked for.
    #[test]
    fn durations_of_flags_are_those_of_the_duration_or_errors(text in "[0-9]{0,6}(ms|s|m|h|d|x|)") {
        match (load("", &[], &[&format!("session.absolute_ttl={text}"), "session.idle_ttl=1s"]), super::duration::parse(&text)) {
            (Ok(config), Some(duration)) => prop_assert_eq!(config.session_absolute_ttl, duration),
            (Ok(_), None) => prop_assert!(false, "{} was taken", text),
            (Err(_), Some(duration)) => prop_assert!(duration < Duration::from_secs(1), "{} was refused", text),
            (Err(_), None) => {}
        }
    }

    #[test]
    fn no_file_makes_it_panic(text in "\\PC{0,80}") {
        let _ = load(&text, &[], &[]);
    }
}
