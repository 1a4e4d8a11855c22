//! One of two instances is killed under load, without a warning, again and again: what clients notice of it, and
//! whether a write that was lost was done twice.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::instance::Instance;
use crate::load::{Load, Pattern, Tally};
use crate::peer::{Layout, Peer};
use crate::peers::{Found, Kind};

const CLIENTS: usize = 30;

/// How long an instance is away, and how long it is back before the next kill.
const AWAY: Duration = Duration::from_millis(300);
const BACK: Duration = Duration::from_millis(500);

/// Longer than the longest pause of an instance that was ejected.
const PATIENCE: Duration = Duration::from_secs(30);

/// One proxy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) proxy: &'static str,
    pub(crate) kills: usize,
    pub(crate) answered: u64,
    pub(crate) failed_reads: u64,
    pub(crate) failed_writes: u64,
    /// Writes that instances did more than once.
    pub(crate) repeated_writes: usize,
    /// Writes that were answered well and never done.
    pub(crate) lost_writes: usize,
    pub(crate) longest_ms: f64,
}

pub(crate) async fn run(found: &[Found], kills: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for one in found.iter().filter(|one| one.kind != Kind::NginxBuffers) {
        println!("kill: {}, {kills} times", one.kind.name());
        rows.push(one_proxy(one, kills).await?);
    }
    Ok(rows)
}

async fn one_proxy(found: &Found, kills: usize) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let journal = folder.path().join("writes");
    let anywhere = ([127, 0, 0, 1], 0).into();
    let stays = Instance::start('1', anywhere, Some(&journal)).await?;
    let mut dies = Instance::start('2', anywhere, Some(&journal)).await?;
    let peer = Peer::start(found, [stays.address, dies.address], Layout::Balanced).await?;
    let pattern = Pattern {
        clients: CLIENTS,
        large: false,
        writes: true,
        keep_alive: true,
    };
    let load = Load::start(peer.address, pattern);
    let mut tally = Tally::default();
    let mut longest = 0;
    for _ in 0..kills {
        back(&load).await?;
        sleep(BACK).await;
        let address = dies.address;
        dies.kill().await?;
        sleep(AWAY).await;
        dies = Instance::start('2', address, Some(&journal)).await?;
        let part = load.take();
        longest = longest.max(part.times_us.iter().copied().max().unwrap_or(0));
        tally.add(part);
    }
    tally.add(load.stop().await);
    let text = std::fs::read_to_string(&journal).context("no instance wrote anything")?;
    let mut done: HashMap<&str, usize> = HashMap::new();
    for line in text.lines() {
        *done.entry(line).or_default() += 1;
    }
    let lost = tally
        .written
        .iter()
        .filter(|number| !done.contains_key(number.to_string().as_str()));
    Ok(Row {
        proxy: found.kind.name(),
        kills,
        answered: tally.answered,
        failed_reads: tally.failed_reads,
        failed_writes: tally.failed_writes,
        repeated_writes: done.values().filter(|times| **times > 1).count(),
        lost_writes: lost.count(),
        longest_ms: f64::from(longest) / 1e3,
    })
}

/// Waits until the second instance answers again.
async fn back(load: &Load) -> Result<()> {
    let (began, deadline) = (Instant::now(), Instant::now() + PATIENCE);
    while load.last(1).is_none_or(|last| last < began) {
        if Instant::now() > deadline {
            bail!("an instance that came back gets no requests");
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
