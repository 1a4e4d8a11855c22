//! An upgrade carried out in this process, shown as it goes.
//!
//! The engine decides and acts; here is only who watches, who may ask for what, and what happens to an upgrade that is
//! left before its end.

mod background;
mod meter;
mod screen;
mod tap;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use cutover_engine::{Engine, load, request};
use cutover_model::{Command, ExitCode, Plan, UpgradeId, UpgradePhase};
use cutover_plan::{Doing, State};
use cutover_ports::Clock as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

pub(crate) use meter::Meter;
pub(crate) use screen::Screen;
pub(crate) use tap::Seen;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::render::{Ask, Run, report, report_json};
use crate::world::{Machine, SystemClock, controller, who};
use tap::Tap;

/// How often the picture is drawn anew.
const FRAME: Duration = Duration::from_millis(200);

/// How often the counters are read.
const SAMPLE: Duration = Duration::from_secs(1);

/// Who leaves, and why.
const STAY: u8 = 0;
const DETACH: u8 = 1;
const GATE: u8 = 2;

/// Who carries an upgrade out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A command that somebody waits for: what needs a person ends it.
    Foreground,
    /// The controller in the background: what needs a person is waited for.
    Background,
    /// The demo: nobody types, and what it leaves it cleans up.
    Demo,
}

/// How it ended here.
#[derive(Debug)]
pub(crate) struct End {
    /// The upgrade.
    pub(crate) id: UpgradeId,
    /// Where it stands now.
    pub(crate) phase: UpgradePhase,
    /// Whether it goes on without this process.
    pub(crate) detached: bool,
}

impl End {
    /// Says how it ended: the report as data, and the exit code.
    pub(crate) async fn conclude(self, ctx: &Context) -> Outcome {
        if !self.detached {
            show(ctx, &self.id).await?;
        }
        Ok(exit_of(self.phase))
    }
}

/// Goes on with an upgrade whose lease this process holds, until it is over, stuck or left.
pub(crate) async fn drive(
    ctx: &Context,
    machine: &Machine,
    mut engine: Engine,
    role: Role,
) -> Result<End, Failure> {
    let id = engine.id().clone();
    let mut meter = Meter::new(&machine.proxy, engine.plan());
    let (sender, mut records) = mpsc::unbounded_channel();
    engine.observe_with(Box::new(Tap::new(sender)));
    let mut screen = Screen::new(
        &ctx.printer,
        engine.plan().clone(),
        engine.state().clone(),
        role != Role::Demo,
    );
    let leave = AtomicU8::new(STAY);
    let stop = || leave.load(Ordering::Relaxed) != STAY;
    let mut signals = Signals::new()?;
    let result = {
        let mut run = Box::pin(engine.run(&stop));
        let mut frame = tokio::time::interval(FRAME);
        let mut sample = tokio::time::interval(SAMPLE);
        loop {
            tokio::select! {
                result = &mut run => break result,
                Some(seen) = records.recv() => {
                    screen.take(&seen);
                    if let Some(ask) = unattended(ctx, role, &screen, &seen.state) {
                        answer(ctx, &id, ask, &mut screen, &leave).await;
                    }
                }
                _ = frame.tick() => screen.draw(),
                _ = sample.tick() => screen.traffic(meter.sample().await),
                ask = screen.asked() => answer(ctx, &id, ask, &mut screen, &leave).await,
                () = signals.next() => answer(ctx, &id, Ask::Detach, &mut screen, &leave).await,
            }
        }
    };
    while let Ok(seen) = records.try_recv() {
        screen.take(&seen);
    }
    let opens = opens_by_itself(&screen, engine.state());
    screen.close();
    let phase = match result {
        Ok(phase) => phase,
        Err(error) => {
            // Another controller may take over at once; a lease that is lost already is no matter.
            engine.give_up_lease().await;
            return Err(left_standing(error.into(), engine.plan(), engine.state()));
        }
    };
    let leaves = leave.load(Ordering::Relaxed) == DETACH && !phase.is_final() && phase != UpgradePhase::Stuck;
    let detached = leaves && role == Role::Foreground;
    // A gate that opens by itself is left as well, with the report and its exit code, to a controller that sees it open.
    let left = leave.load(Ordering::Relaxed) == GATE && phase == UpgradePhase::WaitingForGate;
    if detached || (left && opens && role == Role::Foreground) {
        hand_over(ctx).await?;
    }
    Ok(End { id, phase, detached })
}

/// A full disk has ended it here, and not the upgrade: where it stands is said, and that a person is needed.
fn left_standing(mut failure: Failure, plan: &Plan, state: &State) -> Failure {
    if !failure.is("store.disk-full") || state.begun == 0 {
        return failure;
    }
    let at = state.step(plan).map_or_else(
        || "the upgrade stands at its end".to_owned(),
        |step| {
            format!(
                "the upgrade stands at step {}: {} {}",
                step.id, step.stage, step.title
            )
        },
    );
    for found in &mut failure.found {
        found.notes.push(("state".to_owned(), at.clone()));
        let look = found.help.take().unwrap_or_else(|| "df -h".to_owned());
        found
            .notes
            .push(("next".to_owned(), format!("make room ({look}), then go on")));
        found.help = Some("cutover resume".to_owned());
    }
    failure.with_exit(ExitCode::Stuck)
}

/// What to do where nobody is asked: `--yes` answers, and a gate or a failure that waits for a person is left to one.
fn unattended(ctx: &Context, role: Role, screen: &Screen, state: &State) -> Option<Ask> {
    // An outcome that is unknown for a moment is read back on the next turn; only one that stays so is waited for.
    let momentary = matches!(state.doing, Doing::Unknown { .. }) && state.waiting.is_none();
    let waits = state.phase == UpgradePhase::WaitingForGate && !momentary;
    let answerable = waits && ctx.globals.yes && !matches!(state.doing, Doing::Unknown { .. });
    if answerable && !opens_by_itself(screen, state) {
        return Some(Ask::Command(yes(screen, state)?));
    }
    let failed = matches!(state.doing, Doing::Failed { .. }) && state.phase == UpgradePhase::Paused;
    ((waits || failed) && role != Role::Background && !screen.can_ask()).then_some(Ask::Leave)
}

/// Whether the gate that waits is a window, or another system's: nobody here has to answer it, and somebody must see it
/// open.
fn opens_by_itself(screen: &Screen, state: &State) -> bool {
    use cutover_model::Action;
    matches!(
        screen.action(state),
        Some(Action::Window { .. } | Action::Call { .. })
    ) && matches!(state.doing, Doing::Running { .. })
}

/// What "yes" is at this gate; an analysis without an answer is no question that `--yes` could answer.
fn yes(screen: &Screen, state: &State) -> Option<Command> {
    use cutover_model::Action;
    match screen.action(state)? {
        Action::Approve { .. } => Some(Command::Approve),
        Action::Pause { .. } => Some(Command::Promote),
        _ => None,
    }
}

async fn answer(ctx: &Context, id: &UpgradeId, ask: Ask, screen: &mut Screen, leave: &AtomicU8) {
    match ask {
        Ask::Detach => leave.store(DETACH, Ordering::Relaxed),
        Ask::Leave => leave.store(GATE, Ordering::Relaxed),
        Ask::Command(command) => {
            let now = SystemClock.now();
            if let Err(error) = request(&ctx.store, id, command, &who(), None, now).await {
                screen.say(&error.diagnostic());
            }
        }
    }
}

/// How long a controller in the background is given to be at work before it is said to be.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);

/// Leaves an upgrade to a controller in the background, and says so once that is at it.
pub(crate) async fn hand_over(ctx: &Context) -> Result<(), Failure> {
    let pid = background::start(ctx)?;
    let deadline = tokio::time::Instant::now() + TAKEN_WITHIN;
    while controller(&ctx.store).await?.is_none() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = ctx.state.controller_log();
    ctx.printer.advise(&format!(
        "It goes on in the background, as pid {pid}.\n  come back   cutover watch\n  its log     {}\n",
        log.display()
    ));
    Ok(())
}

/// The report of an upgrade, as data.
pub(crate) async fn show(ctx: &Context, id: &UpgradeId) -> Result<(), Failure> {
    let (plan, records, state) = load(&ctx.store, id).await?;
    let run = Run {
        id,
        plan: &plan,
        state: &state,
        records: &records,
    };
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&report_json(&run));
    } else {
        ctx.printer.data(&report(&run, ctx.printer.style()));
    }
    Ok(())
}

/// What the caller is told of an upgrade's phase.
pub(crate) const fn exit_of(phase: UpgradePhase) -> ExitCode {
    match phase {
        UpgradePhase::Succeeded => ExitCode::Done,
        UpgradePhase::Aborted => ExitCode::Aborted,
        UpgradePhase::Failed => ExitCode::Failed,
        UpgradePhase::Stuck => ExitCode::Stuck,
        UpgradePhase::Pending
        | UpgradePhase::Running
        | UpgradePhase::Paused
        | UpgradePhase::WaitingForGate
        | UpgradePhase::Soaking
        | UpgradePhase::Aborting => ExitCode::Waiting,
    }
}

/// The signals that ask this process to leave.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(
                    "state.no-signals",
                    format!("signals cannot be caught: {error}"),
                    "cutover status",
                )
            })
        };
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
