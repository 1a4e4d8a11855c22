//! `cargo xtask bench proxy`: the product as it is shipped, beside other proxies.

use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::cargo;
use crate::repository::Repository;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// CPU and latency, switches under load, killed instances; beside nginx, HAProxy and Envoy where they are installed
    Proxy(Options),
}

#[derive(Args)]
pub(crate) struct Options {
    /// Passed on: --quick, --rounds N, --seconds S, --switches N, --only cost,switch,kill, --peers …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(repository: &Repository, bench: &Bench) -> Result<()> {
    let Bench::Proxy(options) = bench;
    let built = build(repository)?;
    let out = cargo::metadata(repository)?.target_directory.join("bench");
    let mut command = Command::new(built.bench);
    command
        .arg("run")
        .arg("--cutover")
        .arg(built.cutover)
        .arg("--out")
        .arg(out);
    cargo::run(command.args(&options.rest))
}

/// The programs, as they are shipped.
pub(crate) struct Built {
    pub(crate) bench: std::path::PathBuf,
    pub(crate) cutover: std::path::PathBuf,
}

pub(crate) fn build(repository: &Repository) -> Result<Built> {
    // So that a machine that does other things as well is not taken over by the link-time optimisation.
    let mut command = Command::new("nice");
    let cargo = cargo::cargo(
        repository,
        [
            "build",
            "--quiet",
            "--profile",
            "dist",
            "--package",
            "cutover",
            "--package",
            "proxy-bench",
        ],
    );
    command
        .args(["-n", "5"])
        .arg(cargo.get_program())
        .args(cargo.get_args());
    command.current_dir(repository.root());
    for (name, value) in cargo.get_envs() {
        if value.is_none() {
            command.env_remove(name);
        }
    }
    cargo::run(&mut command)?;
    let folder = cargo::metadata(repository)?
        .target_directory
        .join("dist")
        .into_std_path_buf();
    Ok(Built {
        bench: folder.join("proxy-bench"),
        cutover: folder.join("cutover"),
    })
}
