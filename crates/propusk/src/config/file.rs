//! A TOML file, flattened to `section.key` with the place of each.

use std::path::Path;

use serde_json::{Map, Number, Value};
use toml_span::value::{Table, ValueInner};

use super::registry::keys;
use super::sources::ConfigError;

/// A value of the file.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// `section.name`, known or not.
    pub(super) key: String,
    pub(super) value: Value,
    /// `file:line:column`.
    pub(super) place: String,
}

/// Every value of a file; all that is wrong with its form otherwise.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Vec<ConfigError>> {
    let error = |place: String, problem: String| vec![ConfigError { place: Some(place), key: None, problem }];
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|io| error(shown.clone(), format!("cannot be read: {io}")))?;
    let document = toml_span::parse(&text)
        .map_err(|parse| error(place(&shown, &text, parse.span.start), format!("is not TOML: {parse}")))?;
    let mut entries = Vec::new();
    if let Some(table) = document.as_table() {
        flatten(table, "", &mut |key, value, start| {
            entries.push(Entry { key, value: to_json(value), place: place(&shown, &text, start) });
        });
    }
    Ok(entries)
}

/// Walks down to every known key, and to what is not a table.
fn flatten<'v>(table: &'v Table<'v>, prefix: &str, found: &mut dyn FnMut(String, &'v toml_span::Value<'v>, usize)) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.name.to_string() } else { format!("{prefix}.{}", key.name) };
        let is_key = keys().any(|known| known.path == path);
        match value.as_table() {
            Some(inner) if !is_key && (prefix.is_empty() || !inner.is_empty()) => flatten(inner, &path, found),
            _ => found(path, value, key.span.start),
        }
    }
}

/// `file:line:column`, both from 1.
fn place(file: &str, text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{file}:{line}:{column}")
}

/// The same value without places.
pub(super) fn to_json(value: &toml_span::Value<'_>) -> Value {
    match value.as_ref() {
        ValueInner::String(text) => Value::from(text.as_ref()),
        ValueInner::Integer(number) => Value::from(*number),
        ValueInner::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        ValueInner::Boolean(flag) => Value::from(*flag),
        ValueInner::Array(items) => items.iter().map(to_json).collect(),
        ValueInner::Table(table) => {
            let members = table.iter().map(|(key, value)| (key.name.to_string(), to_json(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}
