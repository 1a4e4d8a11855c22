//! Watching one process: startup, readiness and liveness.
//!
//! An answer counts only if the socket on the instance's port belongs to its process group: a stranger on the port
//! could answer just as well.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cutover_spec::{Degraded, Health, Probe};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::probe::Prober;
use crate::tracker::Tracker;

/// Until it is ready for the first time an instance is asked this often, so that a launch is not slowed by a long
/// period.
const LAUNCH_PERIOD: Duration = Duration::from_millis(200);

/// A period of zero would ask without pause.
const SHORTEST_PERIOD: Duration = Duration::from_millis(10);

/// Who is watched.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) port: Option<u16>,
    /// The leader of the process group that must own the port.
    pub(crate) leader: u32,
    pub(crate) health: Health,
    /// It was adopted and ready: it stays so until a probe says otherwise.
    pub(crate) was_ready: bool,
}

/// What is told while a process is watched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Noticed {
    /// Its readiness has changed.
    Ready(bool),
    /// It is not ready for another reason than before.
    Because(String),
}

/// Watches for ever, telling each change of readiness and of what keeps it from being ready; returns why the process must be
/// started again.
pub(crate) async fn watch(prober: &Prober, subject: &Subject, tell: &UnboundedSender<Noticed>) -> String {
    let watch = Watch {
        prober,
        subject,
        tell,
        because: Mutex::new(None),
        owns_port: AtomicBool::new(false),
    };
    if let Some(startup) = &subject.health.startup
        && !subject.was_ready
        && let Err(reason) = watch.startup(startup).await
    {
        return reason;
    }
    tokio::select! {
        never = watch.readiness() => match never {},
        reason = watch.liveness() => reason,
    }
}

struct Watch<'a> {
    prober: &'a Prober,
    subject: &'a Subject,
    tell: &'a UnboundedSender<Noticed>,
    /// What was told last.
    because: Mutex<Option<String>>,
    /// Looked up again after every failure.
    owns_port: AtomicBool,
}

impl Watch<'_> {
    /// Tells why a look that asks for readiness failed, once.
    fn unready(&self, answer: &Result<(), String>) {
        let Err(reason) = answer else { return };
        let mut last = self.because.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(reason) {
            *last = Some(reason.clone());
            // The receiver ends together with this future.
            let _unheard = self.tell.send(Noticed::Because(reason.clone()));
        }
    }

    /// One look; without a probe only at the port.
    async fn look(&self, probe: Option<&Probe>, degraded: Degraded) -> Result<(), String> {
        let Some(port) = self.subject.port else {
            return Ok(());
        };
        if probe.is_none() || !self.owns_port.load(Ordering::Relaxed) {
            self.check_owner(port).await?;
            self.owns_port.store(true, Ordering::Relaxed);
        }
        let Some(probe) = probe else {
            return Ok(());
        };
        let answer = self.prober.ask(port, probe, degraded).await;
        if answer.is_err() {
            self.owns_port.store(false, Ordering::Relaxed);
        }
        answer
    }

    async fn check_owner(&self, port: u16) -> Result<(), String> {
        let leader = self.subject.leader;
        let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let owns = tokio::task::spawn_blocking(move || cutover_os::group_owns_port(leader, addr)).await;
        match owns {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(format!("does not listen on {addr}")),
            Ok(Err(error)) => Err(format!("who listens on {addr} is unknown: {error}")),
            Err(_) => Err(format!("who listens on {addr} is unknown")),
        }
    }

    /// Asks often, but allows the time that the probe's own period and threshold give.
    async fn startup(&self, probe: &Probe) -> Result<(), String> {
        tokio::time::sleep(probe.initial_delay.as_duration()).await;
        let period = period(probe);
        let deadline = Instant::now() + period.saturating_mul(probe.failure_threshold.max(1));
        let mut tracker = Tracker::new(probe.success_threshold, 1, false);
        loop {
            let answer = self.look(Some(probe), Degraded::Ready).await;
            self.unready(&answer);
            if tracker.observe(answer.is_ok()) {
                return Ok(());
            }
            if let Err(reason) = answer
                && Instant::now() >= deadline
            {
                return Err(format!("startup probe {}: {reason}", probe.path));
            }
            tokio::time::sleep(period.min(LAUNCH_PERIOD)).await;
        }
    }

    async fn readiness(&self) -> Infallible {
        let health = &self.subject.health;
        // Without a port there is nobody to ask.
        let asked = health.readiness().filter(|_| self.subject.port.is_some());
        let probe = asked.clone().unwrap_or_else(|| Probe {
            failure_threshold: 1,
            ..Probe::default()
        });
        let min_ready = health.min_ready.as_duration();
        let period = period(&probe);
        let mut tracker = Tracker::new(
            probe.success_threshold,
            probe.failure_threshold,
            self.subject.was_ready,
        );
        let mut is_ready = self.subject.was_ready;
        let mut was_ready_once = is_ready;
        let mut passing_since = None;
        if !is_ready {
            tokio::time::sleep(probe.initial_delay.as_duration()).await;
        }
        loop {
            let answer = self.look(asked.as_ref(), health.degraded).await;
            self.unready(&answer);
            let mut wait = if was_ready_once {
                period
            } else {
                period.min(LAUNCH_PERIOD)
            };
            let now_ready = if tracker.observe(answer.is_ok()) {
                let passed_for = passing_since.get_or_insert_with(Instant::now).elapsed();
                let missing = min_ready.saturating_sub(passed_for);
                if !is_ready && !missing.is_zero() {
                    wait = wait.min(missing);
                }
                is_ready || missing.is_zero()
            } else {
                passing_since = None;
                false
            };
            if now_ready != is_ready {
                is_ready = now_ready;
                // The receiver ends together with this future.
                let _unheard = self.tell.send(Noticed::Ready(is_ready));
                if is_ready {
                    *self.because.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    was_ready_once = true;
                    wait = period;
                }
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn liveness(&self) -> String {
        let (Some(probe), Some(_)) = (&self.subject.health.liveness, self.subject.port) else {
            return std::future::pending().await;
        };
        tokio::time::sleep(probe.initial_delay.as_duration()).await;
        let mut tracker = Tracker::new(probe.success_threshold, probe.failure_threshold, true);
        loop {
            // A degraded instance would be no better after a restart.
            let answer = self.look(Some(probe), Degraded::Ready).await;
            if !tracker.observe(answer.is_ok())
                && let Err(reason) = answer
            {
                return format!(
                    "liveness probe {} failed {} times in a row: {reason}",
                    probe.path,
                    probe.failure_threshold.max(1)
                );
            }
            tokio::time::sleep(period(probe)).await;
        }
    }
}

fn period(probe: &Probe) -> Duration {
    probe.period.as_duration().max(SHORTEST_PERIOD)
}
