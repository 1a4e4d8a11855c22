//! `cutover demo`: the example application is upgraded under load, a bad release is caught and taken back, and everything
//! is cleaned up. It uses what every other command uses; only the application and the load are its own.

mod account;
mod database;
mod files;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cutover_model::{EnvironmentName, ExitCode, Version};
use shop::load::{Load, LoadOptions};

use crate::cli::{Demo, Globals, ServiceChoice};
use crate::commands;
use crate::context::Context;
use crate::drive::{End, Role, Signals};
use crate::execute::{Executed, Place, execute};
use crate::failure::{Failure, Outcome};
use crate::planning;
use crate::render::{Colour, Output, Printer};
use crate::world::{Machine, this_program};
use account::{Account, Requests, UpgradeAccount};
use database::DemoDatabase;
use files::{Setting, write};

/// Instances' ports: both releases with two replicas each, and room for those that others use.
const PORTS: u16 = 32;

/// So much load passes before the first upgrade, and after the last.
const QUIET: Duration = Duration::from_secs(2);

/// The example application: the demo's instances are this same binary.
pub(crate) async fn shop() -> Outcome {
    shop::run_from_env().await.map_err(|error| {
        Failure::new(
            "demo.shop",
            format!("the shop cannot go on: {error}"),
            "cutover logs",
        )
    })?;
    Ok(ExitCode::Done)
}

/// Runs the demo.
pub(crate) async fn run(printer: &Printer, colour: Colour, demo: &Demo) -> Outcome {
    let folder = tempfile::Builder::new()
        .prefix("cutover-demo-")
        .tempdir()
        .map_err(|error| {
            Failure::new(
                "demo.folder",
                format!("no folder can be made for the demo: {error}"),
                "df -h /tmp",
            )
        })?;
    let database = DemoDatabase::open(demo.database.as_deref(), folder.path()).await?;
    let globals = Globals {
        config: folder.path().join("cutover.yaml"),
        env: EnvironmentName::production(),
        state: Some(folder.path().join("state")),
        output: if printer.is_json() {
            Output::Json
        } else {
            Output::Text
        },
        yes: true,
        color: colour,
        again: "cutover demo".to_owned(),
    };
    let (listen, ports) = free_ports();
    let program = this_program()?;
    let setting = Setting {
        program: &program,
        kind: database.kind,
        url: &database.url,
        listen,
        ports,
    };
    write(folder.path(), &setting).map_err(|error| {
        Failure::new(
            "demo.folder",
            format!("cannot write into {}: {error}", folder.path().display()),
            "df -h /tmp",
        )
    })?;
    let mut printer = printer.clone();
    if demo.keep {
        // What it tells is about the folder that stays; of one that goes, no command could be.
        printer = printer.about(&globals.address(|option| option != "env"));
    }
    let ctx = Context::open(&globals, printer.clone())?;
    let machine = Machine::new(&ctx)?;
    let mut signals = Signals::new()?;
    let stage = Stage {
        ctx: &ctx,
        machine: &machine,
        demo,
        database: &database,
        target: ([127, 0, 0, 1], listen).into(),
    };
    let outcome = tokio::select! {
        outcome = Box::pin(stage.play()) => outcome,
        () = signals.next() => Err(Failure::new("demo.interrupted", "the demo was interrupted", "cutover demo")),
    };
    if demo.keep {
        let _kept: PathBuf = folder.keep();
        printer.advise("\nEverything runs on. Look at it:  cutover status\n");
        return outcome;
    }
    let cleaned = machine.target.shutdown(true).await;
    let emptied = database.clean().await;
    drop(ctx);
    folder.close().unwrap_or_default();
    let exit = outcome?;
    cleaned?;
    emptied?;
    Ok(exit)
}

/// Everything that the scenes need.
struct Stage<'a> {
    ctx: &'a Context,
    machine: &'a Machine,
    demo: &'a Demo,
    database: &'a DemoDatabase,
    target: SocketAddr,
}

impl Stage<'_> {
    async fn play(&self) -> Outcome {
        let ctx = self.ctx;
        self.say(&format!(
            "The shop 1.0.0 is deployed on {}: two instances of this program behind its proxy on {}.",
            self.database.words(),
            self.target
        ));
        self.upgrade("1.0.0").await?;
        let mut options = LoadOptions::new(self.target);
        options.rate = self.demo.rate;
        self.say(&format!(
            "{} requests a second from now on to the end, one in four a write; none is retried.",
            self.demo.rate
        ));
        let load = Load::start(options);
        tokio::time::sleep(QUIET).await;

        self.say(
            "Upgrade to 1.1.0, which keeps a name in one column instead of two: the schema is expanded, filled and \
             kept in sync, a canary takes 10, 50 and 100 %, and the old columns go when no old instance is left.",
        );
        let before = load.snapshot();
        let good_end = self.upgrade("1.1.0").await?;
        let between = load.snapshot();
        let good = UpgradeAccount::new(ctx, &good_end, self.demo.rate, &before, &between).await?;

        self.say(
            "Upgrade to 1.2.0, which is bad: a quarter of its answers are errors. Nobody will say stop.",
        );
        let bad_end = self.upgrade("1.2.0").await?;
        tokio::time::sleep(QUIET).await;
        let report = load.stop().await;
        let bad = UpgradeAccount::new(ctx, &bad_end, self.demo.rate, &between, &report).await?;

        self.say("The load has ended. Every acknowledged write is read back.");
        let report = load.verify_writes(self.target).await.map_err(|error| {
            Failure::new(
                "demo.unverified",
                format!("the writes could not be read back: {error}"),
                "cutover demo",
            )
        })?;
        let account = Account {
            requests: Requests {
                sent: report.sent,
                failed: report.failed_apart_from("1.2.0"),
            },
            lost_writes: report.lost_writes.unwrap_or(0),
            upgrades: vec![good, bad],
        };
        if !ctx.printer.is_json() {
            self.say("What runs now, and what \"go back\" means from here:");
            commands::status(ctx, self.machine).await?;
            self.say("What happened, newest first:");
            commands::history(ctx, 10).await?;
            for (version, end) in [("1.1.0", &good_end), ("1.2.0", &bad_end)] {
                self.say(&format!("The report of the upgrade to {version}:"));
                crate::drive::show(ctx, &end.id).await?;
            }
        }
        self.conclude(&account)
    }

    async fn upgrade(&self, version: &str) -> Result<End, Failure> {
        let version: Version = version.parse().expect("it is a version");
        let proposal =
            planning::upgrade(self.ctx, self.machine, &version, &[ServiceChoice::All], None).await?;
        match execute(self.ctx, self.machine, proposal, Place::Here(Role::Demo)).await? {
            Executed::Here(end) => Ok(end),
            Executed::Nothing(why) => Err(Failure::new("demo.nothing", why, "cutover demo")),
            Executed::Recorded => unreachable!("the demo executes here"),
        }
    }

    fn say(&self, text: &str) {
        let style = self.ctx.printer.talk_style();
        self.ctx.printer.talk(&scene(text, style.width));
    }

    fn conclude(&self, account: &Account) -> Outcome {
        let printer = &self.ctx.printer;
        if printer.is_json() {
            printer.json_pretty(account);
        } else {
            printer.data(&text(account));
        }
        match account.broken() {
            None => Ok(ExitCode::Done),
            Some(found) => Err(Failure::from(found)),
        }
    }
}

/// A paragraph of its own, wrapped.
fn scene(text: &str, width: usize) -> String {
    let mut lines = vec![String::from("▸")];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a line");
        if last.chars().count() + 1 + word.chars().count() < width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    format!("\n{}\n\n", lines.join("\n"))
}

fn text(account: &Account) -> String {
    let bad = account.upgrades.last();
    let mut text = format!(
        "\n{} requests were sent in all: {} failed, but for the {} error answers of 1.2.0 itself. {} acknowledged writes \
         were lost.\n",
        account.requests.sent,
        account.requests.failed,
        bad.map_or(0, |bad| bad.candidate_errors),
        account.lost_writes
    );
    if let Some(bad) = bad {
        text.push_str(&format!(
            "{} requests reached 1.2.0 before it was taken back. A bound on its error rate, looked at once a minute as is usual, \
             would have let {} through before its first look.\n",
            bad.requests_exposed, bad.requests_until_a_rule_looks
        ));
    }
    text
}

/// A port for clients and a block for instances, below the range of outgoing connections. Others may take one before it
/// is used: instances pass over it, and the proxy's start says so.
fn free_ports() -> (u16, (u16, u16)) {
    const FIRST: u16 = 28_000;
    const LAST: u16 = 32_700;
    let blocks = (LAST - FIRST) / (PORTS + 1);
    let start = u16::try_from(std::process::id() % u32::from(blocks)).unwrap_or(0);
    let block = (0..blocks)
        .map(|offset| FIRST + (start + offset) % blocks * (PORTS + 1))
        .find(|first| std::net::TcpListener::bind(("127.0.0.1", *first)).is_ok())
        .unwrap_or(FIRST);
    (block, (block + 1, block + PORTS))
}
