//! `cutover proxy`: the data plane, run and looked at.

use cutover_model::{Diagnostic, ExitCode};
use cutover_proxy::{ProxyError, ProxyOptions, Stats};

use crate::cli::{Proxy, ProxyRun};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::state_dir::admin_socket;
use crate::world::Machine;

pub(super) async fn run(ctx: &Context, machine: &Machine, command: Proxy) -> Outcome {
    match command {
        Proxy::Run(_) => Err(Failure::new(
            "usage.proxy-run",
            "the proxy is run by the supervisor, from the plan's routes",
            "cutover proxy status",
        )),
        Proxy::Status { metrics } => status(ctx, machine, metrics).await,
    }
}

/// Runs the proxy on threads of its own until it is asked to stop. Must be called from outside of a runtime.
pub(crate) fn serve(run: &ProxyRun) -> Outcome {
    let unusable = |error: std::io::Error| {
        Failure::new(
            "state.unusable",
            format!("{}: {error}", run.state_dir.display()),
            "cutover status",
        )
    };
    cutover_os::close_folder(&run.state_dir).map_err(unusable)?;
    let admin = admin_socket(&run.state_dir);
    let mut options = ProxyOptions::new(run.application.clone(), run.state_dir.clone(), admin);
    options.workers = run.workers;
    cutover_proxy::run(options).map_err(|error| Failure::from(diagnostic(&error)))?;
    Ok(ExitCode::Done)
}

fn diagnostic(error: &ProxyError) -> Diagnostic {
    let code = match error {
        ProxyError::Inherited(_) => "proxy.inherited-sockets",
        ProxyError::Kept(_) => "proxy.kept-table",
        ProxyError::AdminSocket { .. } => "proxy.admin-socket",
        ProxyError::Start { .. } => "proxy.start",
        ProxyError::Restore(_) => "proxy.restore",
    };
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    Diagnostic::error(code, message).help("cutover proxy status")
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
