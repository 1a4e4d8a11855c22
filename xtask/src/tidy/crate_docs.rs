//! Every crate says at its root what it is for.

use crate::finding::Finding;
use crate::repository::SourceFile;

const ROOTS: [&str; 2] = ["src/lib.rs", "src/main.rs"];

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| ROOTS.iter().any(|root| file.path.ends_with(root)))
        .filter(|file| !file.text.trim_start().starts_with("//!"))
        .map(|file| {
            Finding::new(
                &file.path,
                "does not begin with `//!`: say what the crate is for and what it must not know",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::*;

    #[test]
    fn only_roots_are_asked() {
        let found = check(&files(&[
            ("crates/a/src/lib.rs", "//! What a is.\n"),
            ("crates/a/src/part.rs", "use x;\n"),
            ("crates/b/src/main.rs", "fn main() {}\n"),
        ]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/b/src/main.rs");
    }
}
