//! Writes the built-in list of common passwords: words from standard input, one a line and the most common first, to the
//! file that is named. `cargo xtask passwords` runs it.

use std::error::Error;
use std::io::Read as _;

use propusk_core::password::blocklist;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("which file?")?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let words: Vec<&str> = text.lines().filter(|word| !word.is_empty()).collect();
    if words.len() < blocklist::MOST_COMMON {
        return Err("too few words".into());
    }
    Ok(std::fs::write(path, blocklist::to_bytes(&words))?)
}
