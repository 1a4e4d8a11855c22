//! What the linter finds in a database's migrations, and somebody has looked at.

use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the migrations of a database are linted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lint {
    /// Findings that are left out, of all files or of some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<LintException>,
}

impl Lint {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty()
    }

    /// The first entry that lets a rule's finding in a file pass, and its place in the list. The file's path is relative to
    /// the folder of `cutover.yaml`.
    #[must_use]
    pub fn allows(&self, rule: &str, path: &str) -> Option<usize> {
        self.allow.iter().position(|one| one.covers(rule, path))
    }
}

/// A rule of the linter that does not hold here, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LintException {
    /// The rule's name, as `cutover migrate rules` lists it.
    pub rule: String,
    /// Why it does not hold; required, and not empty.
    pub reason: String,
    /// In which files: names such as `004_*.up.sql`, or paths from the folder of this file such as `releases/1.*/**`; default
    /// all of the database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

impl LintException {
    /// Whether a file is one of those that it is for.
    #[must_use]
    pub fn is_for(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|pattern| fits(pattern, path))
    }

    fn covers(&self, rule: &str, path: &str) -> bool {
        self.rule == rule && self.is_for(path)
    }
}

/// The matcher of a pattern. `*` is any characters of one name, `?` is one of them, `**` any names at all.
pub(crate) fn matcher(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    let glob = GlobBuilder::new(plain(pattern)).literal_separator(true).build()?;
    Ok(glob.compile_matcher())
}

/// A pattern without `/` is one for the file's name, whatever folder it is in. Loading has refused what is none.
fn fits(pattern: &str, path: &str) -> bool {
    let path = plain(path);
    let path = if plain(pattern).contains('/') {
        path
    } else {
        path.rsplit('/').next().unwrap_or(path)
    };
    matcher(pattern).is_ok_and(|matcher| matcher.is_match(path))
}

fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names_or_paths() {
        let path = "releases/1.1.0/migrations/004_drop.up.sql";
        for pattern in [
            "004_*.up.sql",
            "00?_drop.up.sql",
            "*",
            "releases/1.1.0/migrations/004_drop.up.sql",
            "./releases/*/migrations/*.sql",
            "releases/**",
            "**/004_*",
            "00[1-5]_drop.up.sql",
            "{004,005}_*",
        ] {
            assert!(
                fits(pattern, path) && fits(pattern, &format!("./{path}")),
                "{pattern}"
            );
        }
        for pattern in [
            "005_*",
            "004",
            "releases/*",
            "migrations/*",
            "releases/1.1.0",
            "?",
            "",
        ] {
            assert!(!fits(pattern, path), "{pattern}");
        }
    }

    #[test]
    fn an_entry_holds_for_its_rule_and_its_files() {
        let entry = |rule: &str, paths: &[&str]| LintException {
            rule: rule.to_owned(),
            reason: "x".to_owned(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        };
        let lint = Lint {
            allow: vec![
                entry("drop-column", &["001_*"]),
                entry("drop-column", &["m/*"]),
                entry("reindex", &[]),
            ],
        };
        assert_eq!(lint.allows("drop-column", "m/001_a.up.sql"), Some(0));
        assert_eq!(lint.allows("drop-column", "m/002_a.up.sql"), Some(1));
        assert_eq!(lint.allows("drop-column", "n/002_a.up.sql"), None);
        assert_eq!(lint.allows("reindex", "n/002_a.up.sql"), Some(2));
    }
}
