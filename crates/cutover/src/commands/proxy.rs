//! `cutover proxy`: the data plane, looked at.

use std::time::Duration;

use cutover_model::{ExitCode, ServiceName};
use cutover_proxy::{Client, ClientError, HoldRequest, HoldView, ReleaseRequest, Stats};

use crate::cli::Proxy;
use crate::context::Context;
use crate::drive::Signals;
use crate::failure::{Failure, Outcome};
use crate::render::{self, Live};
use crate::world::Machine;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks in a row that find nobody until it is said.
const PATIENCE: u32 = 10;

pub(super) async fn run(ctx: &Context, machine: &Machine, command: Proxy) -> Outcome {
    match command {
        Proxy::Run(_) => Err(Failure::new(
            "usage.proxy-run",
            "the proxy makes its own threads and is run before anything else is",
            "cutover proxy status",
        )),
        Proxy::Status { watch: true, .. } => watch(ctx, machine.proxy.client()).await,
        Proxy::Status { metrics, .. } => status(ctx, machine.proxy.client(), metrics).await,
        Proxy::Hold(hold) => {
            let request = HoldRequest {
                service: hold.service,
                max_requests: hold.max_requests,
                max_bytes: hold.max_bytes,
                max_age: hold.max_age,
                at_most: hold.at_most,
            };
            let held = machine
                .proxy
                .client()
                .hold(&request)
                .await
                .map_err(|error| refused(&error))?;
            tell(ctx, &held, request.service.as_ref())
        }
        Proxy::Release(release) => {
            let request = ReleaseRequest {
                service: release.service,
                per_second: release.per_second,
                only_timed: false,
            };
            let let_go = machine
                .proxy
                .client()
                .release(&request)
                .await
                .map_err(|error| refused(&error))?;
            tell(ctx, &let_go, request.service.as_ref())
        }
        Proxy::Upgrade => super::proxy_upgrade::run(ctx, machine).await,
    }
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

async fn status(ctx: &Context, client: &Client, metrics: bool) -> Outcome {
    if metrics {
        let text = client.metrics().await.map_err(|error| refused(&error))?;
        ctx.printer.data(&text);
        return Ok(ExitCode::Done);
    }
    let stats = client.stats().await.map_err(|error| refused(&error))?;
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&stats);
    } else {
        ctx.printer
            .data(&render::proxy(&stats, None, ctx.printer.style()));
    }
    Ok(ExitCode::Done)
}

/// Redraws in place on a terminal; elsewhere one page, or one line of JSON, after the other.
async fn watch(ctx: &Context, client: &Client) -> Outcome {
    let mut signals = Signals::new()?;
    let mut live = ctx.printer.is_live().then(Live::new);
    let mut tick = tokio::time::interval(INTERVAL);
    let mut before: Option<Stats> = None;
    let mut silent: u32 = 0;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(ExitCode::Done),
            _ = tick.tick() => {}
        }
        let stats = match client.stats().await {
            Ok(stats) => stats,
            // One that is started again, or changes places with another, answers in a moment.
            Err(_) if before.is_some() && silent < PATIENCE => {
                silent += 1;
                continue;
            }
            Err(error) => return Err(refused(&error)),
        };
        silent = 0;
        if ctx.printer.is_json() {
            ctx.printer.json(&stats);
        } else if let Some(live) = &mut live {
            live.draw(&render::proxy(&stats, before.as_ref(), &ctx.printer.talk_style()));
        } else {
            ctx.printer
                .data(&render::proxy(&stats, before.as_ref(), ctx.printer.style()));
        }
        before = Some(stats);
    }
}

fn refused(error: &ClientError) -> Failure {
    error.diagnostic().into()
}
