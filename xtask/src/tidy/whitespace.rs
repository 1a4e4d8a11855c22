//! No spaces at the end of a line: they are noise in every later diff.

use crate::finding::Finding;
use crate::repository::SourceFile;

/// Written by people. Snapshots hold what a program printed, byte for byte.
const EXTENSIONS: [&str; 8] = [".json", ".md", ".rs", ".sh", ".sql", ".toml", ".yaml", ".yml"];

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        if !EXTENSIONS.iter().any(|extension| file.path.ends_with(extension)) {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                findings.push(Finding::new(
                    format!("{}:{}", file.path, number + 1),
                    "ends with white space",
                ));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            findings.push(Finding::new(&file.path, "does not end with a line break"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::{files, lines};
    use super::*;

    #[test]
    fn ends_of_lines_and_of_files() {
        let found = check(&files(&[
            ("a.rs", "fine\nnot \n"),
            ("b.snap", "kept \n"),
            ("c.md", "x"),
            ("d.md", ""),
        ]));
        assert_eq!(
            lines(&found),
            [
                "a.rs:2: ends with white space",
                "c.md: does not end with a line break"
            ]
        );
    }
}
