//! From a plan to an upgrade: what it stands on is started, the release is stored, the upgrade recorded and carried out.

use std::time::Duration;

use cutover_engine::{Engine, EngineError};
use cutover_model::{Diagnostic, ExitCode, Plan, UpgradeId};
use cutover_plan::Planned;
use cutover_ports::{Clock as _, Store as _, UpgradeHead};

use crate::context::Context;
use crate::drive::{self, End, Role, drive};
use crate::failure::{Failure, Outcome};
use crate::planning::{Proposal, world_of_stored};
use crate::render;
use crate::world::{LEASE, Machine, SystemClock, controller, is_dead, myself, taken, who};

/// What came of carrying a proposal out.
pub(crate) enum Executed {
    /// There was nothing to do, and why.
    Nothing(String),
    /// It was recorded and is carried out in the background.
    Recorded,
    /// It was carried out here, as far as it went.
    Here(End),
}

impl Executed {
    /// Says what came of it.
    pub(crate) async fn conclude(self, ctx: &Context) -> Outcome {
        match self {
            Self::Nothing(why) => Ok(nothing(ctx, &why)),
            Self::Recorded => Ok(ExitCode::Done),
            Self::Here(end) => end.conclude(ctx).await,
        }
    }
}

/// Where a proposal is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this process.
    Here(Role),
    /// In the background.
    Background,
}

impl Place {
    /// As `--detach` says.
    pub(crate) const fn of(detach: bool) -> Self {
        if detach {
            Self::Background
        } else {
            Self::Here(Role::Foreground)
        }
    }
}

/// Carries a proposal out.
pub(crate) async fn execute(
    ctx: &Context,
    machine: &Machine,
    proposal: Proposal,
    place: Place,
) -> Result<Executed, Failure> {
    let plan = match &proposal.planned {
        Planned::Plan(plan) => (**plan).clone(),
        Planned::Nothing(why) => return Ok(Executed::Nothing(why.clone())),
        Planned::Refused(refusal) => {
            return Err(Failure::usage(refusal.because.clone()));
        }
    };
    let world = proposal.world(ctx, machine)?;
    free_addresses(machine, &plan).await?;
    ctx.store.put_release(&proposal.release).await?;
    stand(ctx, machine, &plan).await?;
    let id = UpgradeId::new(uuid::Uuid::now_v7().to_string());
    let engine = Engine::create(world, &myself()?, &is_dead, id, plan, &who()).await?;
    match place {
        Place::Background => {
            engine.give_up_lease().await;
            drive::hand_over(ctx).await?;
            Ok(Executed::Recorded)
        }
        Place::Here(role) => Ok(Executed::Here(drive(ctx, machine, engine, role).await?)),
    }
}

/// There is nothing to do, and that is no failure.
pub(crate) fn nothing(ctx: &Context, why: &str) -> ExitCode {
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&serde_json::json!({ "nothing": why }));
    } else {
        ctx.printer.data(&render::nothing(why, ctx.printer.style()));
    }
    ExitCode::Done
}

/// Goes on with an upgrade that was begun, in this process, unless another one is at it.
pub(crate) async fn go_on(
    ctx: &Context,
    machine: &Machine,
    id: &UpgradeId,
    role: Role,
) -> Result<End, Failure> {
    let plan = ctx.store.plan(id).await?;
    let plan = plan.ok_or_else(|| {
        Failure::new(
            "upgrade.unknown",
            format!("there is no upgrade {id}"),
            "cutover history",
        )
    })?;
    let engine = take_over(ctx, machine, id, &plan, role).await?;
    if let Err(failure) = machine.ensure(engine.fence(), engine.plan()).await {
        engine.give_up_lease().await;
        return Err(failure);
    }
    drive(ctx, machine, engine, role).await
}

/// Takes the lease of an upgrade. Commands that only ask who is at it hold the lease for a moment, which is waited out:
/// by the controller in the background for longer, since nobody would start another one.
async fn take_over(
    ctx: &Context,
    machine: &Machine,
    id: &UpgradeId,
    plan: &Plan,
    role: Role,
) -> Result<Engine, Failure> {
    let patience = match role {
        Role::Background => Duration::from_secs(10),
        Role::Foreground | Role::Demo => Duration::from_millis(300),
    };
    let deadline = tokio::time::Instant::now() + patience;
    let world = world_of_stored(ctx, machine, plan).await?;
    loop {
        match Engine::resume(world.clone(), &myself()?, &is_dead, id.clone()).await {
            Err(EngineError::Held { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => return Ok(other?),
        }
    }
}

/// The upgrade that has not ended.
pub(crate) async fn open_upgrade(ctx: &Context) -> Result<Option<UpgradeHead>, Failure> {
    Ok(ctx
        .store
        .upgrades(1)
        .await?
        .into_iter()
        .find(|head| !head.phase.is_final()))
}

/// Refuses while an upgrade has not ended: 7 when a controller is at it, 1 when it was left.
pub(crate) async fn must_be_free(ctx: &Context) -> Result<(), Failure> {
    let Some(open) = open_upgrade(ctx).await? else {
        return Ok(());
    };
    let found = Diagnostic::error(
        "upgrade.in-progress",
        format!("the upgrade to {} is not over: {}", open.to, open.phase),
    );
    match controller(&ctx.store).await? {
        None => {
            let found = found
                .note("go on", "cutover resume")
                .note("go back", "cutover abort");
            Err(found.help("cutover status").into())
        }
        Some(holder) => {
            let found = found.note("controller", format!("pid {} on {}", holder.pid, holder.host));
            Err(Failure::from(found.help("cutover watch")).with_exit(ExitCode::Refused))
        }
    }
}

/// Supervisor and proxy run before an upgrade is recorded: if they cannot, nothing has begun.
async fn stand(ctx: &Context, machine: &Machine, plan: &Plan) -> Result<(), Failure> {
    let lease = ctx
        .store
        .acquire(&myself()?, SystemClock.now(), LEASE, &is_dead)
        .await?;
    let ensured = machine.ensure(&lease.fence, plan).await;
    ctx.store.release_lease(&lease.fence).await?;
    ensured
}

/// Where clients are to connect, nobody else listens.
pub(crate) async fn free_addresses(machine: &Machine, plan: &Plan) -> Result<(), Failure> {
    let ours = machine.listeners().await;
    let found: Vec<Diagnostic> = plan
        .services
        .iter()
        .filter_map(|change| change.listen.as_ref())
        .filter(|listen| !ours.contains(listen))
        .filter_map(|listen| taken(listen))
        .collect();
    if found.is_empty() {
        Ok(())
    } else {
        Err(Failure::many(ExitCode::Failed, found))
    }
}
