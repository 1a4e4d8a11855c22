//! `cutover proxy upgrade`: this program takes the place of the proxy that runs.

use std::time::Duration;

use cutover_model::{Diagnostic, ExitCode};
use cutover_ports::{Clock as _, Store as _};
use cutover_proxy::Stats;
use tokio::time::Instant;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::world::{LEASE, Machine, SystemClock, is_dead, myself};

/// The new process has said that it serves; its admin socket answers at once.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn run(ctx: &Context, machine: &Machine) -> Outcome {
    if !machine.has_proxy().await? {
        return Err(Failure::new(
            "proxy.not-running",
            format!("no proxy runs for {}", ctx.name),
            "cutover status",
        ));
    }
    // What it served is told, but not needed: one that hangs or has just ended is replaced, too.
    let before = machine.proxy.client().stats().await.ok();
    let began = Instant::now();
    let lease = ctx
        .store
        .acquire(&myself()?, SystemClock.now(), LEASE, &is_dead)
        .await?;
    let replaced = machine.replace_proxy(&lease.fence).await;
    ctx.store.release_lease(&lease.fence).await?;
    let pid = replaced?.pid;
    let took = began.elapsed();
    let after = answers(machine, pid).await?;
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&serde_json::json!({
            "before": before.as_ref().map(who),
            "after": who(&after),
            "table": after.serial,
            "tookMs": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }));
    } else {
        ctx.printer.data(&text(before.as_ref(), &after, took));
    }
    Ok(ExitCode::Done)
}

/// What the process says of itself.
async fn answers(machine: &Machine, pid: Option<u32>) -> Result<Stats, Failure> {
    let deadline = Instant::now() + ANSWERS_WITHIN;
    loop {
        match machine.proxy.client().stats().await {
            Ok(stats) if Some(stats.pid) == pid => return Ok(stats),
            _ if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
            other => {
                let found =
                    other.map_or_else(|error| error.to_string(), |stats| format!("pid {}", stats.pid));
                let message = "the new process has taken over and does not answer";
                return Err(Diagnostic::error("proxy.not-ready", message)
                    .note("who answers", found)
                    .note(
                        "its log",
                        machine.target.log_dir().join("proxy.log").display().to_string(),
                    )
                    .help("cutover proxy status")
                    .into());
            }
        }
    }
}

fn who(stats: &Stats) -> serde_json::Value {
    serde_json::json!({ "pid": stats.pid, "version": stats.version, "connections": stats.connections })
}

fn text(before: Option<&Stats>, after: &Stats, took: Duration) -> String {
    let mut text = format!(
        "The proxy is now process {}, version {}, which serves table {}; it took {:.2} s.\n",
        after.pid,
        after.version,
        after.serial,
        took.as_secs_f64()
    );
    if let Some(before) = before {
        let version = if before.version.is_empty() {
            "an older version"
        } else {
            &before.version
        };
        text.push_str(&format!(
            "Process {}, {version}, had {} connections: it finishes what is open, closes the others one by one, and ends.\n",
            before.pid, before.connections
        ));
    }
    text
}
