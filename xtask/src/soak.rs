//! `cargo xtask soak`: what takes too long for every change, on the product as it is shipped.

use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::bench;
use crate::cargo;
use crate::guided;
use crate::lint;
use crate::repository::Repository;

#[derive(Subcommand)]
pub(crate) enum Soak {
    /// A million requests over switches of the proxy, of which none may fail
    Proxy(Passed),
    /// Ten thousand clients of the proxy that say nothing
    Idle(Passed),
    /// Bad bytes to the proxy and to others: it never forwards more than they do
    Fuzz(Passed),
    /// Bytes that look for new ways through the code: what clients send, what instances answer, what migrations say
    Guided(guided::Guided),
    /// The linter on mutated statements
    Lint {
        /// How many
        #[arg(long, default_value_t = 1_000_000)]
        rounds: u64,
    },
}

#[derive(Args)]
pub(crate) struct Passed {
    /// Options of its own; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub(crate) fn run(repository: &Repository, soak: &Soak) -> Result<()> {
    match soak {
        Soak::Proxy(passed) => proxy(repository, "proxy", passed),
        Soak::Idle(passed) => proxy(repository, "idle", passed),
        Soak::Fuzz(passed) => proxy(repository, "fuzz", passed),
        Soak::Guided(guided) => guided::run(repository, guided),
        Soak::Lint { rounds } => lint::soak(repository, *rounds),
    }
}

fn proxy(repository: &Repository, what: &str, passed: &Passed) -> Result<()> {
    let folder = bench::build(repository, &["cutover", "proxy-bench"])?;
    // Ten thousand connections need as many descriptors as this user may have.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -Sn \"$(ulimit -Hn)\"; exec \"$@\"", "sh"])
        .arg(folder.join("proxy-bench"))
        .arg("soak")
        .arg("--cutover")
        .arg(folder.join("cutover"))
        .arg(what)
        .args(&passed.options)
        .current_dir(repository.root());
    cargo::run(&mut command)
}
