//! The files that children write to, and their rotation.
//!
//! Children hold the file itself, not a pipe to the supervisor: a pipe would break with the supervisor, and the next
//! line would end the child. An open file cannot be replaced under its writer, so rotation copies it away and
//! empties it; the writer appends, so it goes on at the new end. What is written between the last copied byte and the
//! cut is lost: microseconds, at every rotation.

use fs_err::os::unix::fs::OpenOptionsExt;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How much of the end is read to find the last line.
const TAIL: u64 = 4096;

/// So much of a line is looked at when lines are counted, in bytes.
const LONGEST_READ: usize = 64 * 1024;

/// The longest last line that is shown, in characters.
const LONGEST_LINE: usize = 200;

/// Opens for appending, readable by the owner only; makes the file and its folder.
pub(crate) fn open(path: &Path) -> io::Result<std::fs::File> {
    if let Some(folder) = path.parent() {
        cutover_os::make_private_folder(folder)?;
    }
    Ok(fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?
        .into_file())
}

/// How long the file is now; 0 if it cannot be read.
pub(crate) fn length(path: &Path) -> u64 {
    fs_err::metadata(path).map_or(0, |meta| meta.len())
}

/// The last line with something in it that was written after `from`: whole, since a secret that was cut in two would not
/// be found in it. One that is longer than [`TAIL`] is not shown.
pub(crate) fn last_line(path: &Path, from: u64) -> Option<String> {
    let mut file = fs_err::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    // Shorter than at the start: it was rotated since, all of it is new.
    let from = if length < from { 0 } else { from };
    let start = from.max(length.saturating_sub(TAIL));
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let text = String::from_utf8_lossy(&tail);
    let whole = if start > from {
        text.split_once('\n')?.1
    } else {
        &text
    };
    let line = whole.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().filter(|c| !c.is_control()).collect())
}

/// As much of a line as is shown.
pub(crate) fn shorten(line: &str) -> String {
    line.chars().take(LONGEST_LINE).collect()
}

/// Gives every whole line to `line` that was written after `from`; answers where the last one ends.
pub(crate) fn lines(path: &Path, from: u64, line: &mut (dyn FnMut(&str) + Send)) -> io::Result<u64> {
    let mut from = from;
    if length(path) < from {
        // Emptied since: what came before that is in the copy.
        match lines_of(&numbered(path, 1), from, line) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => from = 0,
        }
    }
    match lines_of(path, from, line) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        other => other,
    }
}

fn lines_of(path: &Path, from: u64, line: &mut (dyn FnMut(&str) + Send)) -> io::Result<u64> {
    let mut file = fs_err::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file);
    let (mut end, mut bytes) = (from, Vec::new());
    loop {
        bytes.clear();
        let mut whole = 0;
        // The rest of a line that is longer than anybody reads is passed over, not kept.
        loop {
            let part = reader.fill_buf()?;
            let (taken, is_end) = match part.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (part.len(), false),
            };
            if taken == 0 {
                return Ok(end);
            }
            let room = LONGEST_READ.saturating_sub(bytes.len()).min(taken);
            bytes.extend_from_slice(&part[..room]);
            reader.consume(taken);
            whole += taken as u64;
            if is_end {
                break;
            }
        }
        end += whole;
        let text = String::from_utf8_lossy(&bytes);
        line(text.trim_end_matches(['\n', '\r']));
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Copies the file away and empties it once it is longer than `max_bytes`; `files` are kept in all, the one that is
/// written to included. `true` if it was rotated.
pub(crate) fn rotate(path: &Path, max_bytes: u64, files: u32) -> io::Result<bool> {
    if length(path) <= max_bytes {
        return Ok(false);
    }
    let mut source = fs_err::OpenOptions::new().read(true).write(true).open(path)?;
    if files > 1 {
        for number in (1..files - 1).rev() {
            match fs_err::rename(numbered(path, number), numbered(path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut copy = fs_err::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(numbered(path, 1))?;
        // Reads to the end as it is when it gets there, so that the cut follows the last read at once.
        io::copy(&mut source, &mut copy)?;
        copy.flush()?;
    }
    source.set_len(0)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_of_this_run_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/x.log");
        let mut file = open(&path).unwrap();
        file.write_all(b"old\n").unwrap();
        let from = length(&path);
        assert_eq!(last_line(&path, from), None);
        file.write_all(b"one\n  two \x1b[0m\n\n").unwrap();
        assert_eq!(last_line(&path, from).unwrap(), "two [0m");
        file.write_all(&[b'x'; 3000]).unwrap();
        let line = last_line(&path, from).unwrap();
        assert_eq!((line.len(), shorten(&line).len()), (3000, LONGEST_LINE));
        file.write_all(&[b'x'; 3000]).unwrap();
        assert_eq!(last_line(&path, from), None, "its beginning is not known");
        file.write_all(b"\nend").unwrap();
        assert_eq!(last_line(&path, from).unwrap(), "end");
    }

    #[test]
    fn lines_are_read_once_and_whole_through_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let read = |from: u64| {
            let mut found = Vec::new();
            let end = lines(&path, from, &mut |line| found.push(line.to_owned())).unwrap();
            (found.join("|"), end)
        };
        assert_eq!(read(7), (String::new(), 0), "there is none yet");
        let mut writer = open(&path).unwrap();
        writer.write_all(b"one\ntwo\r\n\nthr").unwrap();
        let (found, end) = read(0);
        assert_eq!((found.as_str(), end), ("one|two|", 10));
        writer.write_all(b"ee\n").unwrap();
        assert_eq!(read(end).0, "three");
        let end = read(end).1;
        writer.write_all(b"last of the old\n").unwrap();
        assert!(rotate(&path, 10, 3).unwrap());
        writer.write_all(b"new\n").unwrap();
        let (found, end) = read(end);
        assert_eq!((found.as_str(), end), ("last of the old|new", 4));
        writer
            .write_all(&[vec![b'x'; 3 * LONGEST_READ], b"\nshort\n".to_vec()].concat())
            .unwrap();
        let (found, end) = read(end);
        assert_eq!(found.len(), LONGEST_READ + "|short".len());
        assert_eq!(read(end).0, "");
    }

    #[test]
    fn a_writer_goes_on_after_rotation_and_only_so_many_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut writer = open(&path).unwrap();
        for round in 0..5 {
            writer
                .write_all(format!("{round}{}", "-".repeat(99)).as_bytes())
                .unwrap();
            assert!(!rotate(&path, 100, 3).unwrap());
            writer.write_all(b"!").unwrap();
            assert!(rotate(&path, 100, 3).unwrap());
            assert_eq!(length(&path), 0);
        }
        writer.write_all(b"end").unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "end");
        let first = fs_err::read_to_string(numbered(&path, 1)).unwrap();
        assert!(first.starts_with('4') && first.ends_with('!') && first.len() == 101);
        assert!(
            fs_err::read_to_string(numbered(&path, 2))
                .unwrap()
                .starts_with('3')
        );
        assert!(!numbered(&path, 3).exists());
    }
}
