//! Commands over the authority's own HTTP calls, a file for each thing that they are about.
//!
//! `client` finds the authority and reads from it, `change` makes changes and tells how far they reached.

pub(crate) mod audit;
pub(crate) mod backup;
mod change;
mod client;
pub(crate) mod clients;
mod credentials;
pub(crate) mod exchange_rules;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod login;
mod prompt;
pub(crate) mod roles;
pub(crate) mod services;
pub(crate) mod sessions;
pub(crate) mod tokens;
pub(crate) mod transfer;
pub(crate) mod users;
pub(crate) mod verifiers;

use serde_json::{Value, json};

use crate::cli::{ApiArgs, SeenArgs};
use crate::exit::Failure;
use crate::output;

use change::{Change, Made, changed};
use client::{Api, Most, segment};

/// Prints a list: a table for people, `{"items":[…]}` for programs. `none` says that there is nothing.
fn print_list(args: &ApiArgs, items: Vec<Value>, none: &str, head: &[&str], row: impl Fn(&Value) -> Vec<String>) {
    if args.json {
        output::line(&json!({"items": items, "next_cursor": null}).to_string());
    } else if items.is_empty() {
        output::error_line(none);
    } else {
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        output::line(&output::table(head, &rows));
    }
}

/// Prints one thing: these members, a line each, or all of it for programs.
fn print_one(args: &ApiArgs, thing: &Value, members: &[&str]) {
    if args.json {
        output::line(&thing.to_string());
        return;
    }
    let members: Vec<_> = members.iter().filter(|member| thing.get(member).is_some()).collect();
    let width = members.iter().map(|member| member.len()).max().unwrap_or(0);
    for member in members {
        output::line(&format!("{:<width$}  {}", member.replace('_', " "), shown(thing, member)));
    }
}

/// Members as cells of a table.
fn cells(item: &Value, members: &[&str]) -> Vec<String> {
    members.iter().map(|member| shown(item, member)).collect()
}

/// A member as people read it; what is not there is a dash.
fn shown(item: &Value, member: &str) -> String {
    let text = match item.get(member) {
        None | Some(Value::Null) => return "–".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => return "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" "),
        Some(other) => other.to_string(),
    };
    output::harmless(&text).into_owned()
}

/// `[{"service":"cars","role":"buyer"}]` as `["cars/buyer"]`, as roles are named in commands.
fn role_names(held: Option<&Value>) -> Value {
    let held = held.and_then(Value::as_array).into_iter().flatten();
    held.map(|held| Value::from(format!("{}/{}", shown(held, "service"), shown(held, "role")))).collect()
}

/// The version that a change is made to: the one that the caller saw, or the one of now.
async fn seen(api: &Api, args: &SeenArgs, path: &str) -> Result<Option<String>, Failure> {
    if args.if_match.is_some() {
        return Ok(args.if_match.clone());
    }
    let now = api.get_versioned(path).await?;
    Ok(now.get("etag").and_then(Value::as_str).map(str::to_owned))
}

/// A document of the members that are given.
fn members<const N: usize>(given: [(&str, Option<Value>); N]) -> Value {
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_by_people() {
        let item = json!({"yes": true, "list": ["a", "b"], "none": [], "number": 7, "nothing": null});
        let shown = ["yes", "list", "none", "number", "nothing", "missing"].map(|member| shown(&item, member));
        assert_eq!(shown, ["yes", "a b", "–", "7", "–", "–"]);
        assert_eq!(role_names(Some(&json!([{"service": "cars", "role": "buyer"}]))), json!(["cars/buyer"]));
        assert_eq!(role_names(None), json!([]));
    }

    /// Whatever somebody else chose, a name, an address or a user agent, cannot steer the administrator's terminal.
    #[test]
    fn nothing_of_somebody_else_steers_the_terminal() {
        let session = json!({"user_agent": "curl\u{1b}]0;owned\u{7}", "audiences": ["a\u{1b}[31m"]});
        for member in ["user_agent", "audiences"] {
            assert!(!shown(&session, member).contains(char::is_control), "{member}");
        }
    }

    #[test]
    fn what_is_not_given_is_no_member() {
        assert_eq!(members([("a", Some(json!(1))), ("b", None), ("c", Some(Value::Null))]), json!({"a": 1, "c": null}));
    }
}
