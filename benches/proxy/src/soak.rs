//! `cargo xtask soak`: what takes too long for every change. A million requests over switches; ten thousand clients
//! that say nothing; and bytes that no client should send, compared with what nginx and HAProxy make of them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::client::Connection;
use crate::cost;
use crate::differential;
use crate::instance::Instance;
use crate::load::{Load, Pattern, Tally, quantile};
use crate::peer::{Layout, Peer};
use crate::peers::{self, Found, Kind};
use crate::switching;

#[derive(Args)]
pub(crate) struct Options {
    /// The `cutover` program
    #[arg(long)]
    cutover: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Switches under load until so many requests were answered; one that fails is a failure
    Proxy {
        /// Requests, nine of ten of them by clients that keep their connections
        #[arg(long, default_value_t = 1_000_000)]
        requests: u64,
    },
    /// Clients that connect and say nothing, or half a request: their memory beside HAProxy's, and what others notice
    Idle {
        /// How many
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
    },
    /// Changed requests to Cutover, nginx and HAProxy: Cutover never forwards more of them than both others
    Fuzz {
        /// How long
        #[arg(long, default_value_t = 5.0)]
        minutes: f64,
        /// Of the changes; from the clock if not given, and always said
        #[arg(long)]
        seed: Option<u64>,
        /// Where requests that are findings are kept
        #[arg(long, default_value = "target/fuzz")]
        findings: PathBuf,
    },
}

pub(crate) async fn run(options: Options) -> Result<()> {
    match options.what {
        What::Proxy { requests } => proxy(&options.cutover, requests).await,
        What::Idle { connections } => idle(&options.cutover, connections).await,
        What::Fuzz {
            minutes,
            seed,
            findings,
        } => {
            let found = peers::find(&options.cutover, &[Kind::Cutover, Kind::Nginx, Kind::Haproxy])?;
            differential::run(&found, minutes, seed, &findings).await
        }
    }
}

async fn proxy(cutover: &std::path::Path, requests: u64) -> Result<()> {
    cost::keep_to_second_core();
    let found = peers::find(cutover, &[Kind::Cutover])?;
    let found = found.first().context("no Cutover")?;
    for (keep_alive, requests) in [(true, requests - requests / 10), (false, requests / 10)] {
        let row = switching::one_proxy(found, 10, keep_alive, requests).await?;
        println!(
            "{}: {} requests, {} switches, {} reads and {} writes failed, last answer of the old version after {:.1} ms (p50), {:.1} ms (p99)",
            if keep_alive { "keep-alive" } else { "close" },
            row.answered,
            row.switches,
            row.failed_reads,
            row.failed_writes,
            row.tail_p50_ms,
            row.tail_p99_ms
        );
        if row.failed_reads + row.failed_writes > 0 {
            bail!("requests failed");
        }
    }
    Ok(())
}

/// What silent clients do before they fall silent.
struct Beginning {
    said: &'static str,
    bytes: &'static [u8],
    answered: bool,
}

const BEGINNINGS: [Beginning; 3] = [
    Beginning {
        said: "nothing",
        bytes: b"",
        answered: false,
    },
    Beginning {
        said: "half a head",
        bytes: b"GET / HTTP/1.1\r\nHost: bench.test\r\nX-Slow: ",
        answered: false,
    },
    Beginning {
        said: "one request",
        bytes: b"GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n",
        answered: true,
    },
];

/// Clients that keep their connections come over time: so many, then a pause.
const AT_ONCE: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// How much more than HAProxy a connection may cost.
const MOST: f64 = 1.5;

async fn idle(cutover: &std::path::Path, connections: usize) -> Result<()> {
    cost::keep_to_second_core();
    let found = peers::find(cutover, &[Kind::Cutover, Kind::Haproxy])?;
    let mut too_much = Vec::new();
    for beginning in &BEGINNINGS {
        let mut costs = Vec::new();
        for one in &found {
            costs.push(silent_clients(one, connections, beginning).await?);
        }
        if let [ours, theirs] = costs[..] {
            println!("  {:.2} of HAProxy's memory", ours / theirs);
            if ours > theirs * MOST {
                too_much.push(beginning.said);
            }
        }
    }
    if !too_much.is_empty() {
        bail!(
            "more than {MOST} of HAProxy's memory for clients that say {}",
            too_much.join(" and ")
        );
    }
    Ok(())
}

/// Bytes a connection.
async fn silent_clients(found: &Found, connections: usize, beginning: &Beginning) -> Result<f64> {
    let said = beginning.said;
    let instances = Instance::pair().await?;
    let addresses = [instances[0].address, instances[1].address];
    let peer = Peer::start(found, addresses, Layout::Balanced).await?;
    let mut alone = others(&peer).await?;
    let before = peer.resident();
    let mut held = Vec::new();
    for number in 0..connections {
        let many = || format!("after {number} connections; `ulimit -n` says how many there may be");
        held.push(if beginning.answered {
            if number > 0 && number % AT_ONCE == 0 {
                sleep(PAUSE).await;
            }
            let mut client = Connection::open(peer.address).await.with_context(many)?;
            let answer = client.exchange(beginning.bytes).await.context("no answer")?;
            anyhow::ensure!(answer.status == 200 && !answer.close, "{answer:?}");
            client.into_stream()
        } else {
            let mut stream = TcpStream::connect(peer.address).await.with_context(many)?;
            stream.write_all(beginning.bytes).await?;
            stream
        });
    }
    // Until nothing is accepted any more.
    let mut last = 0;
    while peer.resident() != last {
        last = peer.resident();
        sleep(Duration::from_secs(1)).await;
    }
    let each = crate::trial::to_f64(last.saturating_sub(before)) / crate::trial::to_f64(connections as u64);
    let mut beside = others(&peer).await?;
    println!(
        "{:<8} {connections} clients that say {said}: {each:.0} bytes each; others p99 {:.1} ms, alone {:.1} ms, {} failed",
        found.kind.name(),
        f64::from(quantile(&mut beside.times_us, 0.99)) / 1e3,
        f64::from(quantile(&mut alone.times_us, 0.99)) / 1e3,
        beside.failed_reads,
    );
    if found.kind == Kind::Cutover && beside.failed_reads > 0 {
        bail!("others were harmed: {:?}", beside.failures);
    }
    drop(held);
    Ok(each)
}

async fn others(peer: &Peer) -> Result<Tally> {
    let load = Load::start(
        peer.address,
        Pattern {
            clients: 10,
            large: false,
            writes: false,
            keep_alive: true,
        },
    );
    sleep(Duration::from_secs(2)).await;
    let tally = load.stop().await;
    if tally.answered == 0 {
        bail!("{} answers nobody", peer.kind.name());
    }
    Ok(tally)
}
