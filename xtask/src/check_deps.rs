//! `cargo xtask check-deps`: the floors hold, and every manifest follows the workspace.
//!
//! The rules are pure functions over what was read; this file reads.

mod clippy_rules;
mod floors;
mod graph;
mod manifest;
mod rules;

use anyhow::{Context, Result};

use crate::cargo;
use crate::finding::{Finding, report};
use crate::repository::Repository;

use floors::{Floor, PLACES};
use graph::Graph;

pub(crate) fn run(repository: &Repository) -> Result<()> {
    let metadata = cargo::metadata(repository)?;
    let graph = Graph::from_metadata(&metadata)?;
    let mut findings = rules::check(&graph, PLACES);
    let workspace_clippy = repository.read("clippy.toml")?;

    for member in &graph.members {
        let folder = member
            .folder
            .strip_prefix(repository.root())
            .with_context(|| format!("{} is outside of the repository", member.folder.display()))?
            .to_string_lossy()
            .into_owned();
        let place = format!("{folder}/Cargo.toml");
        findings.extend(manifest::check(&place, &repository.read(&place)?)?);

        if floors::place(PLACES, &member.name).is_some_and(|place| place.floor == Floor::Pure) {
            let place = format!("{folder}/clippy.toml");
            match repository.read_if_there(&place)? {
                Some(own) => findings.extend(clippy_rules::check(&place, &workspace_clippy, &own)?),
                None => findings.push(Finding::new(
                    place,
                    "is missing: a crate of floor 0 bans files, clock, environment, network and randomness there",
                )),
            }
        }
    }
    report(
        findings,
        &format!("the floors hold for {} crates", graph.members.len()),
    )
}
