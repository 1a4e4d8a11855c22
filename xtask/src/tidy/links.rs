//! A link from one page of the repository to another leads somewhere.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::repository::SourceFile;

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut there: BTreeSet<String> = BTreeSet::new();
    for file in files {
        // Folders may be linked to as well.
        let mut path = file.path.as_str();
        there.insert(path.to_owned());
        while let Some((folder, _)) = path.rsplit_once('/') {
            there.insert(folder.to_owned());
            path = folder;
        }
    }

    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let mut in_code = false;
        for (number, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            if in_code {
                continue;
            }
            for target in targets(line) {
                if !there.contains(&resolve(&file.path, target)) {
                    let what = format!("links to {target}, which is not there");
                    findings.push(Finding::new(format!("{}:{}", file.path, number + 1), what));
                }
            }
        }
    }
    findings
}

/// What `](…)` points to inside the repository, without its anchor.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#', ' ']).next()?;
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(target)
    })
}

fn resolve(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::{files, lines};
    use super::*;

    #[test]
    fn links_between_pages() {
        let found = check(&files(&[
            (
                "README.md",
                "[a](docs/a.md) and [folder](docs/) and [web](https://example.com/x)\n[top](#words)\n",
            ),
            (
                "docs/a.md",
                "[up](../README.md#start)\n[gone](./b.md \"title\")\n```\n[code](c.md)\n```\n",
            ),
        ]));
        assert_eq!(
            lines(&found),
            ["docs/a.md:2: links to ./b.md, which is not there"]
        );
    }
}
