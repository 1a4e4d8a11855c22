//! `cutover proxy`: the data plane, looked at.

use cutover_model::ExitCode;
use cutover_proxy::Stats;

use crate::cli::Proxy;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::world::Machine;

pub(super) async fn run(ctx: &Context, machine: &Machine, command: Proxy) -> Outcome {
    match command {
        Proxy::Run(_) => Err(Failure::new(
            "usage.proxy-run",
            "the proxy makes its own threads and is run before anything else is",
            "cutover proxy status",
        )),
        Proxy::Status { metrics } => status(ctx, machine, metrics).await,
        Proxy::Upgrade => super::proxy_upgrade::run(ctx, machine).await,
    }
}

async fn status(ctx: &Context, machine: &Machine, metrics: bool) -> Outcome {
    let client = machine.proxy.client();
    let unreachable = |error: cutover_proxy::ClientError| {
        Failure::new("proxy.unreachable", error.to_string(), "cutover status")
    };
    if metrics {
        ctx.printer.data(&client.metrics().await.map_err(unreachable)?);
        return Ok(ExitCode::Done);
    }
    let stats = client.stats().await.map_err(unreachable)?;
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&stats);
    } else {
        ctx.printer.data(&text(&stats));
    }
    Ok(ExitCode::Done)
}

fn text(stats: &Stats) -> String {
    let mut text = format!(
        "table {}, {} workers, {} connections, up {} s\n",
        stats.serial,
        stats.workers,
        stats.connections,
        stats.uptime_ms / 1000
    );
    for listener in &stats.listeners {
        text.push_str(&format!("  listens on {}\n", listener.address));
    }
    for one in &stats.revisions {
        let p99 = one
            .latency
            .quantile(0.99)
            .map_or_else(|| "–".to_owned(), |us| format!("{:.1} ms", us as f64 / 1000.0));
        text.push_str(&format!(
            "  {:<10} {:<12} {:>7}  {:>9} requests  {:>6} errors  {:>4} open  p99 {p99}\n",
            one.revision.service.as_str(),
            one.revision.version.to_string(),
            one.weight.to_string(),
            one.assigned,
            one.errors,
            one.in_flight,
        ));
    }
    text
}
