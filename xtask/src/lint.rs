//! `cargo xtask bench lint` and `cargo xtask soak lint`: how fast the linter is, and how much it survives.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cargo;
use crate::repository::Repository;

/// How many statements are linted.
const STATEMENTS: usize = 20_000;

/// What the linter is held to, in statements a second.
const AT_LEAST: f64 = 10_000.0;

/// Of several runs the fastest counts: what else the machine does only ever adds.
const RUNS: usize = 5;

/// The linter's speed on one file, beside squawk's where it is installed (`pip install squawk-cli`).
pub(crate) fn bench(repository: &Repository) -> Result<()> {
    let example = [
        "build",
        "--quiet",
        "--release",
        "--package",
        "cutover-sql",
        "--example",
        "lint_speed",
    ];
    cargo::run(&mut cargo::cargo(repository, example))?;
    let target = cargo::metadata(repository)?.target_directory.into_std_path_buf();
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("lint.sql");
    std::fs::write(&file, text())?;
    let own = fastest(&target.join("release/examples/lint_speed"), &file)?;
    println!("cutover: {} a second", own.round());
    if cargo::works(Command::new("squawk").arg("--version")) {
        let other = fastest(Path::new("squawk"), &file)?;
        println!("squawk:  {} a second, ratio {:.1}", other.round(), own / other);
    } else {
        println!("squawk:  not installed");
    }
    ensure!(own >= AT_LEAST, "fewer than {AT_LEAST} statements a second");
    Ok(())
}

/// Statements a second, a process from its start to its end.
fn fastest(program: &Path, file: &Path) -> Result<f64> {
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        #[expect(
            clippy::disallowed_methods,
            reason = "a process's wall time is what is measured"
        )]
        let begun = Instant::now();
        // Squawk's exit code says that there are findings.
        Command::new(program)
            .arg(file)
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        best = best.min(begun.elapsed());
    }
    #[expect(clippy::cast_precision_loss, reason = "twenty thousand fit")]
    let statements = STATEMENTS as f64;
    Ok(statements / best.as_secs_f64())
}

/// As migrations look: half of it is clean.
fn text() -> String {
    let mut out = String::new();
    for at in 0..STATEMENTS {
        let _ = match at % 8 {
            0 => writeln!(out, "ALTER TABLE orders ADD COLUMN c{at} int DEFAULT 10;"),
            1 => writeln!(out, "CREATE INDEX CONCURRENTLY i{at} ON orders (c{at}, state);"),
            2 => writeln!(
                out,
                "CREATE TABLE t{at} (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now());"
            ),
            3 => writeln!(
                out,
                "ALTER TABLE orders ADD CONSTRAINT k{at} CHECK (total > {at}) NOT VALID;"
            ),
            4 => writeln!(out, "CREATE INDEX j{at} ON orders (c{at});"),
            5 => writeln!(out, "ALTER TABLE orders ALTER COLUMN state SET NOT NULL;"),
            6 => writeln!(
                out,
                "ALTER TABLE orders ADD CONSTRAINT f{at} FOREIGN KEY (user_id) REFERENCES users (id);"
            ),
            _ => writeln!(out, "ALTER TABLE orders DROP COLUMN c{at};"),
        };
    }
    out
}

/// A million mutated statements.
pub(crate) fn soak(repository: &Repository, rounds: u64) -> Result<()> {
    let test = [
        "test",
        "--quiet",
        "--release",
        "--package",
        "cutover-sql",
        "--lib",
        "--",
        "mutated_statements",
    ];
    let mut command = cargo::cargo(repository, test);
    command.env("CUTOVER_SOAK", rounds.to_string());
    cargo::run(&mut command)?;
    println!("{rounds} mutated statements: no panic");
    Ok(())
}
