//! The life of one instance: started, watched, started again after a crash, ended on request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cutover_model::{InstanceId, InstanceState, Timestamp};
use cutover_os::{Grouping, SpawnOptions};
use cutover_ports::RevisionSpec;
use cutover_spec::Target;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::core::Core;
use crate::environment;
use crate::health::{Noticed, Subject, watch};
use crate::launch::{Launch, LaunchError};
use crate::log_file;
use crate::process::{Process, describe};
use crate::redact::redact;
use crate::saved::SavedInstance;

/// What the rest of the supervisor sees and asks of an instance.
#[derive(Debug)]
pub(crate) struct InstanceHandle {
    status: Mutex<(InstanceState, Timestamp)>,
    /// Why its probes do not pass, as seen last.
    unready: Mutex<Option<String>>,
    /// Asks it to end for good.
    pub(crate) stop: CancellationToken,
    /// It has ended and its record is gone.
    pub(crate) done: CancellationToken,
}

impl InstanceHandle {
    pub(crate) fn new(state: InstanceState, since: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            status: Mutex::new((state, since)),
            unready: Mutex::new(None),
            stop: CancellationToken::new(),
            done: CancellationToken::new(),
        })
    }

    pub(crate) fn status(&self) -> (InstanceState, Timestamp) {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why it is not ready, while it is not.
    pub(crate) fn unready(&self) -> Option<String> {
        let waits = matches!(self.status().0, InstanceState::Starting | InstanceState::NotReady);
        let reason = self.unready.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone().filter(|_| waits)
    }

    pub(crate) fn note_unready(&self, reason: Option<String>) {
        *self.unready.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    pub(crate) fn set(&self, state: InstanceState, now: Timestamp) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        // Once it was asked to end it is on its way out, whatever its probes say.
        if status.0 != InstanceState::Stopping && status.0 != state {
            *status = (state, now);
        }
    }
}

/// Where its life begins.
#[derive(Debug)]
pub(crate) enum Begin {
    /// Just started, its process is recorded.
    Running(Process),
    /// Taken over from another supervisor; whether it was ready.
    Adopted(Process, bool),
    /// To be started; whether that counts as a restart (it does not after a reboot).
    Absent {
        /// It ran when it was last seen.
        crashed: bool,
    },
}

/// Starts a process of the instance from what is stored of its revision.
pub(crate) async fn start(core: &Core, id: &InstanceId) -> Result<Process, LaunchError> {
    let saved = core.state.get();
    let what = id.to_string();
    let (Some(record), Some(spec)) = (
        saved.instances.get(id),
        saved
            .instances
            .get(id)
            .and_then(|record| saved.revisions.get(&record.revision)),
    ) else {
        return Err(LaunchError::Empty { what });
    };
    let what = format!("{} {}", record.revision.service, record.revision.version);
    let mark = saved.mark(id.as_str());
    let environment = environment::for_instance(environment::base(), spec, record.port, &mark);
    let Target::Process(target) = &spec.target;
    let search = environment.get("PATH").map_or("", String::as_str);
    let launch = Launch::of_instance(
        &what,
        target,
        &record.revision.version,
        record.port,
        core.paths.root(),
        search,
    )?;
    let log = log_file::open(&core.paths.instance_log(&record.revision, id))
        .and_then(|log| Ok((log.try_clone()?, log)));
    let (out, err) = log.map_err(|source| LaunchError::Log {
        what: what.clone(),
        source,
    })?;
    let mut command = launch.command();
    command.env_clear().envs(environment).stdout(out).stderr(err);
    let started = tokio::task::spawn_blocking(move || {
        let options = SpawnOptions {
            grouping: Grouping::OwnGroup,
            ..SpawnOptions::default()
        };
        cutover_os::spawn(&mut command, options)
    })
    .await
    .map_err(std::io::Error::other)
    .and_then(|result| result)
    .and_then(Process::new);
    started.map_err(|source| LaunchError::Refused {
        what,
        path: launch.program,
        source,
    })
}

enum Turn {
    Ended,
    Unhealthy(String),
    Stop,
    Leave,
}

/// Runs until the instance was asked to end, or the supervisor leaves its children alone.
pub(crate) async fn run(core: Arc<Core>, id: InstanceId, handle: Arc<InstanceHandle>, begin: Begin) {
    let mut backoff = Backoff::for_instances();
    let mut was_ever_ready = !matches!(begin, Begin::Running(_));
    let mut begin = Some(begin);
    loop {
        let Some((record, spec)) = core.record(&id) else {
            return;
        };
        let log = core.paths.instance_log(&record.revision, &id);
        let mut log_from = 0;
        let (process, was_ready) = match begin.take() {
            Some(Begin::Running(process)) => (process, false),
            Some(Begin::Adopted(process, ready)) => (process, ready),
            absent => {
                log_from = log_file::length(&log);
                let counts = !matches!(absent, Some(Begin::Absent { crashed: false }));
                match start_again(&core, &id, counts).await {
                    Ok(process) => (process, false),
                    Err(error) => {
                        let reason = error.to_string();
                        tracing::warn!(instance = %id, reason, "cannot be started again");
                        handle.set(InstanceState::Crashed { reason }, core.clock.now());
                        match pause(&core, &handle, backoff.after(Duration::ZERO)).await {
                            Turn::Leave => return,
                            Turn::Stop => return core.forget(&id, &handle).await,
                            Turn::Ended | Turn::Unhealthy(_) => continue,
                        }
                    }
                }
            }
        };
        let Target::Process(target) = &spec.target;
        let grace = target.stop_grace.as_duration();
        if !was_ready {
            handle.note_unready(None);
            handle.set(InstanceState::Starting, core.clock.now());
        }
        let watched = watched(&core, &id, &handle, &process, &record, &spec, was_ready).await;
        was_ever_ready |= watched.was_ready;
        let reason = match watched.turn {
            Turn::Leave => return,
            Turn::Stop => {
                handle.set(InstanceState::Stopping, core.clock.now());
                tracing::info!(instance = %id, "ending {}", process.identity());
                tokio::select! {
                    biased;
                    () = core.leave.cancelled() => return,
                    exit = process.end(grace) => {
                        tracing::info!(instance = %id, "{}", describe(exit));
                    }
                }
                return core.forget(&id, &handle).await;
            }
            Turn::Ended => {
                // The rest of its group goes too: it may hold the port. Its state changes first, so that nobody
                // takes it for ready meanwhile.
                let reason = "its process has ended".to_owned();
                handle.set(InstanceState::Crashed { reason }, core.clock.now());
                describe(end_or_leave(&core, &process, grace).await)
            }
            Turn::Unhealthy(reason) => {
                let crashed = InstanceState::Crashed {
                    reason: reason.clone(),
                };
                handle.set(crashed, core.clock.now());
                end_or_leave(&core, &process, grace).await;
                reason
            }
        };
        let reason = match log_file::last_line(&log, log_from) {
            Some(line) => {
                let line = log_file::shorten(&redact(&line, &spec.environment));
                format!("{reason}: {line}")
            }
            None => reason,
        };
        let wait = backoff.after(watched.good_for);
        tracing::warn!(instance = %id, reason, wait_ms = wait.as_millis(), "crashed");
        handle.set(InstanceState::Crashed { reason }, core.clock.now());
        core.note(|saved| {
            if let Some(record) = saved.instances.get_mut(&id) {
                record.ready_since = None;
            }
        })
        .await;
        if !was_ever_ready {
            core.leave_taken_port(&id).await;
        }
        match pause(&core, &handle, wait).await {
            Turn::Leave => return,
            Turn::Stop => return core.forget(&id, &handle).await,
            Turn::Ended | Turn::Unhealthy(_) => {}
        }
    }
}

async fn start_again(core: &Core, id: &InstanceId, counts: bool) -> Result<Process, LaunchError> {
    let process = start(core, id).await?;
    let identity = process.identity().clone();
    core.note(|saved| {
        if let Some(record) = saved.instances.get_mut(id) {
            record.process = Some(identity);
            record.ready_since = None;
            record.restarts += u32::from(counts);
        }
    })
    .await;
    Ok(process)
}

/// How a watch over one process ended.
struct Watched {
    turn: Turn,
    /// For how long it was ready without a break, at the end.
    good_for: Duration,
    was_ready: bool,
}

/// Watches one process to its end.
async fn watched(
    core: &Core,
    id: &InstanceId,
    handle: &InstanceHandle,
    process: &Process,
    record: &SavedInstance,
    spec: &RevisionSpec,
    was_ready: bool,
) -> Watched {
    let subject = Subject {
        port: record.port,
        leader: process.identity().pid,
        health: spec.health.clone(),
        was_ready,
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut ready_since = was_ready.then(Instant::now);
    let mut was_ready = was_ready;
    let watch = watch(&core.prober, &subject, &tell);
    tokio::pin!(watch);
    let turn = loop {
        tokio::select! {
            biased;
            () = core.leave.cancelled() => break Turn::Leave,
            () = handle.stop.cancelled() => break Turn::Stop,
            () = process.ended() => break Turn::Ended,
            reason = &mut watch => break Turn::Unhealthy(reason),
            Some(noticed) = told.recv() => {
                let ready = match noticed {
                    Noticed::Ready(ready) => ready,
                    Noticed::Because(reason) => {
                        tracing::debug!(instance = %id, reason, "not ready");
                        handle.note_unready(Some(redact(&reason, &spec.environment)));
                        continue;
                    }
                };
                let now = core.clock.now();
                let state = if ready { InstanceState::Ready } else { InstanceState::NotReady };
                tracing::info!(instance = %id, ready, "readiness");
                ready_since = ready.then(Instant::now);
                was_ready |= ready;
                // Bad news is told at once. Good news only once it is written down: what was seen as ready must
                // still be ready in the eyes of the next supervisor.
                if !ready {
                    handle.set(state.clone(), now);
                }
                core.note(|saved| {
                    if let Some(record) = saved.instances.get_mut(id) {
                        record.ready_since = ready.then_some(now);
                    }
                })
                .await;
                handle.set(state, now);
            }
        }
    };
    Watched {
        turn,
        good_for: ready_since.map_or(Duration::ZERO, |at| at.elapsed()),
        was_ready,
    }
}

/// Ends what is left of a process, unless the supervisor goes: then its successor finds and ends it.
async fn end_or_leave(core: &Core, process: &Process, grace: Duration) -> Option<cutover_os::Exit> {
    tokio::select! {
        biased;
        () = core.leave.cancelled() => None,
        exit = process.end(grace) => exit,
    }
}

/// Waits before the next start; `Ended` when the time is over.
async fn pause(core: &Core, handle: &InstanceHandle, wait: Duration) -> Turn {
    tokio::select! {
        biased;
        () = core.leave.cancelled() => Turn::Leave,
        () = handle.stop.cancelled() => Turn::Stop,
        () = tokio::time::sleep(wait) => Turn::Ended,
    }
}
