//! How many crates somebody compiles who uses our verifier, and which crates may not be in the tree at all.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::steps::{locked_cargo, output};

/// Features of `propusk-verify`, and fewer crates than this, build scripts included.
const BUDGETS: &[(&[&str], usize)] = &[(&["--no-default-features"], 60), (&["--features", "full"], 150)];

/// One TLS and one cryptography library: a second rustls provider makes rustls panic when it has to choose, and
/// OpenSSL would need headers on every machine that builds us.
const BANNED: &[&str] = &["ring", "openssl-sys", "native-tls", "openssl", "aws-lc-fips-sys", "zstd-sys"];

pub(crate) fn check() -> Result<()> {
    for (features, limit) in BUDGETS {
        let mut arguments = vec!["-p", "propusk-verify", "-e", "normal,build", "--prefix", "none", "--format", "{p}"];
        arguments.extend_from_slice(features);
        let crates = crates(&output(&mut locked_cargo("tree", &arguments))?);
        let features = features.join(" ");
        eprintln!("   propusk-verify {features}: {} crates of fewer than {limit}", crates.len());
        if crates.len() >= *limit {
            bail!("propusk-verify {features} compiles {} crates; the budget is fewer than {limit}", crates.len());
        }
    }
    let everything = ["--workspace", "--all-features", "-e", "all", "--prefix", "none", "--format", "{p}"];
    let everything = crates(&output(&mut locked_cargo("tree", &everything))?);
    let banned: Vec<&String> = everything.iter().filter(|name| is_banned(name)).collect();
    if let Some(name) = banned.first() {
        let bare = name.split(' ').next().unwrap_or_default();
        let path = output(&mut locked_cargo("tree", &["--workspace", "--all-features", "-e", "all", "-i", bare]))?;
        bail!("banned: {banned:?}; the first comes by\n{path}");
    }
    Ok(())
}

/// The distinct `name vX` of a flat `cargo tree`.
fn crates(tree: &str) -> BTreeSet<String> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some(format!("{} {}", words.next()?, words.next()?))
        })
        .collect()
}

fn is_banned(name_and_version: &str) -> bool {
    name_and_version.split(' ').next().is_some_and(|name| BANNED.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "propusk-verify v0.1.0 (/somewhere)\nbytes v1.12.2\nbytes v1.12.2 (*)\nring v0.17.14\n\nsyn v2.0.1\nsyn v3.0.0 (proc-macro)\n";

    #[test]
    fn repeated_crates_count_once_and_two_versions_twice() {
        assert_eq!(crates(TREE).len(), 5);
    }

    #[test]
    fn a_banned_crate_is_found_by_its_whole_name() {
        let found: Vec<String> = crates(TREE).into_iter().filter(|name| is_banned(name)).collect();
        assert_eq!(found, ["ring v0.17.14"]);
        assert!(!is_banned("ringbuffer v1.0.0"));
    }
}
