//! The sections of a changelog between two versions.

use cutover_model::Version;

/// The sections above `from` up to and with `to`, in the file's order (which is newest first, as a rule): the version
/// and the text below its heading. Without `from`, only the section of `to`.
///
/// Headings are `## [1.1.0] - 2026-01-31`, `## 1.1.0`, `## v1.1.0 (…)`: "Keep a Changelog" and what is near it.
/// A heading without a version (`## [Unreleased]`) ends a section and begins none.
#[must_use]
pub fn changelog_between(text: &str, from: Option<&Version>, to: &Version) -> Vec<(String, String)> {
    let mut sections: Vec<(Version, Vec<&str>)> = Vec::new();
    let mut open = false;
    let mut fenced = false;
    for line in text.lines() {
        let bare = line.trim_start();
        if bare.starts_with("```") || bare.starts_with("~~~") {
            fenced = !fenced;
        }
        if !fenced && let Some(heading) = line.strip_prefix("## ") {
            open = false;
            if let Some(version) = version_of(heading) {
                open = true;
                sections.push((version, Vec::new()));
            }
        } else if open
            && !is_link_definition(line)
            && let Some((_, lines)) = sections.last_mut()
        {
            lines.push(line);
        }
    }
    sections
        .into_iter()
        .filter(|(version, _)| match from {
            Some(from) => version > from && version <= to,
            None => version == to,
        })
        .map(|(version, lines)| (version.to_string(), lines.join("\n").trim().to_owned()))
        .collect()
}

fn version_of(heading: &str) -> Option<Version> {
    let word = heading.split_whitespace().next()?;
    let word = word.trim_start_matches('[');
    let word = word.split([']', '(', ':']).next()?;
    word.parse().ok()
}

/// `[1.1.0]: https://…` at a file's end belongs to no section.
fn is_link_definition(line: &str) -> bool {
    line.starts_with('[') && line.contains("]: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\n## [Unreleased]\n- soon\n\n## [1.2.0] - 2026-02-01\n- c\n\n## v1.1.0 (beta)\n### Added\n- b\n```\n## 9.9.9\n```\n\n## 1.1.0-rc.1\n- rc\n## 1.0.0\n- a\n\n[1.2.0]: https://example.com\n";

    #[test]
    fn sections_between_two_versions() {
        let v = |text: &str| text.parse::<Version>().unwrap();
        let named = |from: Option<&str>, to: &str| {
            changelog_between(TEXT, from.map(v).as_ref(), &v(to))
                .into_iter()
                .map(|(version, _)| version)
                .collect::<Vec<_>>()
        };
        assert_eq!(named(Some("1.0.0"), "1.2.0"), ["1.2.0", "1.1.0", "1.1.0-rc.1"]);
        assert_eq!(named(Some("1.1.0"), "1.2.0"), ["1.2.0"]);
        assert_eq!(named(None, "1.0.0"), ["1.0.0"]);
        assert!(named(Some("1.2.0"), "1.2.0").is_empty());
        let texts = changelog_between(TEXT, Some(&v("1.0.0")), &v("1.1.0"));
        assert_eq!(texts[0].1, "### Added\n- b\n```\n## 9.9.9\n```");
        let all = changelog_between(TEXT, None, &v("1.0.0"));
        assert_eq!(all[0].1, "- a");
    }
}
