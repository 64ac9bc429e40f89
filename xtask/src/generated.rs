//! Files that the product writes about itself and that are checked in: they must be what it would write now.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::{locked_cargo, output, root};

/// What writes the example file.
const WRITE: [&str; 2] = ["config", "example"];

/// Compares with what the product, built already, would write.
pub(crate) fn check(product: &Path) -> Result<()> {
    let path = example_path();
    let checked_in = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let wanted = output(Command::new(product).args(WRITE))?;
    match first_difference(&checked_in, &wanted) {
        None => Ok(()),
        Some(line) => {
            bail!("propusk.example.toml differs at line {line} from what the product writes: cargo xtask example")
        }
    }
}

pub(crate) fn write_example() -> Result<()> {
    let path = example_path();
    let example = output(locked_cargo("run", &["--quiet", "-p", "propusk", "--"]).args(WRITE))?;
    std::fs::write(&path, example).with_context(|| format!("cannot write {}", path.display()))
}

fn example_path() -> PathBuf {
    root().join("propusk.example.toml")
}

/// The number of the first line that is not the same, or of the first that only one has.
fn first_difference(left: &str, right: &str) -> Option<usize> {
    if left == right {
        return None;
    }
    let same = left.split('\n').zip(right.split('\n')).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn a_difference_is_found_where_it_is() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\nb\n", "a\nb\nc\n"), Some(3));
        assert_eq!(first_difference("a\nb", "a\nb\n"), Some(3));
    }
}
