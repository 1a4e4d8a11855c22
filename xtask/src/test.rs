//! `cargo xtask test`: everything that is tested, on a machine that has nothing but the toolchain.

use anyhow::{Result, bail};
use clap::Args;

use crate::cargo::{self, cargo, colour_choice};
use crate::needs;
use crate::parts::Parts;
use crate::repository::Repository;
use crate::stand_in;
use crate::summary::Summary;

#[derive(Args)]
pub(crate) struct Options {
    /// Say what is missing instead of installing it
    #[arg(long)]
    no_install: bool,
}

/// The tests, then what each part took, then the totals as the last line.
pub(crate) fn run(repository: &Repository, options: &Options) -> Result<()> {
    let mut parts = Parts::default();
    let mut summary = Summary::default();
    let outcome = all(
        repository,
        !options.no_install,
        "default",
        &mut parts,
        &mut summary,
    );
    println!("\n{parts}\n");
    if summary != Summary::default() {
        println!("{summary}");
    }
    outcome
}

/// The parts of it, also for `ci`. A failing runner does not stop the next one: all failures are seen at once.
pub(crate) fn all(
    repository: &Repository,
    install: bool,
    profile: &str,
    parts: &mut Parts,
    summary: &mut Summary,
) -> Result<()> {
    parts.run("servers for the tests", || {
        needs::ensure(install)?;
        stand_in::ensure(repository, install)
    })?;
    // End-to-end tests start the binary itself, and no test target of theirs makes cargo build it.
    parts.run("build cutover", || cargo::build_cutover(repository).map(|_| ()))?;

    // `cargo nextest` is faster and isolates each test in a process; the suites pass under `cargo test` as well,
    // which every toolchain has.
    let unit = if cargo::works(&mut cargo(repository, ["nextest", "--version"])) {
        let arguments = [
            "nextest",
            "run",
            "--workspace",
            "--profile",
            profile,
            "--color",
            colour_choice(),
        ];
        parts.run("tests (nextest)", || runner(repository, &arguments, summary))
    } else {
        let arguments = [
            "test",
            "--workspace",
            "--tests",
            "--no-fail-fast",
            "--color",
            colour_choice(),
        ];
        parts.run("tests (cargo test)", || runner(repository, &arguments, summary))
    };
    let arguments = [
        "test",
        "--workspace",
        "--doc",
        "--no-fail-fast",
        "--color",
        colour_choice(),
    ];
    let doc = parts.run("documentation tests", || runner(repository, &arguments, summary));
    unit.and(doc)?;

    if summary.count("passed") == 0 {
        bail!("no test was run");
    }
    Ok(())
}

fn runner(repository: &Repository, arguments: &[&str], summary: &mut Summary) -> Result<()> {
    let mut command = cargo(repository, arguments.iter().copied());
    let (status, lines) = cargo::run_keeping_lines(&mut command)?;
    summary.add(&lines);
    cargo::expect_success(&cargo::show(&command), status)
}
