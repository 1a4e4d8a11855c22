//! `cargo xtask bench proxy`: the proxy beside nginx, HAProxy and Envoy on the same machine, in turns.
//!
//! Owns the processes that it starts (proxies and instances) and their folders; all of them are gone when it ends. It
//! talks to the loopback address only. The proxies have one core, everything else has another.

#![expect(clippy::print_stdout, reason = "a task talks to whoever started it")]

mod bare;
mod client;
mod cost;
mod differential;
mod instance;
mod killing;
mod load;
mod mutations;
mod peer;
mod peers;
mod plot;
mod report;
mod soak;
mod switching;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use tokio::task::LocalSet;

use crate::peers::Kind;
use crate::report::Report;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything, or the parts that are named
    Run(Options),
    /// What takes too long for every change
    Soak(soak::Options),
    /// One instance; started by the bench itself
    #[command(hide = true)]
    Instance(instance::Options),
    /// The data plane alone
    #[command(hide = true, subcommand)]
    Proxy(bare::Bare),
}

#[derive(Args)]
struct Options {
    /// The `cutover` program
    #[arg(long)]
    cutover: PathBuf,
    /// Where the tables and the plot go
    #[arg(long)]
    out: PathBuf,
    /// Fewer and shorter runs: to see that it works
    #[arg(long)]
    quick: bool,
    /// Runs of each measurement
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of one run
    #[arg(long)]
    seconds: Option<f64>,
    /// Switches of each proxy, with keep-alive and again without; kills are a tenth
    #[arg(long)]
    switches: Option<usize>,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only these proxies
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Kind>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// CPU and latency
    Cost,
    /// Switching from one version to another under load
    Switch,
    /// Killing instances under load
    Kill,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(options) => local(run(options)),
        Command::Soak(options) => local(soak::run(options)),
        Command::Instance(options) => local(instance::serve(options)),
        Command::Proxy(proxy) => bare::serve(proxy),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn local(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, work)
}

async fn run(options: Options) -> Result<()> {
    cost::keep_to_second_core();
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let found = peers::find(&options.cutover, &options.peers)?;
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 9 });
    let seconds = options.seconds.unwrap_or(if options.quick { 0.5 } else { 2.0 });
    let switches = options.switches.unwrap_or(if options.quick { 6 } else { 100 });
    let mut report = Report::new(&found);
    if wanted(Part::Cost) {
        report.cost = trial::run(&found, rounds, seconds).await?;
    }
    // What was measured is told, even if a later part fails.
    let mut failure = None;
    if wanted(Part::Switch) {
        match switching::run(&found, switches).await {
            Ok(rows) => report.switches = rows,
            Err(error) => failure = Some(error),
        }
    }
    if wanted(Part::Kill) {
        match killing::run(&found, switches.div_ceil(10)).await {
            Ok(rows) => report.kills = rows,
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let text = report.markdown();
    println!("\n{text}");
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make {}", options.out.display()))?;
    let write = |name: &str, content: &str| {
        let path = options.out.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    write("proxy.md", &text)?;
    write("proxy.json", &serde_json::to_string_pretty(&report)?)?;
    write("proxy.svg", &plot::draw(&report.cost))?;
    println!("written: {}/proxy.md, .json and .svg", options.out.display());
    failure.map_or_else(|| report.broken(), Err)
}
