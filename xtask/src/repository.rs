//! Where the repository is, and which files are in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that hold nothing a person wrote.
const SKIPPED: [&str; 4] = [".git", ".scratch", "node_modules", "target"];

/// The checkout this task belongs to.
pub(crate) struct Repository {
    root: PathBuf,
}

/// One text file, with its path from the root.
pub(crate) struct SourceFile {
    /// With `/` between the parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Repository {
    /// Asked of cargo at run time, so that a target folder shared by two checkouts cannot point at the other.
    pub(crate) fn open() -> Result<Self> {
        let manifest =
            std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest)
            .parent()
            .context("xtask is not in a folder of the repository")?
            .to_path_buf();
        Ok(Self { root })
    }

    /// The top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder of the repository.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// Whole file as text.
    pub(crate) fn read(&self, inside: &str) -> Result<String> {
        let path = self.path(inside);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Whole file as text, or none when there is no such file.
    pub(crate) fn read_if_there(&self, inside: &str) -> Result<Option<String>> {
        if self.path(inside).exists() {
            self.read(inside).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Every text file, sorted by path. It walks instead of asking git, so that an exported tree and a checkout
    /// of another owner are checked as well.
    pub(crate) fn files(&self) -> Result<Vec<SourceFile>> {
        let mut paths = BTreeSet::new();
        collect(&self.root, &mut paths)?;
        let mut files = Vec::new();
        for path in paths {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let inside = path.strip_prefix(&self.root).unwrap_or(&path);
            let parts: Vec<_> = inside
                .components()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect();
            files.push(SourceFile {
                path: parts.join("/"),
                text,
            });
        }
        Ok(files)
    }
}

fn collect(folder: &Path, into: &mut BTreeSet<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let kind = entry
            .file_type()
            .with_context(|| format!("cannot look at {}", entry.path().display()))?;
        let name = entry.file_name();
        if kind.is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                collect(&entry.path(), into)?;
            }
        } else if kind.is_file() {
            into.insert(entry.path());
        }
    }
    Ok(())
}
