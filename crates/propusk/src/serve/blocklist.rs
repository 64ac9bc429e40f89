//! The operator's own list of passwords that nobody may take: a text file, one a line.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use propusk_core::password::Blocklist;
use propusk_core::password::blocklist::hash_of_word;

/// No password is longer.
const MAX_LINE_BYTES: u64 = 1024;

/// Reads the list. Of each line only a hash is kept, and empty lines do not count. In words, what is wrong with the file.
pub(super) fn read(path: &Path) -> Result<Blocklist, String> {
    let hashes = File::open(path).map_err(Wrong::Io).and_then(|file| hashes(BufReader::new(file)));
    match hashes {
        Ok(hashes) if hashes.is_empty() => Err(format!("{}: there is no password in it, one a line", path.display())),
        Ok(hashes) => Ok(Blocklist::of_hashes(hashes)),
        Err(Wrong::Io(error)) => Err(format!("{}: {error}", path.display())),
        Err(Wrong::Line(number)) => {
            Err(format!("{}, line {number}: is not UTF-8 of at most {MAX_LINE_BYTES} bytes", path.display()))
        }
    }
}

enum Wrong {
    Io(io::Error),
    Line(usize),
}

fn hashes(mut lines: impl io::BufRead) -> Result<Vec<u64>, Wrong> {
    let (mut hashes, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        let read = lines.by_ref().take(MAX_LINE_BYTES + 2).read_until(b'\n', &mut line).map_err(Wrong::Io)?;
        if read == 0 {
            break;
        }
        let is_whole = read as u64 <= MAX_LINE_BYTES + 1;
        let word = std::str::from_utf8(&line).ok().filter(|_| is_whole).ok_or(Wrong::Line(number))?;
        let word = word.trim_start_matches('\u{feff}').trim();
        if !word.is_empty() {
            hashes.push(hash_of_word(word));
        }
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> Result<Blocklist, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_list_is_read_or_what_is_wrong_is_said() {
        assert_eq!(read_text("\u{feff}one\r\n\n  two \nТри\nONE".as_bytes()).unwrap().len(), 3);
        assert!(read_text(b"\n \n").unwrap_err().contains("no password in it"));
        assert!(read_text(b"one\n\xff\xfe\n").unwrap_err().contains("line 2: is not UTF-8"));
        let long = [b"one\ntwo\n".as_slice(), &[b'x'; 1025], b"\nfour\n"].concat();
        assert!(read_text(&long).unwrap_err().contains("line 3"));
        assert_eq!(read_text(&[b'x'; 1024]).unwrap().len(), 1);
        assert!(read(Path::new("/nonexistent/list")).unwrap_err().starts_with("/nonexistent/list: "));
    }
}
