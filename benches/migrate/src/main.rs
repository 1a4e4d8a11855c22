//! `cargo xtask bench migrate`: Cutover beside dbmate and Alembic on the same machine, in turns.
//!
//! Owns the server, the databases and the folders that it works in; all of them are gone when it ends. It talks to the
//! loopback address only.

#![expect(clippy::print_stdout, reason = "a task talks to whoever started it")]

mod database;
mod project;
mod report;
mod tool;
mod trial;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::database::Server;
use crate::report::Report;
use crate::trial::{Plan, Trial};

#[derive(Parser)]
struct Options {
    /// The `cutover` program
    #[arg(long)]
    cutover: PathBuf,
    /// Where the tables go
    #[arg(long)]
    out: PathBuf,
    /// A tenth of the files: to see that it works
    #[arg(long)]
    quick: bool,
    /// Runs of each measurement
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let tools = tool::find(&options.cutover)?;
    let plan = if options.quick {
        Plan {
            files: 100,
            many: 1_000,
            rounds: options.rounds.min(3),
        }
    } else {
        Plan {
            files: 1_000,
            many: 10_000,
            rounds: options.rounds,
        }
    };
    let folder = tempfile::Builder::new().prefix("cutover-bench-").tempdir()?;
    let mut servers = vec![Server::Sqlite];
    match cutover_testkit::PostgresServer::shared() {
        Some(server) => servers.insert(0, Server::Postgres(server)),
        None => {
            println!("PostgreSQL is not here; get it: apt-get install -y --no-install-recommends postgresql")
        }
    }
    let mut report = Report::new(&plan, &tools);
    for server in servers {
        let trial = Trial::new(&plan, &tools, server, folder.path());
        report.add(trial.run()?);
    }
    let text = report.markdown();
    println!("\n{text}");
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make {}", options.out.display()))?;
    std::fs::write(options.out.join("migrate.md"), &text)?;
    std::fs::write(
        options.out.join("migrate.json"),
        serde_json::to_string_pretty(&report)?,
    )?;
    println!("written: {}/migrate.md and .json", options.out.display());
    if options.quick { Ok(()) } else { report.missed() }
}
