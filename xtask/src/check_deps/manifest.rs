//! Every manifest takes lints and dependencies from the workspace.

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::finding::Finding;

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// What does not follow the workspace in the manifest of one crate.
pub(crate) fn check(place: &str, text: &str) -> Result<Vec<Finding>> {
    let manifest: Table = text.parse().with_context(|| format!("cannot read {place}"))?;
    let mut findings = Vec::new();

    if !manifest.get("lints").is_some_and(inherits) {
        findings.push(Finding::new(
            place,
            "lints are policy: add `[lints] workspace = true`",
        ));
    }
    let mut tables = vec![&manifest];
    let targets = manifest.get("target").and_then(Value::as_table);
    tables.extend(
        targets
            .into_iter()
            .flat_map(Table::values)
            .filter_map(Value::as_table),
    );
    for table in tables {
        for kind in KINDS {
            let dependencies = table.get(kind).and_then(Value::as_table);
            for (name, dependency) in dependencies.into_iter().flatten() {
                if !inherits(dependency) {
                    let what = format!(
                        "{name} does not come from the workspace: put it under [workspace.dependencies] with all \
                         its features, and write `{name}.workspace = true`"
                    );
                    findings.push(Finding::new(place, what));
                } else if dependency.get("features").is_some() || dependency.get("default-features").is_some()
                {
                    let what = format!(
                        "{name} has features of its own: declare them in the workspace, or the crate built alone and \
                         the whole workspace compile it twice"
                    );
                    findings.push(Finding::new(place, what));
                }
            }
        }
    }
    Ok(findings)
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<String> {
        check("x/Cargo.toml", text)
            .unwrap()
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn a_manifest_that_follows() {
        let none: [&str; 0] = [];
        let text = "[lints]\nworkspace = true\n[dependencies]\na.workspace = true\n\
                    b = { workspace = true, optional = true }\n[target.'cfg(unix)'.dependencies]\nc.workspace = true\n";
        assert_eq!(places(text), none);
    }

    #[test]
    fn lints_are_missing() {
        assert_eq!(places("[package]\nname = 'x'\n").len(), 1);
        assert_eq!(places("[lints.rust]\nmissing_docs = 'allow'\n").len(), 1);
    }

    #[test]
    fn a_dependency_of_its_own_in_every_table() {
        let text = "[lints]\nworkspace = true\n[dependencies]\na = '1'\n[dev-dependencies]\nb = { version = '1' }\n\
                    [build-dependencies]\nc = { path = '../c' }\n[target.'cfg(unix)'.dependencies]\nd = '1'\n";
        let found = places(text);
        assert_eq!(found.len(), 4, "{found:?}");
    }

    #[test]
    fn features_of_its_own() {
        let text = "[lints]\nworkspace = true\n[dependencies]\na = { workspace = true, features = ['x'] }\n";
        assert!(places(text)[0].contains("features of its own"));
    }
}
