//! The example file: every key with its default and what it means.

use std::fmt::Write as _;

use super::registry::{Key, SECTIONS};

const HEAD: &str = "\
# Every setting of Propusk with its default. A key that stands behind a # has none.
#
# Precedence: --set KEY=VALUE, then the environment (PROPUSK_<SECTION>__<KEY>, as in PROPUSK_TOKEN__ACCESS_TTL), then
# this file (--config FILE or PROPUSK_CONFIG), then the default. Unknown keys are errors.
# `propusk config check FILE` tells everything that is wrong at once.
#
# Written by `propusk config example`; do not edit by hand.
";

/// The text of the file.
pub(crate) fn example() -> String {
    let mut text = HEAD.to_owned();
    let mut current = None;
    for section in SECTIONS {
        let _ = write!(text, "\n## {}\n", section.about);
        for key in section.keys {
            let (table, name) = key.path.split_once('.').unwrap_or(("", key.path));
            if current != Some(table) {
                if !table.is_empty() {
                    let _ = write!(text, "\n[{table}]\n");
                }
                current = Some(table);
            }
            write_key(&mut text, name, key);
        }
    }
    text
}

fn write_key(text: &mut String, name: &str, key: &Key) {
    for line in key.doc {
        let _ = writeln!(text, "#{line}");
    }
    let written = |value: &str| (key.to_toml)(value).unwrap_or_default();
    let _ = match written(key.default) {
        value if value.is_empty() => writeln!(text, "# {name} = {}", written(key.example)),
        value => writeln!(text, "{name} = {value}"),
    };
}
