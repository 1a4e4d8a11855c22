//! `cutover proxy`: the data plane, looked at.

use cutover_model::{ExitCode, ServiceName};
use cutover_proxy::{ClientError, HoldRequest, HoldView, ReleaseRequest, RevisionStats, RouteStats, Stats};

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
        Proxy::Hold(hold) => {
            let request = HoldRequest {
                service: hold.service,
                max_requests: hold.max_requests,
                max_bytes: hold.max_bytes,
                max_age: hold.max_age,
            };
            let held = machine
                .proxy
                .client()
                .hold(&request)
                .await
                .map_err(|error| unreachable(&error))?;
            tell(ctx, &held, request.service.as_ref())
        }
        Proxy::Release(release) => {
            let request = ReleaseRequest {
                service: release.service,
                per_second: release.per_second,
            };
            let let_go = machine
                .proxy
                .client()
                .release(&request)
                .await
                .map_err(|error| unreachable(&error))?;
            tell(ctx, &let_go, request.service.as_ref())
        }
        Proxy::Upgrade => super::proxy_upgrade::run(ctx, machine).await,
    }
}

fn unreachable(error: &ClientError) -> Failure {
    Failure::new("proxy.unreachable", error.to_string(), "cutover status")
}

fn tell(ctx: &Context, views: &[HoldView], service: Option<&ServiceName>) -> Outcome {
    if views.is_empty() {
        let whose = service.map_or_else(|| "any service".to_owned(), ToString::to_string);
        return Err(Failure::new(
            "proxy.unknown-service",
            format!("the proxy serves no requests of {whose}"),
            "cutover proxy status",
        ));
    }
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&views);
    } else {
        for view in views {
            let what = if view.holding { "held" } else { "let go" };
            let waiting = view.waiting;
            ctx.printer.data(&format!(
                "{}: requests are {what}, {waiting} wait\n",
                view.service
            ));
        }
    }
    Ok(ExitCode::Done)
}

async fn status(ctx: &Context, machine: &Machine, metrics: bool) -> Outcome {
    let client = machine.proxy.client();
    if metrics {
        ctx.printer
            .data(&client.metrics().await.map_err(|error| unreachable(&error))?);
        return Ok(ExitCode::Done);
    }
    let stats = client.stats().await.map_err(|error| unreachable(&error))?;
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
        text.push_str(&trouble(one));
    }
    for route in &stats.routes {
        text.push_str(&bounds(route));
    }
    text
}

/// What went wrong with a revision, if anything did.
fn trouble(one: &RevisionStats) -> String {
    let figures = [
        (one.retries, "retries"),
        (one.ejections, "ejections"),
        (one.pending, "waiting"),
        (one.overflowed, "turned away"),
        (one.cut_writes, "cut writes"),
        (one.answered_by_stable, "answered by stable"),
    ];
    let mut parts: Vec<String> = figures
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    for instance in one
        .instances
        .iter()
        .filter(|instance| instance.routed && instance.ejected)
    {
        let down = instance.healthy == Some(false);
        let why = if down { "probes fail" } else { "left out" };
        parts.push(format!("{}: {why}", instance.address));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("    {}\n", parts.join(", "))
}

/// What is held, and what the budget did not allow.
fn bounds(route: &RouteStats) -> String {
    let mut text = String::new();
    let service = &route.service;
    if route.holding || route.held > 0 {
        text.push_str(&format!("  {service}: requests are held, {} wait\n", route.held));
    }
    if route.over_budget > 0 {
        text.push_str(&format!(
            "  {service}: {} retries over the budget\n",
            route.over_budget
        ));
    }
    text
}
