//! The same bytes to Cutover, nginx and HAProxy, and how many requests each makes of them: one that Cutover passes on
//! and both others do not is somebody's smuggling. What a client did wrong must not be blamed on the instance either.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::mutations::{self, SEEDS};
use crate::peer::{Layout, Peer};
use crate::peers::{Found, Kind};

/// A case is over when nothing has come for this long.
const QUIET: Duration = Duration::from_millis(40);

/// The same when a suspicion is looked at again: a slow machine is no finding.
const VERY_QUIET: Duration = Duration::from_millis(600);

/// Findings after which it is enough.
const ENOUGH: usize = 20;

/// A proxy with an instance of its own that counts.
struct Side {
    peer: Peer,
    seen: Rc<Cell<u64>>,
}

/// What one side made of a case.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    forwarded: u64,
    /// It blamed the instance, which does nothing wrong.
    blamed: bool,
}

pub(crate) async fn run(found: &[Found], minutes: f64, seed: Option<u64>, findings: &Path) -> Result<()> {
    if found.len() < 3 {
        bail!("all three are needed");
    }
    let seed = seed.unwrap_or_else(|| SmallRng::from_os_rng().random());
    println!("seed {seed}, {minutes} minutes");
    std::fs::create_dir_all(findings).with_context(|| format!("cannot make {}", findings.display()))?;
    let mut sides = Vec::new();
    for one in found {
        sides.push(Side::start(one).await?);
    }
    let mut random = SmallRng::seed_from_u64(seed);
    let deadline = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let (mut cases, mut forwarded, mut more_than_one, mut kept) = (0u64, [0u64; 3], 0u64, 0usize);
    while Instant::now() < deadline && kept < ENOUGH {
        let case = if cases < SEEDS.len() as u64 {
            SEEDS[usize::try_from(cases)?].to_vec()
        } else {
            let base = SEEDS.choose(&mut random).copied().unwrap_or_default();
            mutations::changed(base, &mut random)
        };
        cases += 1;
        let mut outcomes = all(&sides, &case, QUIET).await;
        if let Some(mut why) = suspicious(&outcomes) {
            // Twice more, slowly, before it is believed.
            let mut certain = true;
            for _ in 0..2 {
                outcomes = all(&sides, &case, VERY_QUIET).await;
                match suspicious(&outcomes) {
                    Some(again) => why = again,
                    None => certain = false,
                }
            }
            if certain {
                kept += 1;
                let path = findings.join(format!("{seed}-{cases}.raw"));
                std::fs::write(&path, &case)?;
                println!(
                    "FINDING {}: {why}: {:?}",
                    path.display(),
                    String::from_utf8_lossy(&case)
                );
            }
        }
        for (sum, outcome) in forwarded.iter_mut().zip(&outcomes) {
            *sum += outcome.forwarded;
        }
        more_than_one += u64::from(
            outcomes[1..]
                .iter()
                .any(|other| outcomes[0].forwarded > other.forwarded),
        );
        if cases.is_multiple_of(500) {
            println!("{cases} cases, {forwarded:?} requests forwarded, {kept} findings");
        }
        if random.random_ratio(1, 200) {
            sides[0].still_serves().await?;
        }
    }
    sides[0].still_serves().await?;
    println!(
        "{cases} cases; forwarded: Cutover {}, nginx {}, HAProxy {}; more than one of the others in {more_than_one}; {kept} findings",
        forwarded[0], forwarded[1], forwarded[2]
    );
    if kept > 0 {
        bail!("{kept} findings in {}", findings.display());
    }
    Ok(())
}

fn suspicious(outcomes: &[Outcome]) -> Option<String> {
    let ours = outcomes[0];
    let others: Vec<u64> = outcomes[1..].iter().map(|other| other.forwarded).collect();
    if others.iter().all(|other| ours.forwarded > *other) {
        return Some(format!(
            "{} requests were forwarded, by the others {others:?}",
            ours.forwarded
        ));
    }
    ours.blamed.then(|| "the instance is blamed".to_owned())
}

async fn all(sides: &[Side], case: &[u8], quiet: Duration) -> Vec<Outcome> {
    let mut running = Vec::new();
    for side in sides {
        let (address, seen, case) = (side.peer.address, Rc::clone(&side.seen), case.to_vec());
        running.push(tokio::task::spawn_local(async move {
            one(address, &seen, &case, quiet).await
        }));
    }
    let mut outcomes = Vec::new();
    for task in running {
        outcomes.push(task.await.unwrap_or(Outcome {
            forwarded: 0,
            blamed: false,
        }));
    }
    outcomes
}

async fn one(address: SocketAddr, seen: &Cell<u64>, case: &[u8], quiet: Duration) -> Outcome {
    let before = seen.get();
    let mut said = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(address).await
        && timeout(quiet * 10, stream.write_all(case)).await.is_ok()
    {
        let mut buffer = [0; 4096];
        // The instance may still be asked while nothing comes back.
        let mut counted = seen.get();
        loop {
            match timeout(quiet, stream.read(&mut buffer)).await {
                Ok(Ok(length)) if length > 0 && said.len() < 1 << 20 => {
                    said.extend_from_slice(&buffer[..length])
                }
                Err(_) if seen.get() != counted => counted = seen.get(),
                _ => break,
            }
        }
    }
    let text = String::from_utf8_lossy(&said);
    let blamed = ["HTTP/1.1 500", "HTTP/1.1 502", "HTTP/1.1 504"]
        .iter()
        .any(|line| text.contains(line));
    Outcome {
        forwarded: seen.get() - before,
        blamed,
    }
}

impl Side {
    async fn start(found: &Found) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Rc::new(Cell::new(0));
        tokio::task::spawn_local(record(listener, Rc::clone(&seen)));
        let peer = Peer::start(found, [address, address], Layout::Single).await?;
        Ok(Self { peer, seen })
    }

    async fn still_serves(&self) -> Result<()> {
        let case = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        let outcome = one(self.peer.address, &self.seen, case, Duration::from_secs(5)).await;
        if outcome.forwarded != 1 || outcome.blamed {
            bail!("{} serves no more: {outcome:?}", Kind::Cutover.name());
        }
        Ok(())
    }
}

/// An instance that counts and answers each request when its body is there: one that is broken off is none, and nginx
/// sends none before it is whole.
async fn record(listener: TcpListener, seen: Rc<Cell<u64>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::task::spawn_local(connection(stream, Rc::clone(&seen)));
    }
}

async fn connection(mut stream: TcpStream, seen: Rc<Cell<u64>>) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            more(&mut stream, &mut bytes).await?;
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
        let method = text.split(' ').next().unwrap_or_default().to_owned();
        let field = |name: &str| {
            text.lines()
                .find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
        };
        let chunked = field("transfer-encoding").is_some_and(|value| value.contains("chunked"));
        let length = field("content-length")
            .and_then(|value| value.parse::<usize>().ok())
            .unwrap_or(0);
        let end = loop {
            let end = if chunked {
                end_of_chunks(&bytes[head..])
            } else {
                (bytes.len() >= head + length).then_some(length)
            };
            match end {
                Some(end) => break head + end,
                None => more(&mut stream, &mut bytes).await?,
            }
        };
        bytes.drain(..end);
        seen.set(seen.get() + 1);
        let body = if method == "head" { "" } else { "ok" };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).await.ok()?;
    bytes.extend_from_slice(&buffer[..length]);
    (length > 0 && bytes.len() < 4 << 20).then_some(())
}

/// Where a chunked body ends, trailers included; nothing if it is not there yet.
fn end_of_chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = bytes[at..].windows(2).position(|window| window == b"\r\n")?;
        let text = std::str::from_utf8(&bytes[at..at + line]).ok()?;
        let size = usize::from_str_radix(text.split(';').next()?.trim(), 16).ok()?;
        at += line + 2;
        if size == 0 {
            if bytes[at..].starts_with(b"\r\n") {
                return Some(at + 2);
            }
            let end = bytes[at..].windows(4).position(|window| window == b"\r\n\r\n")?;
            return Some(at + end + 4);
        }
        at = at.checked_add(size)?.checked_add(2)?;
        if at > bytes.len() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_bodies_end_where_they_end() {
        assert_eq!(end_of_chunks(b"3\r\nabc\r\n0\r\n\r\nGET"), Some(13));
        assert_eq!(end_of_chunks(b"0\r\nA: b\r\n\r\n"), Some(11));
        assert_eq!(end_of_chunks(b"3\r\nab"), None);
        assert_eq!(end_of_chunks(b"ffffffffffffffff\r\n"), None);
    }

    #[test]
    fn more_than_both_is_suspicious_and_so_is_blame() {
        let outcome = |forwarded, blamed| Outcome { forwarded, blamed };
        assert!(suspicious(&[outcome(2, false), outcome(1, false), outcome(2, false)]).is_none());
        assert!(suspicious(&[outcome(2, false), outcome(1, false), outcome(1, false)]).is_some());
        assert!(suspicious(&[outcome(1, true), outcome(1, false), outcome(1, false)]).is_some());
    }
}
