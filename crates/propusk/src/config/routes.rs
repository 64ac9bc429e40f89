//! `gateway.routes`: an array of tables.

use serde_json::{Map, Value};

use super::setting::{Origin, PastBound, RouteClass, Setting, not_wanted, quoted};

/// What the gateway forwards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Routes(pub(crate) Vec<RouteSpec>);

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteSpec {
    /// Only for this host.
    pub(crate) host: Option<String>,
    /// `/cars/**` or `/cars`.
    pub(crate) path: String,
    /// Scheme, host and port.
    pub(crate) upstream: String,
    /// The service that tokens must be for.
    pub(crate) audience: String,
    /// How current the decision has to be.
    pub(crate) class: RouteClass,
    /// What the caller must be allowed to do.
    pub(crate) permission: Option<String>,
    /// Instead of `verify.past_bound`.
    pub(crate) past_bound: Option<PastBound>,
}

impl RouteSpec {
    /// An ordinary route for every host.
    pub(crate) fn ordinary(path: &str, upstream: &str, audience: &str) -> Self {
        Self {
            host: None,
            path: path.to_owned(),
            upstream: upstream.to_owned(),
            audience: audience.to_owned(),
            class: RouteClass::Ordinary,
            permission: None,
            past_bound: None,
        }
    }

    fn read(row: &Value) -> Result<Self, String> {
        let row = row.as_object().ok_or_else(|| format!("{row} is not a table"))?;
        if let Some(name) = row.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(format!("there is no {name:?}; there are {}", MEMBERS.join(", ")));
        }
        let required = |name: &str| text(row, name)?.ok_or_else(|| format!("{name} is missing"));
        Ok(Self {
            path: required("path")?,
            upstream: typed::<Origin>(row, "upstream")?.ok_or("upstream is missing")?.0,
            audience: required("audience")?,
            host: text(row, "host")?,
            class: typed(row, "class")?.unwrap_or(RouteClass::Ordinary),
            permission: text(row, "permission")?,
            past_bound: typed(row, "past_bound")?,
        })
    }

    fn write(&self) -> String {
        let class = (self.class != RouteClass::Ordinary).then(|| self.class.to_text());
        let values = [
            Some(self.path.clone()),
            Some(self.upstream.clone()),
            Some(self.audience.clone()),
            self.host.clone(),
            class,
            self.permission.clone(),
            self.past_bound.map(|policy| policy.to_text()),
        ];
        let members = MEMBERS.iter().zip(values);
        let members = members.filter_map(|(name, value)| Some(format!("{name} = {}", quoted(&value?))));
        format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
    }
}

const MEMBERS: [&str; 7] = ["path", "upstream", "audience", "host", "class", "permission", "past_bound"];

fn text(row: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    typed::<String>(row, name)
}

fn typed<T: Setting>(row: &Map<String, Value>, name: &str) -> Result<Option<T>, String> {
    row.get(name).map(|value| T::from_toml(value).map_err(|problem| format!("{name}: {problem}"))).transpose()
}

impl Setting for Routes {
    const WANTED: &'static str = "an array of tables such as [{ path = \"/cars/**\", upstream = \"http://127.0.0.1:9000\", audience = \"cars\" }]";

    /// The same array in TOML.
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let document = format!("routes = {text}");
        let parsed = toml_span::parse(&document).map_err(|_| not_wanted::<Self>(quoted(text)))?;
        let routes = parsed.pointer("/routes").map(super::file::to_json);
        Self::from_toml(&routes.ok_or_else(|| not_wanted::<Self>(quoted(text)))?)
    }

    /// Every wrong row is named.
    fn from_toml(value: &Value) -> Result<Self, String> {
        let rows = value.as_array().ok_or_else(|| not_wanted::<Self>(value))?;
        let mut routes = Vec::new();
        let mut problems = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            match RouteSpec::read(row) {
                Ok(route) => routes.push(route),
                Err(problem) => problems.push(format!("[{index}]: {problem}")),
            }
        }
        if problems.is_empty() { Ok(Self(routes)) } else { Err(problems.join("; ")) }
    }

    fn to_text(&self) -> String {
        if self.0.is_empty() { String::new() } else { self.to_toml() }
    }

    fn to_toml(&self) -> String {
        format!("[{}]", self.0.iter().map(RouteSpec::write).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn routes_are_read_back_as_they_are_written() {
        let plain = RouteSpec::ordinary("/users/**", "http://127.0.0.1:1", "users");
        let full = RouteSpec {
            host: Some("a.example".to_owned()),
            class: RouteClass::Elite,
            permission: Some("cars:buy".to_owned()),
            past_bound: Some(PastBound::Serve),
            ..RouteSpec::ordinary("/x", "https://x", "quo\"ted")
        };
        let routes = Routes(vec![plain, full]);
        assert_eq!(Routes::from_text(&routes.to_text()), Ok(routes));
        assert_eq!(Routes::from_text("").unwrap().to_text(), "");
        assert!(Routes::from_text("{").unwrap_err().contains("is not an array of tables such as"));
    }

    #[test]
    fn every_wrong_row_is_named() {
        let rows = json!([
            {"path": "/a", "upstream": "http://a", "audience": "a", "extra": 1},
            {"path": "/a", "upstream": "a", "audience": "a"},
            {"path": "/a", "upstream": "http://a", "audience": "a"},
            {"upstream": "http://a", "audience": "a"},
            {"path": "/a", "upstream": "http://a", "audience": "a", "class": "public"},
        ]);
        let problem = Routes::from_toml(&rows).unwrap_err();
        assert!(problem.contains("[0]: there is no \"extra\""), "{problem}");
        assert!(problem.contains("[1]: upstream: \"a\" is not of the form"), "{problem}");
        assert!(problem.contains("[3]: path is missing"), "{problem}");
        assert!(problem.contains("[4]: class: \"public\" is not one of"), "{problem}");
        assert!(!problem.contains("[2]"), "{problem}");
    }
}
