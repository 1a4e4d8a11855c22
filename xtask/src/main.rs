//! Tasks of this repository: `cargo xtask help`.
//!
//! One subcommand a file. This crate builds alone, in seconds and without the product's crates, so that its
//! checks still run while one of those does not compile; what must run product code starts it through cargo.

#![expect(clippy::print_stdout, reason = "a task talks to whoever started it")]

mod bench;
mod cargo;
mod check_deps;
mod ci;
mod debian;
mod finding;
mod generate;
mod guided;
mod lint;
mod needs;
mod new_rule;
mod parts;
mod repository;
mod sim;
mod soak;
mod stand_in;
mod summary;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::needs::NotReady;
use crate::repository::Repository;

/// Tasks of this repository.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = false
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all tests, after installing what they need
    Test(test::Options),
    /// Run everything that must hold before a change goes in
    Ci(ci::Options),
    /// Check that dependencies point down the floors, and that manifests follow the workspace
    CheckDeps,
    /// Check the repository's rules: module docs, file lengths, leftovers, links, error pages
    Tidy,
    /// Run the simulator over many seeds, or one seed with its story
    Sim(sim::Options),
    /// Measure: builds what is shipped, and says it beside others
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Try for long what CI tries for a moment
    #[command(subcommand)]
    Soak(soak::Soak),
    /// Write the generated files again
    Generate(generate::Options),
    /// Begin a rule of the linter: its file, and its lines in the list
    NewRule(new_rule::Options),
}

fn run(task: &Task) -> Result<()> {
    let repository = Repository::open()?;
    match task {
        Task::Test(options) => test::run(&repository, options),
        Task::Ci(options) => ci::run(&repository, options),
        Task::CheckDeps => check_deps::run(&repository),
        Task::Tidy => tidy::run(&repository),
        Task::Sim(options) => sim::run(&repository, options),
        Task::Bench(bench) => bench::run(&repository, bench),
        Task::Soak(soak) => soak::run(&repository, soak),
        Task::Generate(options) => generate::run(&repository, options),
        Task::NewRule(options) => new_rule::run(&repository, options),
    }
}

/// 0 done, 1 something does not hold, 2 this machine lacks something.
fn main() -> ExitCode {
    match run(&Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::from(if error.is::<NotReady>() { 2 } else { 1 })
        }
    }
}
