//! `cargo xtask bench`: the proxy and the migrations as they are shipped beside others, the analysis beside other rules, the
//! linter beside squawk.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::cargo;
use crate::repository::Repository;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// CPU and latency, switches under load, killed instances; beside nginx, HAProxy and Envoy where they are installed
    Proxy(Options),
    /// Applying migrations, and a run that finds nothing to do; beside dbmate and Alembic where they are installed
    Migrate(MigrateOptions),
    /// Simulated releases under our analysis and the rules of others, at equal false-rollback rates
    Analysis(AnalysisOptions),
    /// Statements that the linter reads in a second, beside squawk where it is installed
    Lint,
}

#[derive(Args)]
pub(crate) struct AnalysisOptions {
    /// Passed on: --runs N, --healthy N, --only PART
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

#[derive(Args)]
pub(crate) struct MigrateOptions {
    /// Passed on: --quick, --rounds N
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Options {
    /// Passed on: --quick, --rounds N, --seconds S, --switches N, --only cost,switch,kill, --peers …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(repository: &Repository, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Proxy(options) => proxy(repository, options),
        Bench::Migrate(options) => migrate(repository, options),
        Bench::Analysis(options) => analysis(repository, options),
        Bench::Lint => crate::lint::bench(repository),
    }
}

/// Only what is simulated is built with optimisation: the rest is there already.
fn analysis(repository: &Repository, options: &AnalysisOptions) -> Result<()> {
    let mut command = cargo::cargo(repository, ["run", "--quiet", "--package", "analysis-bench"]);
    for package in ["analysis-bench", "cutover-analysis"] {
        command.arg("--config");
        command.arg(format!("profile.dev.package.{package}.opt-level=3"));
    }
    let out = cargo::metadata(repository)?.target_directory.join("bench");
    command.arg("--").arg("--out").arg(out);
    cargo::run(command.args(&options.rest))
}

fn proxy(repository: &Repository, options: &Options) -> Result<()> {
    let folder = build(repository, &["cutover", "proxy-bench"])?;
    let out = cargo::metadata(repository)?.target_directory.join("bench");
    let mut command = Command::new(folder.join("proxy-bench"));
    command
        .arg("run")
        .arg("--cutover")
        .arg(folder.join("cutover"))
        .arg("--out")
        .arg(out);
    cargo::run(command.args(&options.rest))
}

/// The bench itself only starts programs and waits for them: it is not built with optimisation.
fn migrate(repository: &Repository, options: &MigrateOptions) -> Result<()> {
    let folder = build(repository, &["cutover"])?;
    let out = cargo::metadata(repository)?.target_directory.join("bench");
    let mut command = cargo::cargo(repository, ["run", "--quiet", "--package", "migrate-bench", "--"]);
    command.arg("--cutover").arg(folder.join("cutover"));
    command.arg("--out").arg(out);
    cargo::run(command.args(&options.rest))
}

/// Builds programs as they are shipped, and answers where they are.
pub(crate) fn build(repository: &Repository, packages: &[&str]) -> Result<PathBuf> {
    // So that a machine that does other things as well is not taken over by the link-time optimisation.
    let mut command = Command::new("nice");
    let mut cargo = cargo::cargo(repository, ["build", "--quiet", "--profile", "dist"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
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
    Ok(cargo::metadata(repository)?
        .target_directory
        .join("dist")
        .into_std_path_buf())
}
