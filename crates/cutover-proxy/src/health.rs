//! Probes that the proxy makes itself, for routes that ask for them.
//!
//! A table names only instances that were ready, so each begins as one that is well. What is judged is remembered with
//! the instance; whoever chooses one passes over those that are down, as long as there are others.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use cutover_model::routing::{ActiveHealth, UpstreamProtocol};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::shared::Shared;
use crate::state::EndpointState;

/// How soon a new table is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// What the probes say of one instance.
#[derive(Debug, Default)]
pub(crate) struct Health {
    probed: AtomicBool,
    down: AtomicBool,
    /// Probes that failed.
    pub(crate) failures: AtomicU64,
}

impl Health {
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Relaxed)
    }

    /// Nothing when nobody probes it.
    pub(crate) fn is_well(&self) -> Option<bool> {
        self.probed.load(Relaxed).then(|| !self.is_down())
    }

    fn forget(&self) {
        self.probed.store(false, Relaxed);
        self.down.store(false, Relaxed);
    }
}

/// Successes or failures in a row, judged by HAProxy's `rise` and `fall`.
#[derive(Debug)]
struct Streak {
    up: bool,
    against: u32,
}

impl Streak {
    /// Whether it is up now.
    fn judge(&mut self, passed: bool, rule: &ActiveHealth) -> bool {
        if passed == self.up {
            self.against = 0;
            return self.up;
        }
        self.against += 1;
        let enough = if self.up { rule.fall } else { rule.rise };
        if self.against >= enough {
            self.up = passed;
            self.against = 0;
        }
        self.up
    }
}

/// One instance that is looked after.
struct Probed {
    endpoint: Arc<EndpointState>,
    rule: ActiveHealth,
    spoken: UpstreamProtocol,
    switching: watch::Sender<bool>,
    task: AbortHandle,
}

/// Probes whatever the table that is served says, until the process stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    let mut probed: HashMap<u64, Probed> = HashMap::new();
    let mut serial = None;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            Some(_) = tasks.join_next() => continue,
        }
        let snapshot = shared.snapshot.load_full();
        if serial.replace(snapshot.serial) == Some(snapshot.serial) {
            continue;
        }
        let mut wanted = HashMap::new();
        for route in &snapshot.routes {
            let Some(rule) = &route.resilience.health else {
                continue;
            };
            let serving = route
                .revisions
                .iter()
                .filter(|revision| !revision.endpoints.is_empty());
            let switching = serving.clone().count() > 1;
            for revision in serving {
                for endpoint in &revision.endpoints {
                    wanted.insert(endpoint.key, (endpoint, rule, revision.upstream, switching));
                }
            }
        }
        probed.retain(|key, old| {
            let same = wanted
                .get(key)
                .is_some_and(|(_, rule, spoken, _)| old.rule == **rule && old.spoken == *spoken);
            if !same {
                old.task.abort();
                old.endpoint.health.forget();
            }
            same
        });
        for (key, (endpoint, rule, spoken, switching)) in wanted {
            if let Some(known) = probed.get(&key) {
                known.switching.send_replace(switching);
                continue;
            }
            let (sender, receiver) = watch::channel(switching);
            let endpoint = Arc::clone(endpoint);
            let task = tasks.spawn(look_after(Arc::clone(&endpoint), rule.clone(), spoken, receiver));
            let (rule, switching) = (rule.clone(), sender);
            probed.insert(
                key,
                Probed {
                    endpoint,
                    rule,
                    spoken,
                    switching,
                    task,
                },
            );
        }
    }
}

async fn look_after(
    endpoint: Arc<EndpointState>,
    rule: ActiveHealth,
    spoken: UpstreamProtocol,
    mut switching: watch::Receiver<bool>,
) {
    let mut streak = Streak { up: true, against: 0 };
    loop {
        let asked = timeout(rule.timeout.as_duration(), ask(&endpoint, &rule.path, spoken)).await;
        let passed = matches!(asked, Ok(Ok(status)) if (200..400).contains(&status.as_u16()));
        endpoint.health.failures.fetch_add(u64::from(!passed), Relaxed);
        let was_up = streak.up;
        let up = streak.judge(passed, &rule);
        if up != was_up {
            tracing::warn!(instance = %endpoint.instance, up, "the probes of an instance have changed their mind");
        }
        endpoint.health.down.store(!up, Relaxed);
        endpoint.health.probed.store(true, Relaxed);
        let fast = *switching.borrow_and_update() || streak.against > 0;
        let pause = if fast { rule.fast_interval } else { rule.interval };
        tokio::select! {
            () = sleep(pause.as_duration()) => {}
            // A switch begins or ends; nobody hears of it when the proxy stops, and then this ends too.
            changed = switching.changed() => if changed.is_err() { return },
        }
    }
}

async fn ask(endpoint: &EndpointState, path: &str, spoken: UpstreamProtocol) -> io::Result<StatusCode> {
    let stream = TcpStream::connect(endpoint.address).await?;
    // A port of the ephemeral range on which nobody listens can connect to itself.
    if stream.local_addr()? == endpoint.address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let http2 = spoken == UpstreamProtocol::H2c;
    let authority = endpoint.address.to_string();
    let request = Request::get(if http2 {
        format!("http://{authority}{path}")
    } else {
        path.to_owned()
    })
    .header(USER_AGENT, "cutover-proxy");
    let request = if http2 {
        request.version(Version::HTTP_2)
    } else {
        request.header(HOST, authority).header(CONNECTION, "close")
    };
    let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let io = TokioIo::new(stream);
    if http2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io)
            .await
            .map_err(io::Error::other)?;
        let answer = sender.send_request(request);
        return whichever(answer, connection).await;
    }
    let (mut sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
    let answer = sender.send_request(request);
    whichever(answer, connection).await
}

/// The status, while the connection is driven; what comes after the head is of no interest.
async fn whichever<B>(
    answer: impl Future<Output = hyper::Result<hyper::Response<B>>>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> io::Result<StatusCode> {
    let (mut answer, connection) = (std::pin::pin!(answer), std::pin::pin!(connection));
    let answered = tokio::select! {
        biased;
        answered = answer.as_mut() => answered,
        _ = connection => answer.await,
    };
    answered
        .map(|response| response.status())
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rise_and_fall() {
        let rule = ActiveHealth {
            rise: 2,
            fall: 3,
            ..ActiveHealth::default()
        };
        let mut streak = Streak { up: true, against: 0 };
        let said = "..x.xxx.x..x"
            .chars()
            .map(|probe| streak.judge(probe == '.', &rule));
        let said: String = said.map(|up| if up { '+' } else { '-' }).collect();
        assert_eq!(said, "++++++----++");
    }
}
