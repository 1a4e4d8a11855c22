//! Clippy reads only the nearest `clippy.toml`: one beside a crate must repeat the workspace's rules.

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::finding::Finding;

/// What of the workspace's `clippy.toml` is not in the crate's own one: a setting, or an entry of a list.
pub(crate) fn check(place: &str, workspace: &str, own: &str) -> Result<Vec<Finding>> {
    let workspace: Table = workspace.parse().context("cannot read clippy.toml")?;
    let own: Table = own.parse().with_context(|| format!("cannot read {place}"))?;
    let mut findings = Vec::new();
    for (key, value) in &workspace {
        match (value, own.get(key)) {
            (Value::Array(wanted), Some(Value::Array(there))) => {
                let lost = wanted
                    .iter()
                    .map(name)
                    .filter(|entry| !there.iter().any(|other| name(other) == *entry));
                findings.extend(
                    lost.map(|entry| Finding::new(place, format!("does not repeat `{entry}` of {key}"))),
                );
            }
            (wanted, there) if there != Some(wanted) => {
                findings.push(Finding::new(
                    place,
                    format!("does not repeat `{key}` of the workspace's clippy.toml"),
                ));
            }
            _ => {}
        }
    }
    Ok(findings)
}

/// An entry is a path, or a table with one; the reason may differ.
fn name(entry: &Value) -> String {
    let path = entry.get("path").unwrap_or(entry);
    path.as_str().map_or_else(|| path.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str =
        "allow-unwrap-in-tests = true\ndisallowed-methods = [{ path = 'a::b', reason = 'x' }]\n";

    #[test]
    fn more_is_fine_and_reasons_may_differ() {
        let own =
            "allow-unwrap-in-tests = true\ndisallowed-methods = ['c::d', { path = 'a::b', reason = 'y' }]\n";
        assert_eq!(check("x/clippy.toml", WORKSPACE, own).unwrap(), []);
    }

    #[test]
    fn less_is_not() {
        let lost = check("x/clippy.toml", WORKSPACE, "disallowed-methods = ['c::d']\n").unwrap();
        let what: Vec<_> = lost.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(
            what,
            [
                "does not repeat `allow-unwrap-in-tests` of the workspace's clippy.toml",
                "does not repeat `a::b` of disallowed-methods",
            ]
        );
        assert_eq!(check("x/clippy.toml", WORKSPACE, "").unwrap().len(), 2);
    }
}
