//! From one version to the other and back, under load: what is lost, and how long the old one is still heard.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::instance::Instance;
use crate::load::{Load, Pattern, Tally, quantile};
use crate::peer::{Layout, Peer};
use crate::peers::Found;

const CLIENTS: usize = 30;

/// The old version is gone when it has not been heard for this long: longer than nginx waits before it tells its old
/// workers.
const SILENCE: Duration = Duration::from_millis(250);

/// A switch that takes longer than this did not happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// One proxy, one kind of clients.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) proxy: &'static str,
    pub(crate) command: &'static str,
    pub(crate) keep_alive: bool,
    pub(crate) switches: usize,
    pub(crate) answered: u64,
    pub(crate) failed_reads: u64,
    pub(crate) failed_writes: u64,
    pub(crate) reconnects: u64,
    /// Until the command had been obeyed, as far as the proxy says.
    pub(crate) command_p50_ms: f64,
    /// From the command to the last answer of the old version.
    pub(crate) tail_p50_ms: f64,
    pub(crate) tail_p99_ms: f64,
}

pub(crate) async fn run(found: &[Found], switches: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for keep_alive in [true, false] {
        for one in found.iter().filter(|one| Peer::can_switch(one.kind)) {
            println!(
                "switch: {}, {switches} times, keep-alive {keep_alive}",
                one.kind.name()
            );
            rows.push(one_proxy(one, switches, keep_alive, 0).await?);
        }
    }
    Ok(rows)
}

/// At least so many switches, and at least so many requests.
pub(crate) async fn one_proxy(
    found: &Found,
    switches: usize,
    keep_alive: bool,
    requests: u64,
) -> Result<Row> {
    let instances = Instance::pair().await?;
    let addresses = [instances[0].address, instances[1].address];
    let peer = Peer::start(found, addresses, Layout::Versions).await?;
    let pattern = Pattern {
        clients: CLIENTS,
        large: false,
        writes: true,
        keep_alive,
    };
    let load = Load::start(peer.address, pattern);
    heard(&load, 0, Instant::now()).await?;
    let (mut commands, mut tails) = (Vec::new(), Vec::new());
    let mut tally = Tally::default();
    let mut now = 0;
    while tails.len() < switches || tally.answered < requests {
        let (old, new) = (now, 1 - now);
        let began = Instant::now();
        peer.switch(new).await?;
        commands.push(began.elapsed().as_secs_f64() * 1e3);
        heard(&load, new, began).await?;
        silent(&load, old).await?;
        let last = load
            .last(old)
            .map_or(Duration::ZERO, |last| last.saturating_duration_since(began));
        tails.push(last.as_secs_f64() * 1e3);
        // Times of single answers are not wanted here, and would grow without end.
        tally.add(load.take());
        now = new;
    }
    tally.add(load.stop().await);
    Ok(Row {
        proxy: found.kind.name(),
        command: Peer::command_of(found.kind),
        keep_alive,
        switches: tails.len(),
        answered: tally.answered,
        failed_reads: tally.failed_reads,
        failed_writes: tally.failed_writes,
        reconnects: tally.reconnects,
        command_p50_ms: quantile(&mut commands, 0.5),
        tail_p50_ms: quantile(&mut tails, 0.5),
        tail_p99_ms: quantile(&mut tails, 0.99),
    })
}

/// Waits until a version answers after a moment.
async fn heard(load: &Load, version: usize, after: Instant) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while load.last(version).is_none_or(|last| last < after) {
        if Instant::now() > deadline {
            bail!("version {} does not answer", version + 1);
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn silent(load: &Load, version: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while load.last(version).is_some_and(|last| last.elapsed() < SILENCE) {
        if Instant::now() > deadline {
            bail!("version {} answers on and on", version + 1);
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
