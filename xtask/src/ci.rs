//! `cargo xtask ci`: everything that must hold before a change goes in, quickest answer first.

use anyhow::Result;
use clap::Args;

use crate::cargo::{self, cargo};
use crate::needs::NotReady;
use crate::parts::Parts;
use crate::repository::Repository;
use crate::summary::Summary;
use crate::{check_deps, generate, test, tidy};

#[derive(Args)]
pub(crate) struct Options {
    /// Say what the tests lack instead of installing it
    #[arg(long)]
    no_install: bool,
}

/// Stops at the first part that does not hold; then what each took, and the tests' totals as the last line.
pub(crate) fn run(repository: &Repository, options: &Options) -> Result<()> {
    let mut parts = Parts::default();
    let mut summary = Summary::default();
    let outcome = all(repository, options, &mut parts, &mut summary);
    println!("\n{parts}\n");
    if summary != Summary::default() {
        println!("{summary}");
    }
    outcome
}

fn all(repository: &Repository, options: &Options, parts: &mut Parts, summary: &mut Summary) -> Result<()> {
    parts.run("toolchain", || components(repository))?;
    parts.run("format", || {
        cargo::run(&mut cargo(repository, ["fmt", "--all", "--check"]))
    })?;
    parts.run("tidy", || tidy::run(repository))?;
    parts.run("check-deps", || check_deps::run(repository))?;
    parts.run("clippy", || {
        let arguments = [
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        cargo::run(&mut cargo(repository, arguments))
    })?;
    parts.run("generated files", || generate::check(repository))?;
    parts.run("documentation", || {
        let arguments = [
            "doc",
            "--quiet",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ];
        cargo::run(cargo(repository, arguments).env("RUSTDOCFLAGS", "-Dwarnings"))
    })?;
    test::all(repository, !options.no_install, "ci", parts, summary)
}

/// `rust-toolchain.toml` asks for both, but a toolchain that was there before may lack them.
fn components(repository: &Repository) -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        let subcommand = if component == "rustfmt" { "fmt" } else { component };
        let there = || cargo::works(&mut cargo(repository, [subcommand, "--version"]));
        if there() {
            continue;
        }
        let mut rustup = std::process::Command::new("rustup");
        rustup
            .args(["component", "add", component])
            .current_dir(repository.root());
        if !cargo::works(&mut rustup) || !there() {
            let advice =
                format!("this toolchain has no {component}; get it: rustup component add {component}");
            return Err(NotReady(advice).into());
        }
    }
    Ok(())
}
