//! The tools that are here, and how to get those that are not.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// A tool's kind. The first is the one in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cutover,
    Dbmate,
    Alembic,
}

/// One that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Cutover, Self::Dbmate, Self::Alembic];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cutover => "Cutover",
            Self::Dbmate => "dbmate",
            Self::Alembic => "Alembic",
        }
    }

    const fn how_to_get(self) -> &'static str {
        match self {
            Self::Cutover => "cargo build --package cutover",
            Self::Dbmate => "npm install dbmate, with node_modules/.bin in PATH",
            Self::Alembic => "pip install alembic psycopg2-binary, with `alembic` in PATH",
        }
    }
}

/// Those that are here; the others are said.
pub(crate) fn find(cutover: &Path) -> Result<Vec<Tool>> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let program = match kind {
            Kind::Cutover => cutover.is_file().then(|| cutover.to_owned()),
            Kind::Dbmate => in_path("dbmate"),
            Kind::Alembic => in_path("alembic"),
        };
        match program.and_then(|program| Some((version(&program)?, program))) {
            Some((version, program)) => {
                println!("{:<8} {version}", kind.name());
                found.push(Tool {
                    kind,
                    program,
                    version,
                });
            }
            None => println!("{:<8} is not here; get it: {}", kind.name(), kind.how_to_get()),
        }
    }
    if found.first().is_none_or(|tool| tool.kind != Kind::Cutover) {
        bail!("there is no {}", cutover.display());
    }
    Ok(found)
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())?;
    // dbmate's package puts a script before its program, and what is measured is the program.
    let real = std::fs::canonicalize(&found).ok()?;
    let own = real.parent()?.parent()?.parent()?;
    let machine = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let inner = own.join(format!("@dbmate/{}-{machine}/bin/dbmate", env::consts::OS));
    Some(if program == "dbmate" && inner.is_file() {
        inner
    } else {
        found
    })
}

/// The last word of what it says when it is asked; none where it cannot be run.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = text.lines().next()?.split_whitespace().last()?;
    output.status.success().then(|| word.to_owned())
}
