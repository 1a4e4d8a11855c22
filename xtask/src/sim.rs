//! `cargo xtask sim`: the simulator, built with optimisation, over many seeds or over one with its story.

use anyhow::Result;
use clap::Args;

use crate::cargo;
use crate::repository::Repository;

#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Go on after a violation, and list them all
    #[arg(long)]
    all: bool,
    /// One seed alone, with its story
    #[arg(long, conflicts_with_all = ["seeds", "first", "all"])]
    seed: Option<u64>,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<()> {
    let mut command = cargo::cargo(
        repository,
        ["run", "--quiet", "--release", "--package", "cutover-sim", "--"],
    );
    match options.seed {
        Some(seed) => {
            command.args(["--seed", &seed.to_string()]);
        }
        None => {
            command.args(["--seeds", &options.seeds.to_string()]);
            command.args(["--first", &options.first.to_string()]);
            if options.all {
                command.arg("--all");
            }
        }
    }
    cargo::run(&mut command)
}
