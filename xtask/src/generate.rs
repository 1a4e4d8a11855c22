//! `cargo xtask generate`: files that are made from others and committed all the same, because people read them.
//! CI makes them again, in memory, and fails when a committed one differs.

mod cli_reference;
pub(crate) mod error_index;
mod product;
mod rules;
mod schema;

use std::fs;

use anyhow::{Context, Result};
use clap::Args;

use crate::finding::{Finding, report};
use crate::repository::Repository;

use product::Product;

/// One generated file: adding one is adding a line to `GENERATORS`.
struct Generator {
    path: &'static str,
    /// None: its source does not exist, so neither should the file.
    make: fn(&Repository, &Product<'_>) -> Result<Option<String>>,
}

const GENERATORS: [Generator; 4] = [
    Generator {
        path: error_index::PATH,
        make: error_index::make,
    },
    Generator {
        path: schema::PATH,
        make: schema::make,
    },
    Generator {
        path: cli_reference::PATH,
        make: cli_reference::make,
    },
    Generator {
        path: rules::PATH,
        make: rules::make,
    },
];

#[derive(Args)]
pub(crate) struct Options {
    /// Write nothing; fail when a committed file differs
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<()> {
    if options.check {
        return check(repository);
    }
    let product = Product::new(repository);
    for generator in &GENERATORS {
        let path = repository.path(generator.path);
        match (generator.make)(repository, &product)? {
            Some(text) if repository.read_if_there(generator.path)?.as_ref() == Some(&text) => {
                println!("  = {}", generator.path);
            }
            Some(text) => {
                fs::create_dir_all(path.parent().context("a generated file is in a folder")?)
                    .and_then(|()| fs::write(&path, text))
                    .with_context(|| format!("cannot write {}", path.display()))?;
                println!("  ~ {}", generator.path);
            }
            None => println!("  · {}: nothing to make it from", generator.path),
        }
    }
    Ok(())
}

/// Makes every file again and compares.
pub(crate) fn check(repository: &Repository) -> Result<()> {
    let product = Product::new(repository);
    let mut findings = Vec::new();
    for generator in &GENERATORS {
        let fresh = (generator.make)(repository, &product)?;
        let committed = repository.read_if_there(generator.path)?;
        if let Some(what) = difference(committed.as_deref(), fresh.as_deref()) {
            findings.push(Finding::new(
                generator.path,
                format!("{what}; write it again: cargo xtask generate"),
            ));
        }
    }
    report(findings, "the generated files are fresh")
}

/// Why the committed text is not what would be made now.
fn difference(committed: Option<&str>, fresh: Option<&str>) -> Option<String> {
    let (committed, fresh) = match (committed, fresh) {
        (None, None) => return None,
        (None, Some(_)) => return Some("is missing".to_owned()),
        (Some(_), None) => return Some("is there, but what it is made from is not".to_owned()),
        (Some(committed), Some(fresh)) => (committed, fresh),
    };
    if committed == fresh {
        return None;
    }
    let equal = committed
        .lines()
        .zip(fresh.lines())
        .take_while(|(old, new)| old == new)
        .count();
    Some(format!("is stale from line {} on", equal + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_its_line() {
        assert_eq!(difference(None, None), None);
        assert_eq!(difference(Some("a\nb\n"), Some("a\nb\n")), None);
        assert_eq!(
            difference(Some("a\nb\n"), Some("a\nc\n")).as_deref(),
            Some("is stale from line 2 on")
        );
        assert_eq!(
            difference(Some("a\n"), Some("a\nc\n")).as_deref(),
            Some("is stale from line 2 on")
        );
        assert_eq!(difference(None, Some("a")).as_deref(), Some("is missing"));
        assert!(difference(Some("a"), None).is_some());
    }
}
