//! The types that a setting can have: how each is read from a flag, from the environment and from a TOML file, and how
//! it is written.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use propusk_verify::forwarded::Network;
use serde_json::Value;
use url::Url;

use super::duration;

/// A type that a key of the configuration can have.
///
/// A flag or variable gives a text; a file gives a value of TOML, which has to be of the right kind: `"5"` is no number
/// there. An error says what is wrong and what would be right.
pub(crate) trait Setting: Sized {
    /// What would be right, after "is not".
    const WANTED: &'static str;

    /// From a flag or the environment.
    fn from_text(text: &str) -> Result<Self, String>;

    /// From a TOML file.
    fn from_toml(value: &Value) -> Result<Self, String>;

    /// As [`Setting::from_text`] reads it; empty if it is not set.
    fn to_text(&self) -> String;

    /// As a TOML file has it.
    fn to_toml(&self) -> String {
        quoted(&self.to_text())
    }
}

/// `shown is not WANTED`.
pub(super) fn not_wanted<T: Setting>(shown: impl std::fmt::Display) -> String {
    format!("{shown} is not {}", T::WANTED)
}

/// Settings that TOML has no type for are strings there, of the same form as everywhere else.
fn from_toml_string<T: Setting>(value: &Value) -> Result<T, String> {
    value.as_str().map_or_else(|| Err(not_wanted::<T>(value)), T::from_text)
}

/// A basic string of TOML, which JSON's form is one of.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl Setting for Duration {
    const WANTED: &'static str = "a duration such as \"250ms\", \"5s\", \"10m\", \"2h\" or \"14d\"";

    fn from_text(text: &str) -> Result<Self, String> {
        duration::parse(text).ok_or_else(|| not_wanted::<Self>(quoted(text)))
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        from_toml_string(value)
    }

    fn to_text(&self) -> String {
        duration::format(*self)
    }
}

impl Setting for bool {
    const WANTED: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| not_wanted::<Self>(quoted(text)))
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| not_wanted::<Self>(value))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    const WANTED: &'static str = "a whole number from 0 to 4294967295";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| not_wanted::<Self>(quoted(text)))
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_u64().and_then(|number| Self::try_from(number).ok()).ok_or_else(|| not_wanted::<Self>(value))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl Setting for f64 {
    const WANTED: &'static str = "a number such as 0.2";

    fn from_text(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number: &Self| number.is_finite());
        number.ok_or_else(|| not_wanted::<Self>(quoted(text)))
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_f64().ok_or_else(|| not_wanted::<Self>(value))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }

    fn to_toml(&self) -> String {
        // `0` would be an integer.
        format!("{self:?}")
    }
}

impl Setting for SocketAddr {
    const WANTED: &'static str = "an address with a port, such as \"127.0.0.1:8081\" or \"[::1]:0\"";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| not_wanted::<Self>(quoted(text)))
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        from_toml_string(value)
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const WANTED: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        from_toml_string(value)
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    const WANTED: &'static str = "a path";

    fn from_text(text: &str) -> Result<Self, String> {
        String::from_text(text).map(Self::from)
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        from_toml_string(value)
    }

    fn to_text(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

/// A setting without a default. On a flag or in the environment the empty text unsets it.
impl<T: Setting> Setting for Option<T> {
    const WANTED: &'static str = T::WANTED;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        T::from_toml(value).map(Some)
    }

    fn to_text(&self) -> String {
        self.as_ref().map(T::to_text).unwrap_or_default()
    }

    fn to_toml(&self) -> String {
        self.as_ref().map(T::to_toml).unwrap_or_default()
    }
}

/// Scheme, host and port of a server, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) String);

impl Setting for Origin {
    const WANTED: &'static str = "of the form http://host:port or https://host";

    fn from_text(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| {
            let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            is_http(url) && bare
        });
        match url {
            Some(_) => Ok(Self(text.trim_end_matches('/').to_owned())),
            None => Err(not_wanted::<Self>(quoted(text))),
        }
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        from_toml_string(value)
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

/// The claim `iss`: a URL, kept exactly as it was written, because verifiers compare it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuer(pub(crate) String);

impl Setting for Issuer {
    const WANTED: &'static str = "a URL such as https://id.example.com, without query, fragment or slash at the end";

    fn from_text(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| is_http(url) && url.query().is_none() && url.fragment().is_none());
        match url {
            Some(_) if !text.ends_with('/') => Ok(Self(text.to_owned())),
            _ => Err(not_wanted::<Self>(quoted(text))),
        }
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        from_toml_string(value)
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

fn is_http(url: &Url) -> bool {
    let anonymous = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && anonymous
}

/// What `log.level` is: a directive list of `tracing_subscriber`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter(pub(crate) String);

impl Setting for LogFilter {
    const WANTED: &'static str =
        "a level (error, warn, info, debug, trace) or a list such as \"warn,propusk_server=debug\"";

    fn from_text(text: &str) -> Result<Self, String> {
        match tracing_subscriber::EnvFilter::builder().parse(text) {
            Ok(_) if !text.is_empty() => Ok(Self(text.to_owned())),
            _ => Err(not_wanted::<Self>(quoted(text))),
        }
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        from_toml_string(value)
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

/// Address blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Networks(Vec<String>);

impl Networks {
    /// Parsed; each was checked when it was read.
    pub(crate) fn parsed(&self) -> Vec<Network> {
        self.0.iter().filter_map(|text| text.parse().ok()).collect()
    }
}

impl Setting for Networks {
    const WANTED: &'static str = "a list of addresses or blocks such as [\"10.0.0.0/8\", \"127.0.0.1\"]";

    /// Separated by commas.
    fn from_text(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| item.parse::<Network>().map(|_| item.to_owned())).collect::<Result<_, _>>().map(Self)
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        let items = value.as_array().ok_or_else(|| not_wanted::<Self>(value))?;
        let texts = items.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
        Self::from_text(&texts.ok_or_else(|| not_wanted::<Self>(value))?.join(","))
    }

    fn to_text(&self) -> String {
        self.0.join(",")
    }

    fn to_toml(&self) -> String {
        format!("[{}]", self.0.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
    }
}

/// An enumeration of words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident: $wanted:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl Setting for $name {
            const WANTED: &'static str = $wanted;

            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(not_wanted::<Self>(quoted(text))),
                }
            }

            fn from_toml(value: &Value) -> Result<Self, String> {
                from_toml_string(value)
            }

            fn to_text(&self) -> String {
                match self { $(Self::$variant => $word,)+ }.to_owned()
            }
        }
    };
}

words! {
    /// How log lines are written.
    LogFormat: "one of \"auto\", \"human\", \"json\"" {
        /// For people on a terminal, as JSON elsewhere.
        Auto = "auto",
        /// For people.
        Human = "human",
        /// JSON, one object a line.
        Json = "json",
    }
}

words! {
    /// Who may see `/-/live`, `/-/ready` and `/-/metrics`.
    OpsAccess: "one of \"loopback\", \"anywhere\"" {
        /// Only processes on this machine.
        Loopback = "loopback",
        /// Everybody who reaches the listener.
        Anywhere = "anywhere",
    }
}

words! {
    /// `PRAGMA synchronous` of SQLite.
    Synchronous: "one of \"full\", \"normal\", \"off\"" {
        /// What was answered survives a power cut.
        Full = "full",
        /// The last commits may be lost at a power cut, never by a crash of the process.
        Normal = "normal",
        /// A power cut may destroy the database; a crash of the process does not.
        Off = "off",
    }
}

words! {
    /// What an ordinary endpoint does when its view of the authority is older than the bound.
    PastBound: "one of \"refuse\", \"online\", \"serve\"" {
        /// Answer 503.
        Refuse = "refuse",
        /// Ask the authority.
        Online = "online",
        /// Go on until the token's own end.
        Serve = "serve",
    }
}

words! {
    /// How current the decision on a token has to be.
    RouteClass: "one of \"ordinary\", \"elite\"" {
        /// From memory, within the bound on staleness.
        Ordinary = "ordinary",
        /// On the current state.
        Elite = "elite",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_must_have_the_right_kind() {
        assert_eq!(u32::from_toml(&json!(5)), Ok(5));
        assert!(u32::from_toml(&json!("5")).is_err());
        assert!(u32::from_toml(&json!(-5)).is_err());
        assert!(bool::from_toml(&json!("true")).is_err());
        assert!(Duration::from_toml(&json!(5)).unwrap_err().starts_with("5 is not a duration such as"));
        assert_eq!(f64::from_toml(&json!(0)), Ok(0.0));
    }

    #[test]
    fn origins_and_issuers() {
        assert_eq!(Origin::from_text("http://127.0.0.1:8081/").unwrap().0, "http://127.0.0.1:8081");
        for wrong in ["", "127.0.0.1:1", "ftp://a", "http://a/b", "http://u@a", "http://a?b", "http://a#b"] {
            assert!(Origin::from_text(wrong).is_err(), "{wrong}");
        }
        assert!(Issuer::from_text("https://id.example.com/tenant").is_ok());
        for wrong in ["", "id.example.com", "https://a/", "https://a?b", "https://a#", "urn:x"] {
            assert!(Issuer::from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn log_filters() {
        assert!(LogFilter::from_text("warn,propusk_server=debug").is_ok());
        assert!(LogFilter::from_text("").is_err());
        assert!(LogFilter::from_text("propusk=loud").is_err());
    }
}
