//! JSON values near those that are right.

use serde_json::{Value, json};

use super::engine::Rng;

/// Members that make a difference by being there.
const MORE: [&str; 9] = ["x", "cnf", "crit", "b64", "jwk", "jku", "x5c", "x5u", "d"];
/// From a time to one just before or just after a bound, with a life of ten minutes and five seconds of leeway.
const STEPS: [i64; 9] = [-606, -605, -604, -600, -1, 1, 4, 5, 6];

/// The text of an object with a few of its members changed, removed, renamed or there twice.
pub(super) fn spoilt(mut object: Value, rng: &mut Rng) -> String {
    let mut twice = None;
    for _ in 0..rng.below(4) {
        let members = object.as_object_mut().unwrap();
        let names: Vec<String> = members.keys().cloned().collect();
        if names.is_empty() {
            break;
        }
        let name = rng.pick(&names).clone();
        match rng.below(8) {
            0 => drop(members.remove(&name)),
            1 => twice = Some((name, any(rng, 2))),
            2 => {
                let value = members.remove(&name).unwrap();
                members.insert(near(&name, rng), value);
            }
            3 => drop(members.insert((*rng.pick(&MORE)).to_owned(), any(rng, 3))),
            4 => {
                let value = members[&name].clone();
                members.insert(name, json!([value]));
            }
            5 | 6 if members[&name].is_u64() => {
                let number = members[&name].as_u64().unwrap().wrapping_add_signed(*rng.pick(&STEPS));
                members.insert(name, json!(if rng.one_in(4) { rng.number() } else { number }));
            }
            6 if members[&name].is_string() => {
                let text = near(members[&name].as_str().unwrap(), rng);
                members.insert(name, json!(text));
            }
            _ => drop(members.insert(name, any(rng, 2))),
        }
    }
    let text = object.to_string();
    match twice {
        Some((name, value)) if rng.one_in(2) => text.replacen('{', &format!("{{\"{name}\":{value},"), 1),
        // The first letter as an escape.
        Some((name, value)) if name.starts_with(|first: char| first.is_ascii()) => {
            let escaped = format!("{{\"\\u{:04x}{}\":{value},", name.as_bytes()[0], &name[1..]);
            text.replacen('{', &escaped, 1)
        }
        _ => text,
    }
}

/// Any JSON value, nested at most so deep.
pub(super) fn any(rng: &mut Rng, depth: usize) -> Value {
    match rng.below(if depth == 0 { 7 } else { 10 }) {
        0 => Value::Null,
        1 => json!(rng.one_in(2)),
        2 => json!(rng.number()),
        3 => json!(-1_i64),
        4 => json!(*rng.pick(&[0.5, -0.0, 1e300, 1.795e9])),
        5 => json!(""),
        6 => json!(*rng.pick(&["a", "u_1", "cars", "\u{0}", "ä\u{2028}", "\"\\", "EdDSA", "none"])),
        7 => Value::Array((0..rng.below(3)).map(|_| any(rng, depth - 1)).collect()),
        8 => json!({ "sub": any(rng, depth - 1), "act": any(rng, depth - 1) }),
        _ => (0..rng.below(12)).fold(json!({ "sub": "a" }), |inner, _| json!({ "sub": "a", "act": inner })),
    }
}

/// A text that is almost the same.
fn near(text: &str, rng: &mut Rng) -> String {
    match rng.below(5) {
        0 => text.to_ascii_uppercase(),
        1 => format!("{text} "),
        2 => format!("{text}/"),
        3 => text.chars().skip(1).collect(),
        _ => text.repeat(rng.below(40)),
    }
}
