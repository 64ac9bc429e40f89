//! Which crate may use which: the arrows of ARCHITECTURE.md, read from the manifests.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::steps::{cargo, output};

/// Ours, and which of ours each may use. A crate that is not here may not be in the workspace.
const ARROWS: &[(&str, &[&str])] = &[
    ("propusk-verify", &[]),
    ("propusk-core", &["propusk-verify"]),
    ("propusk-store", &["propusk-core", "propusk-verify"]),
    ("propusk-server", &["propusk-core", "propusk-store", "propusk-verify"]),
    ("propusk-gateway", &["propusk-verify"]),
    ("demo-common", &["propusk-verify"]),
    ("demo-users", &["demo-common", "propusk-verify"]),
    ("demo-posts", &["demo-common", "propusk-verify"]),
    ("demo-cars", &["demo-common", "propusk-verify"]),
    (
        "propusk",
        &[
            "propusk-verify",
            "propusk-core",
            "propusk-store",
            "propusk-server",
            "propusk-gateway",
            "demo-common",
            "demo-users",
            "demo-posts",
            "demo-cars",
        ],
    ),
    ("model", &["propusk-core", "propusk-verify"]),
    ("bench", &["propusk-core", "propusk-server", "propusk-store", "propusk-verify"]),
    // They see the product from outside only.
    ("e2e", &[]),
    ("xtask", &[]),
];

/// What a crate may never depend on directly, with the reason. Development dependencies are free.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "propusk-core",
        &["tokio", "hyper", "hyper-util", "axum", "tonic", "reqwest", "tower", "rusqlite", "refinery", "rand"],
        "the rules do no IO; time and randomness come in as parameters",
    ),
    ("propusk-gateway", &["rusqlite", "refinery", "argon2"], "the data plane cannot reach the data"),
    ("propusk-verify", &["reqwest", "rusqlite", "argon2", "jsonwebtoken"], "other people's services compile it"),
    ("propusk-server", &["rusqlite", "clap"], "SQL stays in the store, the command line in the binary"),
];

pub(crate) fn check() -> Result<()> {
    let metadata = output(&mut cargo(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    let violations = violations(&metadata)?;
    if !violations.is_empty() {
        bail!("forbidden arrows (ARCHITECTURE.md):\n{}", violations.join("\n"));
    }
    Ok(())
}

/// Every forbidden arrow, a line each.
fn violations(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata.get("packages").and_then(Value::as_array).context("no packages in cargo metadata")?;
    let mut found = Vec::new();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let names: Vec<&str> = packages.iter().map(|package| text(package, "name")).collect();
    for name in ARROWS.iter().map(|(name, _)| name).filter(|name| !names.contains(name)) {
        found.push(format!("  {name} is in the list of xtask/src/house.rs but not in the workspace"));
    }
    for package in packages {
        let name = text(package, "name");
        let Some(allowed) = arrows.get(name) else {
            found.push(format!("  {name} is not in the list of xtask/src/house.rs"));
            continue;
        };
        let dependencies = package.get("dependencies").and_then(Value::as_array).context("no dependencies")?;
        for dependency in dependencies {
            let target = text(dependency, "name");
            if names.contains(&target) && !allowed.contains(&target) {
                found.push(format!("  {name} → {target}"));
            }
            if text(dependency, "kind") != "dev"
                && let Some((_, _, why)) =
                    FORBIDDEN.iter().find(|(from, list, _)| *from == name && list.contains(&target))
            {
                found.push(format!("  {name} → {target}: {why}"));
            }
        }
    }
    Ok(found)
}

/// A string member; `null` and absent are empty (a normal dependency's kind is `null`).
fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The workspace as it should be, in the form of cargo metadata.
    fn workspace() -> Value {
        let packages: Vec<Value> = ARROWS
            .iter()
            .map(|(name, uses)| {
                let dependencies: Vec<Value> = uses.iter().map(|to| json!({"name": to, "kind": null})).collect();
                json!({"name": name, "dependencies": dependencies})
            })
            .collect();
        json!({ "packages": packages })
    }

    fn with(name: &str, dependency: Value) -> Vec<String> {
        let mut metadata = workspace();
        let packages = metadata["packages"].as_array_mut().unwrap();
        let package = packages.iter_mut().find(|package| package["name"] == name).unwrap();
        package["dependencies"].as_array_mut().unwrap().push(dependency);
        violations(&metadata).unwrap()
    }

    #[test]
    fn the_intended_house_stands() {
        assert_eq!(violations(&workspace()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_gateway_may_not_reach_the_data() {
        assert_eq!(
            with("propusk-gateway", json!({"name": "propusk-store", "kind": null})),
            ["  propusk-gateway → propusk-store"]
        );
        assert_eq!(with("propusk-gateway", json!({"name": "propusk-core", "kind": "dev"})).len(), 1);
        assert_eq!(with("propusk-gateway", json!({"name": "rusqlite", "kind": null})).len(), 1);
    }

    #[test]
    fn the_rules_do_no_io_but_their_tests_may() {
        assert_eq!(with("propusk-core", json!({"name": "tokio", "kind": null})).len(), 1);
        assert_eq!(with("propusk-core", json!({"name": "tokio", "kind": "dev"})), Vec::<String>::new());
    }

    #[test]
    fn a_crate_nobody_listed_is_named() {
        let mut metadata = workspace();
        metadata["packages"].as_array_mut().unwrap().push(json!({"name": "sneaky", "dependencies": []}));
        assert_eq!(violations(&metadata).unwrap(), ["  sneaky is not in the list of xtask/src/house.rs"]);
    }
}
