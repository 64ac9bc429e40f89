//! The built-in list of common passwords: hashes of the words that the crate `zxcvbn` carries in its source and does not
//! show. They are read there once, so that the product need not carry the words, and the tables over them, in memory.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, locked_cargo, output, root};

const PACKAGE: &str = "zxcvbn";
/// In its sources: the constant whose value is the list, from the most common word on, with commas between.
const SOURCE: &str = "src/frequency_lists.rs";
const CONSTANT: &str = "const PASSWORDS: &str = \"";

/// Writes the file anew.
pub(crate) fn write() -> Result<()> {
    let source = source()?;
    let text = std::fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let words = words(&text).with_context(|| format!("{} has no list of passwords", source.display()))?;
    let path = root().join("crates/core/src/password/common.bin");
    let mut command = locked_cargo("run", &["--quiet", "-p", "propusk-core", "--example", "common_passwords", "--"]);
    let mut writer = command.arg(path).stdin(Stdio::piped()).spawn().context("cannot start cargo")?;
    writer.stdin.take().context("no pipe")?.write_all(words.join("\n").as_bytes())?;
    if !writer.wait()?.success() {
        bail!("the list was not written");
    }
    Ok(())
}

/// Where cargo keeps the crate's source.
fn source() -> Result<PathBuf> {
    let metadata = output(&mut cargo(["metadata", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata.get("packages").and_then(serde_json::Value::as_array).into_iter().flatten();
    let mut manifests = packages.filter(|package| package.get("name").is_some_and(|name| name == PACKAGE));
    let manifest = manifests.next().and_then(|package| package.get("manifest_path")?.as_str());
    let folder = manifest.map(PathBuf::from).and_then(|manifest| manifest.parent().map(PathBuf::from));
    Ok(folder.with_context(|| format!("{PACKAGE} is not in the lock file"))?.join(SOURCE))
}

fn words(source: &str) -> Option<Vec<String>> {
    let line = source.lines().find_map(|line| line.strip_prefix(CONSTANT))?;
    let list = line.trim_end_matches(';').strip_suffix('"')?;
    // The list is written in a string literal, and in the list itself an apostrophe is escaped.
    Some(list.split(',').map(|word| word.replace('\\', "")).collect())
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn the_words_are_found() {
        let source = "use x;\n\nconst PASSWORDS: &str = \"one,it\\\\'s,three\";\nconst OTHER: &str = \"four\";\n";
        assert_eq!(words(source).unwrap(), ["one", "it's", "three"]);
        assert!(words("const OTHER: &str = \"four\";").is_none());
    }
}
