//! What no compiler sees: text that may not be in certain files, and promises of one file about another.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::steps::root;

/// Text that may not be in a file, and why.
struct Ban {
    /// How the names of the files end.
    files: &'static [&'static str],
    text: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        files: &[".html"],
        text: &["|safe", "| safe", "<script", "javascript:"],
        why: "pages escape everything and have no scripts",
    },
    Ban {
        files: &[".rs"],
        text: &[concat!("unimplemented", "!("), concat!("#[", "ignore]"), concat!("allow(", "unsafe_code")],
        why: "nothing is left out, skipped or unsafe in silence",
    },
    Ban {
        files: &[".rs", ".toml", ".md", ".sh", ".py", ".proto", ".html", "run"],
        text: &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("../sha", "red")],
        why: "the repository stands alone and knows no machine",
    },
];

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &["target", ".git", "__pycache__"];

/// The folders in which a row of THREATS.md may name a test by the first word of its path.
const TEST_FOLDERS: &[(&str, &str)] = &[
    ("e2e", "e2e/tests/e2e"),
    ("verify", "crates/verify"),
    ("core", "crates/core"),
    ("store", "crates/store"),
    ("server", "crates/server"),
    ("gateway", "crates/gateway"),
    ("propusk", "crates/propusk"),
    ("users", "services/users"),
    ("posts", "services/posts"),
    ("cars", "services/cars"),
    ("model", "model"),
];

pub(crate) fn check() -> Result<()> {
    let mut found = Vec::new();
    for path in files(&root())? {
        // A file that is not text is not searched.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        found.extend(banned_in(&name, &text));
        if name.ends_with("Cargo.toml") && text.contains("[package]") && !text.contains("[lints]\nworkspace = true") {
            found.push(format!("{name}: without `[lints] workspace = true` the lints do not hold there"));
        }
    }
    let threats = std::fs::read_to_string(root().join("THREATS.md")).context("THREATS.md")?;
    found.extend(unproven(&threats, test_exists)?);
    if !found.is_empty() {
        bail!("{}", found.join("\n"));
    }
    Ok(())
}

fn banned_in(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for ban in BANS.iter().filter(|ban| ban.files.iter().any(|end| name.ends_with(end))) {
        for (number, line) in text.lines().enumerate() {
            if let Some(banned) = ban.text.iter().find(|banned| line.contains(**banned)) {
                found.push(format!("{name}:{}: {banned:?}: {}", number + 1, ban.why));
            }
        }
    }
    found
}

/// Rows of THREATS.md whose last cell names neither a test that there is nor "not yet".
fn unproven(threats: &str, exists: impl Fn(&str) -> Result<bool>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let rows = threats.lines().enumerate().filter(|(_, line)| line.starts_with('|') && !line.starts_with("|---"));
    for (number, row) in rows {
        let Some(cell) = row.trim_end().trim_end_matches('|').rsplit('|').next().map(str::trim) else { continue };
        if cell == "test" || cell.contains("not yet") {
            continue;
        }
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
        if named.is_empty() {
            found.push(format!("THREATS.md:{}: names no test, nor \"not yet\": {cell}", number + 1));
        }
        for name in named {
            if !exists(name)? {
                found.push(format!("THREATS.md:{}: there is no test {name}", number + 1));
            }
        }
    }
    Ok(found)
}

/// Whether `crate::module::function` is a function of that name in that crate.
fn test_exists(name: &str) -> Result<bool> {
    let mut parts = name.split("::");
    let folder = parts.next().and_then(|first| TEST_FOLDERS.iter().find(|(key, _)| *key == first));
    let (Some((_, folder)), Some(function)) = (folder, name.rsplit("::").next()) else { return Ok(false) };
    let wanted = format!("fn {function}(");
    for path in files(&root().join(folder))? {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            if text.contains(&wanted) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Every file below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if !SKIPPED.iter().any(|name| path.ends_with(name)) {
                all.extend(files(&path)?);
            }
        } else {
            all.push(path);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banned_text_is_found_with_its_line() {
        let page = "<p>{{ name }}</p>\n<p>{{ name|safe }}</p>\n";
        let found = banned_in("crates/gateway/templates/x.html", page);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/gateway/templates/x.html:2: \"|safe\""), "{found:?}");
        assert!(banned_in("README.md", page).is_empty());
    }

    #[test]
    fn a_row_without_a_test_is_found() {
        let exists = |name: &str| Ok(name == "e2e::tokens::good");
        let table = "| attack | answer | test |\n|---|---|---|\n| a | b | `e2e::tokens::good` |\n| a | b | not yet |\n";
        assert!(unproven(table, exists).unwrap().is_empty());
        for row in ["| a | b | `e2e` |", "| a | b | |", "| a | b | `e2e::tokens::good`, `e2e::tokens::bad` |"] {
            assert_eq!(unproven(row, exists).unwrap().len(), 1, "{row}");
        }
    }

    #[test]
    fn a_test_is_looked_for_in_its_crate() {
        assert!(test_exists("e2e::tokens::no_spelling_of_none_is_an_algorithm").unwrap());
        assert!(!test_exists("e2e::tokens::no_such_test").unwrap());
        assert!(!test_exists("nowhere::a_test_is_looked_for_in_its_crate").unwrap());
    }
}
