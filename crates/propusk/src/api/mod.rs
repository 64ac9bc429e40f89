//! Commands over the authority's own HTTP calls, a file for each thing that they are about.

mod client;
mod credentials;
mod enforcement;
pub(crate) mod keys;
pub(crate) mod login;
mod prompt;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod users;
pub(crate) mod verifiers;

use serde_json::{Value, json};

use crate::cli::ApiArgs;
use crate::output;

use client::Api;
use enforcement::changed;

/// Prints a list: a table for people, `{"items":[…]}` for programs.
fn print_list(args: &ApiArgs, items: Vec<Value>, head: &[&str], row: impl Fn(&Value) -> Vec<String>) {
    if args.json {
        output::line(&json!({"items": items, "next_cursor": null}).to_string());
    } else if items.is_empty() {
        output::error_line("none");
    } else {
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        output::line(&output::table(head, &rows));
    }
}

/// A member as people read it; what is not there is a dash.
fn shown(item: &Value, member: &str) -> String {
    match item.get(member) {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" "),
        Some(other) => other.to_string(),
    }
}
