//! Databases whose schema another tool changes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// How much of another tool's work can be seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runner {
    /// Whether it has a command that says where the schema is. Without one nobody can read back what became of a run that
    /// was cut off, and a person is asked.
    pub observed: bool,
}

/// Where another tool says that a schema is: what its command printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaRevision {
    /// The line; of several lines their number and digest, which is enough to compare.
    pub text: String,
    /// Whether the text is the revision itself, so that the tool can be told to go there.
    pub exact: bool,
}

/// A line that is longer is no name of a revision.
const LONGEST: usize = 200;

impl SchemaRevision {
    /// From what was printed: lines without their white space, empty ones left out. With `first_words` only the first
    /// word of each counts.
    #[must_use]
    pub fn from_output(output: &str, first_words: bool) -> Self {
        let lines: Vec<&str> = output
            .lines()
            .map(str::trim)
            .map(|line| match line.split_whitespace().next() {
                Some(word) if first_words => word,
                _ => line,
            })
            .filter(|line| !line.is_empty())
            .collect();
        match lines.as_slice() {
            [] => Self {
                text: String::new(),
                exact: true,
            },
            [line] if line.len() <= LONGEST => Self {
                text: (*line).to_owned(),
                exact: true,
            },
            several => Self {
                text: format!(
                    "{} lines, {}",
                    several.len(),
                    Digest::of(several.join("\n").as_bytes()).short()
                ),
                exact: false,
            },
        }
    }

    /// Whether nothing was applied yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for SchemaRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_empty() {
            "nothing applied"
        } else {
            &self.text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_printed_is_a_revision_or_something_to_compare() {
        let read = |text: &str, words| {
            let revision = SchemaRevision::from_output(text, words);
            (revision.text.clone(), revision.exact)
        };
        assert_eq!(read(" ae10 (head)\n", true), ("ae10".to_owned(), true));
        assert_eq!(
            read("\n ae10 (head)\n\n", false),
            ("ae10 (head)".to_owned(), true)
        );
        assert_eq!(read("\n", true), (String::new(), true));
        let (text, exact) = read("a (head)\nb\n", true);
        assert!(text.starts_with("2 lines, ") && !exact, "{text}");
        assert_eq!(read("a\nb", true).0, text);
        assert_ne!(read("a\nc", true).0, text);
        assert!(!read(&"x".repeat(500), false).1);
        assert_eq!(
            SchemaRevision::from_output("", true).to_string(),
            "nothing applied"
        );
    }
}
