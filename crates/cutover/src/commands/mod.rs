//! One file per command. Each reads what it needs, asks the crates below, and hands what came of it to the renderers.

mod analyze;
mod backup;
mod check;
mod down;
mod history;
mod init;
mod lint;
mod lint_allow;
mod lint_fix;
mod lint_trace;
mod logs;
mod migrate;
mod migrate_lease;
mod migrate_ran;
mod migrate_records;
mod migrate_schema;
mod plan;
mod proxy;
mod proxy_run;
mod proxy_upgrade;
mod request;
mod schema;
mod status;
mod supervise;
mod upgrade;
mod watch;

pub(crate) use history::list as history;
pub(crate) use proxy_run::serve as serve_proxy;
pub(crate) use status::run as status;

use clap::CommandFactory as _;
use cutover_model::{Command as Asked, ExitCode};

use crate::cli::{Cli, Command, Globals, Migrate};
use crate::context::Context;
use crate::demo;
use crate::failure::{Failure, Outcome};
use crate::render::Printer;
use crate::world::Machine;

/// Runs a command.
pub(crate) async fn run(cli: Cli, printer: &Printer) -> Outcome {
    let globals = cli.globals;
    match cli.command {
        Command::Init(init) => init::run(&globals, printer, &init),
        Command::Schema(schema) => schema::run(printer, schema.path.as_deref()),
        Command::Completion(completion) => {
            let mut text = Vec::new();
            clap_complete::generate(completion.shell, &mut Cli::command(), "cutover", &mut text);
            printer.data(&String::from_utf8_lossy(&text));
            Ok(ExitCode::Done)
        }
        Command::Analyze(analyze) => analyze::run(printer, &analyze).await,
        Command::Demo(demo) => demo::run(printer, globals.color, &demo).await,
        Command::DemoShop => demo::shop().await,
        Command::Migrate {
            command: Migrate::Lint(lint),
        } => lint::run(&globals, printer, &lint).await,
        Command::Migrate {
            command: Migrate::Rules { rule, page },
        } => lint::rules(printer, rule.as_deref(), page),
        Command::Supervise(supervise) => supervise::run(&globals, printer, supervise.state_dir).await,
        command => {
            let ctx = Context::open(&globals, printer.clone())?;
            Box::pin(in_context(command, &ctx)).await
        }
    }
}

/// The commands that stand on a file, an environment and a state folder.
async fn in_context(command: Command, ctx: &Context) -> Outcome {
    let machine = Machine::new(ctx)?;
    let machine = &machine;
    let ask = |asked: Asked, request: crate::cli::Request| request::run(ctx, machine, asked, request.why);
    match command {
        Command::Check(check) => check::run(ctx, check.version.as_ref()).await,
        Command::Plan(plan) => plan::run(ctx, machine, plan).await,
        Command::Upgrade(upgrade) => upgrade::upgrade(ctx, machine, upgrade).await,
        Command::Rollback(rollback) => upgrade::rollback(ctx, machine, rollback).await,
        Command::Restart(restart) => upgrade::restart(ctx, machine, restart).await,
        Command::Status => status::run(ctx, machine).await,
        Command::Watch => watch::run(ctx, machine).await,
        Command::History(history) => history::run(ctx, history).await,
        Command::Down => down::run(ctx, machine).await,
        Command::Logs(logs) => logs::run(ctx, machine, &logs).await,
        Command::Promote(request) => ask(Asked::Promote, request).await,
        Command::Approve(request) => ask(Asked::Approve, request).await,
        Command::Pause(request) => ask(Asked::Pause, request).await,
        Command::Resume(resume) => request::resume(ctx, machine, resume).await,
        Command::Abort(request) => ask(Asked::Abort, request).await,
        Command::Retry(request) => ask(Asked::Retry, request).await,
        Command::MarkDone(request) => ask(Asked::MarkDone, request).await,
        Command::MarkNotDone(request) => ask(Asked::MarkNotDone, request).await,
        Command::Migrate { command } => migrate::run(ctx, machine, command).await,
        Command::Backup { command } => backup::run(ctx, command).await,
        Command::Proxy { command } => proxy::run(ctx, machine, command).await,
        Command::Init(_)
        | Command::Schema(_)
        | Command::Analyze(_)
        | Command::Completion(_)
        | Command::Demo(_)
        | Command::DemoShop
        | Command::Supervise(_) => unreachable!("these stand on no context"),
    }
}

/// Why a command did nothing that somebody must say yes to.
pub(crate) fn unconfirmed(globals: &Globals, why: &str) -> Failure {
    Failure::new("usage.not-confirmed", why, format!("{} --yes", globals.again))
}

/// Asks a yes-or-no question where somebody can answer; `--yes` answers it.
pub(crate) fn confirm(globals: &Globals, printer: &Printer, question: &str) -> bool {
    if globals.yes {
        return true;
    }
    if !printer.can_ask() {
        return false;
    }
    printer.talk(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
