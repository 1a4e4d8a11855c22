//! A folder as a digest: everything in it, and nothing left out without a rule that the documentation names.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cutover_model::Digest;
use sha2::{Digest as _, Sha256};

/// More than a release is made of; a folder with more is the wrong one, or holds data.
const MOST_ENTRIES: usize = 200_000;

/// As much is read within seconds.
const MOST_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// What Python writes beside what it runs, again whenever that changes.
const BYTECODE: &str = "__pycache__";

/// Why a folder has no digest.
#[derive(Debug)]
pub(super) enum TreeError {
    /// Something in it cannot be read.
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too much to be read at every plan.
    TooLarge,
}

/// The digest of a folder: relative paths in order, each file by its bytes, each link by where it points. `without` and what is
/// below it does not count, nor does compiled Python, nor do sockets, pipes and devices, which hold nothing.
pub(super) fn of_tree(root: &Path, without: &[PathBuf]) -> Result<Digest, TreeError> {
    let mut walk = Walk {
        root,
        without,
        found: Vec::new(),
        bytes: 0,
    };
    walk.folder(Path::new(""))?;
    walk.found.sort();
    let mut hash = Sha256::new();
    for (path, kind) in &walk.found {
        let content = match kind {
            Kind::Folder => None,
            Kind::Link(to) => Some(Digest::of(to.as_os_str().as_encoded_bytes())),
            Kind::File => Some(of_file(&root.join(path)).map_err(|source| TreeError::Unreadable {
                path: root.join(path),
                source,
            })?),
        };
        let name = path.as_os_str().as_encoded_bytes();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update([kind.mark()]);
        if let Some(content) = content {
            hash.update(content.as_str());
        }
    }
    Ok(Digest::of(&hash.finalize()))
}

/// The digest of a file's bytes.
pub(super) fn of_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest::of(&hash.finalize())),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Folder,
    File,
    Link(PathBuf),
}

impl Kind {
    const fn mark(&self) -> u8 {
        match self {
            Self::Folder => b'd',
            Self::File => b'f',
            Self::Link(_) => b'l',
        }
    }
}

struct Walk<'a> {
    root: &'a Path,
    without: &'a [PathBuf],
    found: Vec<(PathBuf, Kind)>,
    bytes: u64,
}

impl Walk<'_> {
    /// Everything below a folder that is named relative to the root. Links are not followed, so there is an end.
    fn folder(&mut self, at: &Path) -> Result<(), TreeError> {
        let here = self.root.join(at);
        let unreadable = |source| TreeError::Unreadable {
            path: here.clone(),
            source,
        };
        for entry in fs::read_dir(&here).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = at.join(entry.file_name());
            if entry.file_name() == BYTECODE || self.without.contains(&path) {
                continue;
            }
            let unreadable = |source| TreeError::Unreadable {
                path: entry.path(),
                source,
            };
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_symlink() {
                let to = fs::read_link(entry.path()).map_err(unreadable)?;
                self.found.push((path, Kind::Link(to)));
            } else if kind.is_dir() {
                self.found.push((path.clone(), Kind::Folder));
                self.folder(&path)?;
            } else if kind.is_file() {
                self.bytes += entry.metadata().map_err(unreadable)?.len();
                self.found.push((path, Kind::File));
            }
            if self.found.len() > MOST_ENTRIES || self.bytes > MOST_BYTES {
                return Err(TreeError::TooLarge);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn of(folder: &Path) -> Digest {
        of_tree(folder, &["logs".into(), "data/cache".into()]).unwrap()
    }

    #[test]
    fn everything_in_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, "main.py", "import lib");
        write(folder, "lib/one.py", "1");
        let mut seen = vec![of(folder)];
        write(folder, "lib/one.py", "2");
        seen.push(of(folder));
        write(folder, "lib/two.py", "");
        seen.push(of(folder));
        fs::rename(folder.join("lib/two.py"), folder.join("lib/three.py")).unwrap();
        seen.push(of(folder));
        std::os::unix::fs::symlink("one.py", folder.join("lib/link")).unwrap();
        seen.push(of(folder));
        fs::remove_file(folder.join("lib/link")).unwrap();
        std::os::unix::fs::symlink("three.py", folder.join("lib/link")).unwrap();
        seen.push(of(folder));
        fs::create_dir(folder.join("empty")).unwrap();
        seen.push(of(folder));
        let different: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(different.len(), seen.len());
    }

    #[test]
    fn what_is_written_while_it_runs_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, "main.py", "import lib");
        write(folder, "data/seed", "1");
        let before = of(folder);
        write(folder, "__pycache__/lib.cpython-313.pyc", "x");
        write(folder, "logs/today", "x");
        write(folder, "data/cache/1", "x");
        drop(std::os::unix::net::UnixListener::bind(folder.join("app.sock")).unwrap());
        assert_eq!(of(folder), before);
    }

    #[test]
    fn the_same_elsewhere_is_the_same_and_a_loop_of_links_ends() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [one.path(), two.path()] {
            write(folder, "b/c", "1");
            write(folder, "b-c", "2");
            std::os::unix::fs::symlink(".", folder.join("again")).unwrap();
        }
        assert_eq!(of(one.path()), of(two.path()));
    }
}
