//! `propusk config`.

use std::path::Path;

use e2e::system::product;

#[test]
fn the_example_of_a_configuration_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let example = product().args(["config", "example"]).output().unwrap();
    assert_eq!(example.status.code(), Some(0));
    let text = String::from_utf8(example.stdout).unwrap();
    let file = folder.path().join("propusk.toml");
    std::fs::write(&file, &text).unwrap();
    let check = |file: &Path| product().args(["config", "check"]).arg(file).output().unwrap();
    let good = check(&file);
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));
    // With every comment taken away from a setting it still holds.
    let bare: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.contains(" = ") && !rest.starts_with(' ') => rest,
            _ => line,
        })
        .fold(String::new(), |all, line| all + line + "\n");
    std::fs::write(&file, &bare).unwrap();
    let output = check(&file);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains("unknown"), "{told}\n{bare}");
    // All that is wrong is told at once, each with its place.
    std::fs::write(&file, "[token]\naccess_ttl = 7\nnonsense = true\n[feed]\nlease = \"soon\"\n").unwrap();
    let bad = check(&file);
    assert_eq!(bad.status.code(), Some(2));
    let told = String::from_utf8_lossy(&bad.stderr).into_owned() + &String::from_utf8_lossy(&bad.stdout);
    for piece in ["access_ttl", "nonsense", "lease"] {
        assert!(told.contains(piece), "{piece}: {told}");
    }
}
