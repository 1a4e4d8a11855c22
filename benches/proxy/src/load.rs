//! Constant load: so many clients, each with one request open at a time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::client::Connection;

/// Whoever waits longer than this for an answer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the clients do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    pub(crate) clients: usize,
    /// 64 KiB answers instead of 13 bytes.
    pub(crate) large: bool,
    /// Of five requests, one is a POST with a body.
    pub(crate) writes: bool,
    /// A connection for many requests, or one for each.
    pub(crate) keep_alive: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    pub(crate) failed_reads: u64,
    pub(crate) failed_writes: u64,
    /// How those failed, and how often each.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Connections after each client's first that keep-alive clients had to open.
    pub(crate) reconnects: u64,
    /// Microseconds of each answer.
    pub(crate) times_us: Vec<u32>,
    /// The writes that were answered well.
    pub(crate) written: Vec<u64>,
}

/// Clients at work.
pub(crate) struct Load {
    shared: Rc<Shared>,
    clients: JoinSet<()>,
}

struct Shared {
    address: SocketAddr,
    pattern: Pattern,
    stop: Cell<bool>,
    next: Cell<u64>,
    /// When an answer that began with `1`, or with `2`, came last.
    last: [Cell<Option<Instant>>; 2],
    tally: RefCell<Tally>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr, pattern: Pattern) -> Self {
        let shared = Rc::new(Shared {
            address,
            pattern,
            stop: Cell::new(false),
            next: Cell::new(0),
            last: [Cell::new(None), Cell::new(None)],
            tally: RefCell::default(),
        });
        let mut clients = JoinSet::new();
        for _ in 0..pattern.clients {
            clients.spawn_local(client(Rc::clone(&shared)));
        }
        Self { shared, clients }
    }

    /// Forgets what was counted so far.
    pub(crate) fn reset(&self) {
        self.shared.tally.take();
    }

    /// When version 0 or 1 answered last.
    pub(crate) fn last(&self, version: usize) -> Option<Instant> {
        self.shared.last[version].get()
    }

    /// Takes what was counted and goes on.
    pub(crate) fn take(&self) -> Tally {
        self.shared.tally.take()
    }

    /// Each client ends after its answer.
    pub(crate) async fn stop(mut self) -> Tally {
        self.shared.stop.set(true);
        while self.clients.join_next().await.is_some() {}
        self.shared.tally.take()
    }
}

async fn client(shared: Rc<Shared>) {
    let Pattern {
        large,
        writes,
        keep_alive,
        ..
    } = shared.pattern;
    let end = if keep_alive { "" } else { "Connection: close\r\n" };
    let path = if large { "/large" } else { "/" };
    let common = format!("HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n{end}");
    let read = format!("GET {path} {common}\r\n");
    let mut connection = None;
    let mut before = false;
    let mut turn = 0u64;
    while !shared.stop.get() {
        turn += 1;
        let write = (writes && turn.is_multiple_of(5)).then(|| {
            shared.next.set(shared.next.get() + 1);
            shared.next.get()
        });
        let written = write
            .map(|number| format!("POST /write/{number} {common}Content-Length: 13\r\n\r\nhello, world!"));
        let began = Instant::now();
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(shared.address).await {
                Ok(open) => {
                    shared.tally.borrow_mut().reconnects += u64::from(before && keep_alive);
                    before = true;
                    open
                }
                Err(error) => {
                    shared.failed(write, format!("no connection: {}", error.kind()));
                    sleep(Duration::from_millis(1)).await;
                    continue;
                }
            },
        };
        let request = written.as_deref().unwrap_or(&read).as_bytes();
        match timeout(PATIENCE, open.exchange(request)).await.ok().flatten() {
            Some(answer) if answer.status == 200 => {
                shared.answered(began, answer.from, write);
                if keep_alive && !answer.close {
                    connection = Some(open);
                }
            }
            Some(answer) => {
                shared.failed(write, format!("status {}", answer.status));
                if keep_alive && !answer.close {
                    connection = Some(open);
                }
            }
            None => shared.failed(
                write,
                if began.elapsed() < PATIENCE {
                    "broken off".to_owned()
                } else {
                    "no answer in time".to_owned()
                },
            ),
        }
    }
}

impl Shared {
    fn answered(&self, began: Instant, from: u8, write: Option<u64>) {
        let now = Instant::now();
        if let b'1' | b'2' = from {
            self.last[usize::from(from - b'1')].set(Some(now));
        }
        let micros = (now - began).as_micros();
        let mut tally = self.tally.borrow_mut();
        tally.answered += 1;
        tally.times_us.push(u32::try_from(micros).unwrap_or(u32::MAX));
        tally.written.extend(write);
    }

    fn failed(&self, write: Option<u64>, how: String) {
        let mut tally = self.tally.borrow_mut();
        *tally.failures.entry(how).or_default() += 1;
        match write {
            Some(_) => tally.failed_writes += 1,
            None => tally.failed_reads += 1,
        }
    }
}

impl Tally {
    /// Adds what another one counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.failed_reads += other.failed_reads;
        self.failed_writes += other.failed_writes;
        for (how, count) in other.failures {
            *self.failures.entry(how).or_default() += count;
        }
        self.reconnects += other.reconnects;
        self.written.extend(other.written);
    }
}

/// The value below which a share of them is, in their own unit; 0 of none.
pub(crate) fn quantile<T: Copy + PartialOrd + Default>(values: &mut [T], share: f64) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = ((values.len() as f64 * share).ceil() as usize).max(1) - 1;
    values
        .get(index.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let mut values: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(quantile(&mut values, 0.5), 50);
        assert_eq!(quantile(&mut values, 0.99), 99);
        assert_eq!(quantile(&mut [3.0, 1.0], 1.0), 3.0);
        assert_eq!(quantile::<u32>(&mut [], 0.5), 0);
    }
}
