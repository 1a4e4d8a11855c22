//! The dependency graph, cut down to what the rules ask.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, PackageId};

/// The crates of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) members: Vec<Member>,
}

/// One of them. Dependencies of tests do not count: they may go anywhere.
#[derive(Debug, Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Crates of the workspace that it names.
    pub(crate) inside: BTreeSet<String>,
    /// Crates from outside that it names.
    pub(crate) outside: BTreeSet<String>,
    /// Every crate that it reaches, with the way there: from what it names to the crate itself.
    pub(crate) reaches: BTreeMap<String, Vec<String>>,
}

impl Graph {
    pub(crate) fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let packages = metadata.workspace_packages();
        let own: BTreeSet<String> = packages.iter().map(|package| package.name.to_string()).collect();
        let edges = edges(metadata)?;
        let mut members = Vec::new();
        for package in packages {
            let named = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development);
            let (inside, outside) = named
                .map(|dependency| dependency.name.clone())
                .partition(|name| own.contains(name));
            members.push(Member {
                name: package.name.to_string(),
                folder: package
                    .manifest_path
                    .parent()
                    .context("a manifest without a folder")?
                    .into(),
                inside,
                outside,
                reaches: reaches(&package.id, &edges),
            });
        }
        Ok(Self { members })
    }
}

type Edges<'a> = BTreeMap<&'a PackageId, Vec<(&'a str, &'a PackageId)>>;

/// Who needs whom outside of tests. Features are those of the whole workspace together: with one place for every
/// dependency's features that is also what a crate built alone gets.
fn edges(metadata: &Metadata) -> Result<Edges<'_>> {
    let names: BTreeMap<_, _> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.as_str()))
        .collect();
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo did not resolve the workspace")?;
    let mut edges = Edges::new();
    for node in &resolve.nodes {
        let needed = node
            .deps
            .iter()
            .filter(|dependency| {
                dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal)
            })
            .filter_map(|dependency| names.get(&dependency.pkg).map(|name| (*name, &dependency.pkg)))
            .collect();
        edges.insert(&node.id, needed);
    }
    Ok(edges)
}

/// The shortest way to everything, breadth first.
fn reaches(start: &PackageId, edges: &Edges<'_>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen = BTreeSet::from([start]);
    let mut queue = VecDeque::from([(start, Vec::new())]);
    while let Some((id, way)) = queue.pop_front() {
        for (name, next) in edges.get(id).into_iter().flatten() {
            if seen.insert(next) {
                let mut longer = way.clone();
                longer.push((*name).to_owned());
                found.entry((*name).to_owned()).or_insert_with(|| longer.clone());
                queue.push_back((next, longer));
            }
        }
    }
    found
}
