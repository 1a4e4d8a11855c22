//! `cutover upgrade`, `rollback` and `restart`.

use cutover_model::{Command, UpgradePhase};

use crate::cli::{Restart, Rollback, Upgrade};
use crate::context::Context;
use crate::execute::{Place, execute, must_be_free, open_upgrade};
use crate::failure::Outcome;
use crate::planning;
use crate::world::Machine;

use super::request;

pub(super) async fn upgrade(ctx: &Context, machine: &Machine, upgrade: Upgrade) -> Outcome {
    must_be_free(ctx).await?;
    let proposal = planning::upgrade(ctx, machine, &upgrade.version, &upgrade.service, upgrade.from).await?;
    execute(ctx, machine, proposal, Place::of(upgrade.detach))
        .await?
        .conclude(ctx)
        .await
}

/// While an upgrade has not ended, the way back is its abort; afterwards it is another upgrade.
pub(super) async fn rollback(ctx: &Context, machine: &Machine, rollback: Rollback) -> Outcome {
    if let Some(open) = open_upgrade(ctx).await?
        && open.phase != UpgradePhase::Aborting
        && rollback
            .to
            .as_ref()
            .is_none_or(|to| open.from.as_ref() == Some(to))
    {
        return request::run(ctx, machine, Command::Abort, rollback.why).await;
    }
    must_be_free(ctx).await?;
    let proposal = planning::rollback(ctx, machine, rollback.to.as_ref()).await?;
    execute(ctx, machine, proposal, Place::of(rollback.detach))
        .await?
        .conclude(ctx)
        .await
}

pub(super) async fn restart(ctx: &Context, machine: &Machine, restart: Restart) -> Outcome {
    must_be_free(ctx).await?;
    let proposal = planning::restart(ctx, machine, restart.service.as_ref()).await?;
    execute(ctx, machine, proposal, Place::of(restart.detach))
        .await?
        .conclude(ctx)
        .await
}
