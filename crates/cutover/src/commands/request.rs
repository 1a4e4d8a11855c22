//! What a person asks of an upgrade that has not ended: journalled, and carried out by whoever controls it, or here.

use cutover_engine::{EngineError, load};
use cutover_model::{Command, ExitCode, UpgradePhase};
use cutover_plan::Doing;
use cutover_ports::{Clock as _, UpgradeHead};

use crate::cli::Resume;
use crate::context::Context;
use crate::drive::{Role, exit_of};
use crate::execute::{go_on, open_upgrade};
use crate::failure::{Failure, Outcome};
use crate::world::{self, Machine, SystemClock, who};

use super::watch;

/// Journals a request. When no controller is at work, the upgrade is gone on with here.
pub(super) async fn run(ctx: &Context, machine: &Machine, command: Command, why: Option<String>) -> Outcome {
    let open = must_be_open(ctx).await?;
    ask(ctx, &open, command, why.as_deref()).await?;
    if let Some(controller) = controller(ctx).await? {
        return left_to(ctx, machine, &open, command, &controller).await;
    }
    if command == Command::Pause {
        tell(ctx, &open, command, None);
        return Ok(ExitCode::Done);
    }
    let outcome = match go_on(ctx, machine, &open.id, Role::Foreground).await {
        Ok(end) => end.conclude(ctx).await,
        // Another controller was quicker by a moment: it finds the request.
        Err(failure) if failure.is("lease.held") => match controller(ctx).await? {
            Some(controller) => return left_to(ctx, machine, &open, command, &controller).await,
            None => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    if command == Command::Abort {
        aborted(outcome)
    } else {
        outcome
    }
}

/// A controller is at work and carries the request out; an abort is followed to its end.
async fn left_to(
    ctx: &Context,
    machine: &Machine,
    open: &UpgradeHead,
    command: Command,
    controller: &str,
) -> Outcome {
    tell(ctx, open, command, Some(controller));
    wait_for_resume(ctx, open, command).await?;
    if command == Command::Abort {
        return aborted(watch::follow(ctx, machine, &open.id).await);
    }
    Ok(ExitCode::Done)
}

/// Of an abort that was asked for, being back is the success.
fn aborted(outcome: Outcome) -> Outcome {
    outcome.map(|exit| match exit {
        ExitCode::Aborted | ExitCode::Failed => ExitCode::Done,
        other => other,
    })
}

/// Goes on: with a request when somebody paused it, without one when it was only left. One whose step has failed is not gone on
/// with: a person says whether it is tried again.
pub(super) async fn resume(ctx: &Context, machine: &Machine, resume: Resume) -> Outcome {
    let open = must_be_open(ctx).await?;
    let role = if resume.in_background {
        Role::Background
    } else {
        Role::Foreground
    };
    if role == Role::Foreground {
        let (_, _, state) = load(&ctx.store, &open.id).await?;
        let failed = matches!(state.doing, Doing::Failed { .. }) && state.phase == UpgradePhase::Paused;
        let held = state.paused.is_some() || failed;
        if held && !state.phase.is_final() && !state.is_back() && state.phase != UpgradePhase::Stuck {
            ask(ctx, &open, Command::Resume, resume.why.as_deref()).await?;
        }
        if let Some(controller) = controller(ctx).await? {
            tell(ctx, &open, Command::Resume, Some(&controller));
            return Ok(ExitCode::Done);
        }
        if state.phase == UpgradePhase::Stuck {
            // Going on would end at once: a person must say what to do.
            let found = EngineError::Refused(Box::new(
                cutover_model::Diagnostic::error("upgrade.stuck", "it is stuck: a person is needed")
                    .note(
                        "because",
                        state.stuck.map(|stuck| stuck.because).unwrap_or_default(),
                    )
                    .help("cutover retry"),
            ));
            return Err(Failure::from(found).with_exit(exit_of(UpgradePhase::Stuck)));
        }
    }
    go_on(ctx, machine, &open.id, role).await?.conclude(ctx).await
}

async fn ask(ctx: &Context, open: &UpgradeHead, command: Command, why: Option<&str>) -> Result<(), Failure> {
    let now = SystemClock.now();
    cutover_engine::request(&ctx.store, &open.id, command, &who(), why, now).await?;
    Ok(())
}

async fn must_be_open(ctx: &Context) -> Result<UpgradeHead, Failure> {
    open_upgrade(ctx).await?.ok_or_else(|| {
        Failure::new(
            "upgrade.none",
            format!("no upgrade of {} is under way in {}", ctx.name, ctx.environment),
            "cutover status",
        )
    })
}

/// Who controls the upgrade now.
async fn controller(ctx: &Context) -> Result<Option<String>, Failure> {
    let holder = world::controller(&ctx.store).await?;
    Ok(holder.map(|holder| format!("pid {} on {}", holder.pid, holder.host)))
}

/// What is asked of a paused upgrade is kept, and carried out when it goes on: whoever asked must know.
async fn wait_for_resume(ctx: &Context, open: &UpgradeHead, command: Command) -> Result<(), Failure> {
    let (_, _, state) = load(&ctx.store, &open.id).await?;
    let waits = matches!(command, Command::Promote | Command::Approve);
    if waits && state.paused.is_some() && !state.phase.is_final() {
        ctx.printer
            .advise("The upgrade is paused and stays so: this counts after `cutover resume`\n");
    }
    Ok(())
}

fn tell(ctx: &Context, open: &UpgradeHead, command: Command, controller: Option<&str>) {
    if command == Command::Abort {
        // Its end follows, as data.
        let who = controller.unwrap_or_default();
        ctx.printer.talk(&format!(
            "abort recorded for the upgrade to {}: {who} carries it out\n",
            open.to
        ));
        return;
    }
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&serde_json::json!({
            "upgrade": open.id,
            "requested": command,
            "controller": controller,
        }));
        return;
    }
    let who = controller.map_or_else(
        || "no controller is at work; `cutover resume` goes on".to_owned(),
        |controller| format!("{controller} carries it out; `cutover watch` shows it"),
    );
    ctx.printer.told(&format!(
        "{} recorded for the upgrade to {}: {who}\n",
        command.word(),
        open.to
    ));
}
