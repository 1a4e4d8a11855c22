//! The index of the error pages: every code with its first sentence.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use crate::repository::{Repository, SourceFile};

use super::product::Product;

pub(crate) const PATH: &str = "docs/errors/README.md";

const FOLDER: &str = "docs/errors/";

const HEAD: &str = "\
<!-- Made by `cargo xtask generate` from the first sentence of each page. -->
# Errors

Every error has a stable code, `area.cause`; it stands in brackets behind `error`, and as `code` in JSON. Each page says
what is wrong, why it is refused and what to do next.
";

pub(super) fn make(repository: &Repository, _: &Product<'_>) -> Result<Option<String>> {
    Ok(Some(index(&repository.files()?)))
}

fn index(files: &[SourceFile]) -> String {
    let mut areas: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (code, page) in pages(files) {
        let area = code.split('.').next().unwrap_or(code);
        areas
            .entry(area)
            .or_default()
            .push((code, first_sentence(&page.text).unwrap_or_default()));
    }
    let mut text = HEAD.to_owned();
    for (area, pages) in areas {
        let _ = write!(text, "\n## {area}\n\n| code | what is wrong |\n| --- | --- |\n");
        for (code, sentence) in pages {
            let _ = writeln!(text, "| [{code}]({code}.md) | {sentence} |");
        }
    }
    text
}

/// The pages with their codes, sorted.
pub(crate) fn pages(files: &[SourceFile]) -> impl Iterator<Item = (&str, &SourceFile)> {
    files.iter().filter(|file| file.path != PATH).filter_map(|file| {
        let code = file.path.strip_prefix(FOLDER)?.strip_suffix(".md")?;
        Some((code, file))
    })
}

/// Where the page of a code is.
pub(crate) fn path(code: &str) -> String {
    format!("{FOLDER}{code}.md")
}

/// The first sentence below the title; it stands on one line so that the index can show it whole.
pub(crate) fn first_sentence(page: &str) -> Option<&str> {
    let line = page.lines().skip(1).find(|line| !line.trim().is_empty())?;
    let sentence = line.split_once(". ").map_or(line, |(sentence, _)| sentence);
    (!sentence.starts_with('#')).then(|| sentence.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_area_with_first_sentences() {
        let file = |path: &str, text: &str| SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let text = index(&[
            file("docs/errors/README.md", "# old\n"),
            file(
                "docs/errors/lease.held.md",
                "# lease.held\n\nAnother controller is at work.\n",
            ),
            file(
                "docs/errors/spec.cycle.md",
                "# spec.cycle\n\nServices wait for each other. None can go first.\n",
            ),
            file("docs/guides/first.md", "# First\n"),
        ]);
        let expected = "\n## lease\n\n| code | what is wrong |\n| --- | --- |\n\
                        | [lease.held](lease.held.md) | Another controller is at work |\n\
                        \n## spec\n\n| code | what is wrong |\n| --- | --- |\n\
                        | [spec.cycle](spec.cycle.md) | Services wait for each other |\n";
        assert_eq!(text, format!("{HEAD}{expected}"));
    }
}
