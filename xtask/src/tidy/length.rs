//! A file can be read in one sitting, or says at its head why not.

use crate::finding::Finding;
use crate::repository::SourceFile;

const MOST: usize = 800;

/// In the module docs, before the first item.
const EXCUSE: &str = "//! Long because ";

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .filter_map(|file| {
            let lines = file.text.lines().count();
            let excused = file
                .text
                .lines()
                .take_while(|line| line.starts_with("//!"))
                .any(|line| line.starts_with(EXCUSE));
            let what = format!(
                "has {lines} lines, more than {MOST}: split it, or say `{EXCUSE}…` in its module docs"
            );
            (lines > MOST && !excused).then(|| Finding::new(&file.path, what))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::*;

    #[test]
    fn long_needs_a_reason() {
        let long = "fn a() {}\n".repeat(MOST + 1);
        let excused = format!("//! A table.\n//! Long because it is one table.\n{long}");
        let late = format!("{long}//! Long because it says so at the end.\n");
        let just = "fn a() {}\n".repeat(MOST);
        let found = check(&files(&[
            ("a.rs", &long),
            ("b.rs", &excused),
            ("c.rs", &late),
            ("d.rs", &just),
            ("e.md", &long),
        ]));
        let places: Vec<_> = found.iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!(places, ["a.rs", "c.rs"]);
    }
}
