//! `cargo xtask soak guided`: the targets of `fuzz/`, led by what code their bytes reach.
//!
//! The compiler's own counters and libFuzzer; both work on the stable toolchain, where `cargo fuzz` would want another.

use std::process::Command;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::cargo;
use crate::repository::Repository;

#[derive(Args)]
pub(crate) struct Guided {
    /// Only these
    #[arg(value_enum)]
    targets: Vec<Target>,
    /// Minutes for each
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    /// What a client sends
    Request,
    /// What an instance answers
    Answer,
    /// What stands in a migration file
    Sql,
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Sql => "sql",
        }
    }
}

/// Counters on every edge and every comparison, as libFuzzer reads them.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

pub(crate) fn run(repository: &Repository, guided: &Guided) -> Result<()> {
    let target = cargo::metadata(repository)?.target_directory.into_std_path_buf();
    let folder = target.join("fuzz");
    let host = host()?;
    // With a target that is named, flags are not for build scripts and macros.
    let build = [
        "build",
        "--release",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--target",
        &host,
    ];
    let mut build = cargo::cargo(repository, build);
    build.env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", &folder);
    cargo::run(&mut build)?;
    let all = Target::value_variants();
    let targets = if guided.targets.is_empty() {
        all
    } else {
        &guided.targets
    };
    for one in targets {
        let name = one.name();
        let corpus = folder.join("corpus").join(name);
        std::fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
        println!("── {name}, {} minutes", guided.minutes);
        let mut command = Command::new(folder.join(&host).join("release").join(name));
        command
            .arg(&corpus)
            .arg(repository.root().join("fuzz/seeds").join(name))
            .arg(format!("-max_total_time={}", guided.minutes * 60))
            .arg(format!("-artifact_prefix={}/{name}-", folder.display()))
            .args([
                "-max_len=4096",
                "-timeout=10",
                "-print_final_stats=1",
                "-verbosity=0",
            ])
            .current_dir(repository.root());
        if !matches!(one, Target::Sql) {
            command.arg("-dict=fuzz/http.dict");
        }
        cargo::run(&mut command)?;
    }
    Ok(())
}

/// The triple of this machine.
fn host() -> Result<String> {
    let said = Command::new("rustc").args(["--print", "host-tuple"]).output();
    let said = said.context("cannot run rustc")?;
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}
