//! `cutover watch`: follows the journal of the upgrade that has not ended, without controlling anything.

use std::time::Duration;

use cutover_engine::load;
use cutover_model::{Command, Diagnostic, ExitCode, UpgradeId, UpgradePhase};
use cutover_plan::next;
use cutover_ports::{Clock as _, Store as _};

use crate::context::Context;
use crate::drive::{Meter, Screen, Seen, Signals, exit_of, show};
use crate::execute::open_upgrade;
use crate::failure::Outcome;
use crate::render::Ask;
use crate::world::{Machine, SystemClock, controller, who};

/// How often the journal is read.
const POLL: Duration = Duration::from_millis(200);

/// How often the counters are read.
const SAMPLE: Duration = Duration::from_secs(1);

/// Looks in a row that find no controller until it is said: one may just be handing over.
const PATIENCE: u32 = 2;

pub(super) async fn run(ctx: &Context, machine: &Machine) -> Outcome {
    let Some(open) = open_upgrade(ctx).await? else {
        ctx.printer
            .advise("Nothing is under way. The upgrades so far: cutover history\n");
        return Ok(ExitCode::Done);
    };
    follow(ctx, machine, &open.id).await
}

/// Follows an upgrade to its end, or until somebody leaves; the report then, and its exit code.
pub(super) async fn follow(ctx: &Context, machine: &Machine, id: &UpgradeId) -> Outcome {
    let (plan, records, mut state) = load(&ctx.store, id).await?;
    let mut meter = Meter::new(&machine.proxy, &plan);
    let mut screen = Screen::new(&ctx.printer, plan.clone(), state.clone(), true);
    if let Some(record) = records.last() {
        screen.take(&Seen {
            state: state.clone(),
            record: record.clone(),
        });
    }
    let mut signals = Signals::new()?;
    let mut poll = tokio::time::interval(POLL);
    let mut sample = tokio::time::interval(SAMPLE);
    let mut alone = 0;
    while !state.phase.is_final() && state.phase != UpgradePhase::Stuck {
        tokio::select! {
            _ = poll.tick() => {
                for record in ctx.store.records(id, state.seq).await? {
                    state = next(&plan, &state, &record).map_err(cutover_engine::EngineError::from)?;
                    screen.take(&Seen { state: state.clone(), record });
                }
                screen.draw();
            }
            _ = sample.tick() => {
                screen.traffic(meter.sample().await);
                let nobody = needs_a_controller(state.phase) && controller(&ctx.store).await?.is_none();
                alone = if nobody { alone + 1 } else { 0 };
                if alone == PATIENCE {
                    screen.say(&nobody_at_work());
                }
            }
            () = signals.next() => break,
            ask = screen.asked() => match ask {
                Ask::Detach | Ask::Leave => break,
                Ask::Command(command) => ask_for(ctx, id, command, &mut screen).await,
            },
        }
    }
    screen.close();
    if state.phase.is_final() || state.phase == UpgradePhase::Stuck {
        show(ctx, id).await?;
    }
    Ok(exit_of(state.phase))
}

/// Whether it would go on by itself if somebody was at work.
const fn needs_a_controller(phase: UpgradePhase) -> bool {
    !matches!(phase, UpgradePhase::WaitingForGate | UpgradePhase::Paused)
}

fn nobody_at_work() -> Diagnostic {
    Diagnostic::warning(
        "upgrade.no-controller",
        "no controller is at work, so nothing goes on by itself",
    )
    .note("go back", "cutover abort")
    .help("cutover resume")
}

async fn ask_for(ctx: &Context, id: &UpgradeId, command: Command, screen: &mut Screen) {
    let now = SystemClock.now();
    if let Err(error) = cutover_engine::request(&ctx.store, id, command, &who(), None, now).await {
        screen.say(&error.diagnostic());
    }
}
