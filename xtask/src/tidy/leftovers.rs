//! Nothing is left for later in the text: what is open belongs in an issue.

use crate::finding::Finding;
use crate::repository::SourceFile;

/// Written in halves, so that this file does not find itself.
const WORDS: [(&str, &str); 4] = [
    (concat!("TO", "DO"), "open work belongs in an issue"),
    (concat!("FIX", "ME"), "open work belongs in an issue"),
    (concat!("to", "do!("), "finish it, or leave it out"),
    (
        concat!("#[ig", "nore"),
        "a test that does not run proves nothing: make it fast, or remove it",
    ),
];

const GENERATED_OR_LEGAL: [&str; 2] = ["Cargo.lock", "LICENSE"];

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        if GENERATED_OR_LEGAL.contains(&file.path.as_str()) {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            for (word, why) in WORDS {
                if contains_word(line, word) {
                    findings.push(Finding::new(
                        format!("{}:{}", file.path, number + 1),
                        format!("`{word}`: {why}"),
                    ));
                }
            }
        }
    }
    findings
}

/// Not as a part of a longer word.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let goes_back = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let goes_on =
            word.ends_with(char::is_alphabetic) && line[at + word.len()..].starts_with(char::is_uppercase);
        !(goes_back || goes_on)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{files, lines};
    use super::*;

    #[test]
    fn every_word_is_found_with_its_line() {
        let text = format!(
            "// {}: x\n\n// {}\n{}){}\n{}]\n",
            WORDS[0].0, WORDS[1].0, WORDS[2].0, "", WORDS[3].0
        );
        let found = lines(&check(&files(&[("a.rs", &text)])));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[1].starts_with("a.rs:3: "), "{found:?}");
    }

    #[test]
    fn parts_of_other_words_are_not() {
        let text = format!("MAS{0} {0}RS ma{1}x)\n", WORDS[0].0, WORDS[2].0);
        assert_eq!(check(&files(&[("a.rs", &text)])), []);
    }
}
