//! What a tool printed, made fit to be shown, and kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use cutover_model::cover_passwords;

/// So much of the end of what was printed is looked at, in bytes.
const MOST: u64 = 4 * 1024 * 1024;

/// A log that is larger becomes the old one, and the one before is forgotten.
const LOG_SIZE: u64 = 1024 * 1024;

/// An error shows so many of the last lines, and so many characters of them.
const LAST_LINES: usize = 4;
const LAST_CHARS: usize = 600;

/// A file without a name for what a tool prints. It is written by the tool itself, so that it goes on when its controller
/// is gone; and nobody else finds in it what must not be shown.
pub(super) fn nameless(folder: &Path, name: &str) -> io::Result<File> {
    let path = folder.join(format!(".{name}.{}", std::process::id()));
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    let file = match file {
        // Left by a process of the same number that was killed in between.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&path)?;
            return nameless(folder, name);
        }
        other => other?,
    };
    fs::remove_file(&path)?;
    Ok(file)
}

/// The end of what was printed, with `***` for each secret.
pub(super) fn read(mut file: &File, secrets: &[String]) -> io::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(covered(&text, secrets))
}

fn covered(text: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    // One may be a part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret.as_str(), "***");
    }
    cover_passwords(&text)
}

/// The last lines that say something, as one.
pub(super) fn last(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    let joined = lines[from..].join(" / ");
    let skip = joined.chars().count().saturating_sub(LAST_CHARS);
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    joined.chars().skip(skip).map(printable).collect()
}

/// Adds what was printed to the log.
pub(super) fn keep(path: &Path, heading: &str, text: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|log| log.len() > LOG_SIZE) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let mut log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let ended = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    log.write_all(format!("=== {heading}\n{text}{ended}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_the_longer_first() {
        let secrets = ["pass".to_owned(), "password1".to_owned(), String::new()];
        assert_eq!(covered("a password1 pass b", &secrets), "a *** *** b");
        assert_eq!(covered("postgresql://u:x@h/d", &[]), "postgresql://u:***@h/d");
    }

    #[test]
    fn the_last_lines_are_one() {
        assert_eq!(last("1\n\n 2\n3\n4\u{1b}[m\n5\n"), "2 / 3 / 4 [m / 5");
        assert_eq!(last(&"é".repeat(1000)).chars().count(), LAST_CHARS);
        assert_eq!(last("\n"), "");
    }
}
