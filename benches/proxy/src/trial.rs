//! What a request costs each proxy, and how long it takes: in turns, so that a busy moment of the machine hits all.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tokio::time::sleep;

use crate::instance::Instance;
use crate::load::{Load, Pattern, quantile};
use crate::peer::{Layout, Peer};
use crate::peers::{Found, Kind};

/// Before each run, not counted.
const WARM_UP: Duration = Duration::from_millis(300);

/// The load of one column of the table.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shape {
    pub(crate) body_bytes: usize,
    pub(crate) connections: usize,
}

/// One proxy under one load: medians over the rounds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cell {
    pub(crate) proxy: &'static str,
    #[serde(flatten)]
    pub(crate) shape: Shape,
    pub(crate) cpu_seconds_per_100k: f64,
    /// Medians of the rounds' ratios, not ratios of the medians.
    pub(crate) cpu_to_nginx: Option<f64>,
    pub(crate) cpu_to_haproxy: Option<f64>,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p99_to_nginx: Option<f64>,
    pub(crate) requests_per_second: f64,
    pub(crate) failed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    cpu: f64,
    p50: f64,
    p99: f64,
    rate: f64,
    failed: u64,
}

pub(crate) const SHAPES: [Shape; 4] = [
    Shape {
        body_bytes: crate::instance::SMALL,
        connections: 10,
    },
    Shape {
        body_bytes: crate::instance::SMALL,
        connections: 200,
    },
    Shape {
        body_bytes: crate::instance::LARGE,
        connections: 10,
    },
    Shape {
        body_bytes: crate::instance::LARGE,
        connections: 200,
    },
];

pub(crate) async fn run(found: &[Found], rounds: usize, seconds: f64) -> Result<Vec<Cell>> {
    let instances = Instance::pair().await?;
    let addresses = [instances[0].address, instances[1].address];
    let mut peers = Vec::new();
    for one in found {
        peers.push(Peer::start(one, addresses, Layout::Balanced).await?);
    }
    let mut cells = Vec::new();
    for shape in SHAPES {
        let mut runs: Vec<Vec<Run>> = vec![Vec::new(); peers.len()];
        for round in 0..rounds {
            println!(
                "cost: {} B, {} connections, round {} of {rounds}",
                shape.body_bytes,
                shape.connections,
                round + 1
            );
            // Whoever comes first does not always come first.
            for step in 0..peers.len() {
                let index = (round + step) % peers.len();
                let run = one_run(&peers[index], shape, seconds).await;
                runs[index].push(run);
            }
        }
        cells.extend(summarise(shape, &peers, &runs));
    }
    Ok(cells)
}

async fn one_run(peer: &Peer, shape: Shape, seconds: f64) -> Run {
    let load = Load::start(
        peer.address,
        Pattern {
            clients: shape.connections,
            large: shape.body_bytes == crate::instance::LARGE,
            writes: false,
            keep_alive: true,
        },
    );
    sleep(WARM_UP).await;
    load.reset();
    let (began, cpu) = (tokio::time::Instant::now(), peer.nanoseconds());
    sleep(Duration::from_secs_f64(seconds)).await;
    let (took, cpu) = (began.elapsed(), peer.nanoseconds() - cpu);
    let mut tally = load.take();
    load.stop().await;
    let requests = to_f64(tally.answered.max(1));
    Run {
        cpu: to_f64(cpu) / 1e9 / requests * 1e5,
        p50: f64::from(quantile(&mut tally.times_us, 0.5)) / 1e3,
        p99: f64::from(quantile(&mut tally.times_us, 0.99)) / 1e3,
        rate: requests / took.as_secs_f64(),
        failed: tally.failed_reads + tally.failed_writes,
    }
}

fn summarise(shape: Shape, peers: &[Peer], runs: &[Vec<Run>]) -> Vec<Cell> {
    let of = |kind: Kind| {
        peers
            .iter()
            .position(|peer| peer.kind == kind)
            .map(|index| &runs[index])
    };
    let median = |values: &mut Vec<f64>| quantile(values, 0.5);
    let (nginx, haproxy) = (of(Kind::Nginx), of(Kind::Haproxy));
    let cells = peers.iter().zip(runs).map(|(peer, own)| {
        let ratio = |other: Option<&Vec<Run>>, value: fn(&Run) -> f64| {
            let pairs = own.iter().zip(other?);
            Some(median(
                &mut pairs.map(|(own, other)| value(own) / value(other)).collect(),
            ))
        };
        let value = |value: fn(&Run) -> f64| median(&mut own.iter().map(value).collect());
        Cell {
            proxy: peer.kind.name(),
            shape,
            cpu_seconds_per_100k: value(|run| run.cpu),
            cpu_to_nginx: ratio(nginx, |run| run.cpu),
            cpu_to_haproxy: ratio(haproxy, |run| run.cpu),
            p50_ms: value(|run| run.p50),
            p99_ms: value(|run| run.p99),
            p99_to_nginx: ratio(nginx, |run| run.p99),
            requests_per_second: value(|run| run.rate),
            failed: own.iter().map(|run| run.failed).sum(),
        }
    });
    cells.collect()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn to_f64(number: u64) -> f64 {
    number as f64
}
