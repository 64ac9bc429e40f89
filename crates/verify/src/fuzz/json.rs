//! The strict parser beside serde_json: the same objects, but for members that come twice.

use serde_json::Value;

use super::engine::{Rng, Target};
use super::make::{any, spoilt};
use crate::jose::{JsonError, parse_object};

#[test]
fn json() {
    let words = &[
        "\"a\":",
        "{\"a\":1,\"a\":1}",
        "\\u0061",
        "\\ud800",
        "\u{feff}",
        "[[[[",
        "}}",
        "1e9",
        "-0",
        "null",
        ",",
        "\u{7f}",
    ];
    Target { name: "json", make, words, run }.fuzz();
}

fn make(rng: &mut Rng) -> Vec<u8> {
    let mut object = serde_json::json!({ "a": any(rng, 3), "b": any(rng, 3), "c": any(rng, 3) });
    if rng.one_in(16) {
        // As deep as is allowed, and deeper.
        for _ in 0..120 + rng.below(16) {
            object = serde_json::json!({ "a": object });
        }
    }
    if rng.one_in(8) {
        let members = object.as_object_mut().unwrap();
        (0..rng.below(60)).for_each(|number| drop(members.insert(format!("m{number}"), Value::Null)));
    }
    spoilt(object, rng).into_bytes()
}

fn run(input: &[u8]) -> (Option<JsonError>, usize, u32) {
    let ours = parse_object(input);
    let error = ours.as_ref().err().copied();
    match (ours, serde_json::from_slice::<Value>(input)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(Value::Object(ours.into_map()), theirs);
            assert_eq!(colons(input), members(&theirs), "a member that comes twice was overlooked");
        }
        (Ok(_), Err(error)) => panic!("serde_json refuses it: {error}"),
        (Err(JsonError::Syntax), Ok(theirs)) => assert!(!theirs.is_object(), "serde_json takes it"),
        (Err(JsonError::Duplicate), Ok(theirs)) => {
            assert!(colons(input) > members(&theirs), "no member comes twice");
        }
        (Err(_), Err(_)) => {}
    }
    (error, colons(input).min(32), input.len().checked_ilog2().unwrap_or_default())
}

/// How many members the objects of a well-formed text have, those that come twice counted twice.
pub(super) fn colons(input: &[u8]) -> usize {
    let (mut inside, mut escaped, mut count) = (false, false, 0);
    for byte in input {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b':' if !inside => count += 1,
            _ => {}
        }
    }
    count
}

/// How many members its objects have, each name counted once.
pub(super) fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        _ => 0,
    }
}
