//! `cutover upgrade`, `rollback` and `restart`.

use cutover_model::{Command, UpgradePhase, Version};

use crate::cli::{MigrateWhich, Restart, Rollback, Upgrade};
use crate::context::Context;
use crate::execute::{Place, execute, must_be_free, open_upgrade};
use crate::failure::{Failure, Outcome};
use crate::planning::{self, Files};
use crate::world::Machine;

use super::{migrate, migrate_lease, request};

pub(super) async fn upgrade(ctx: &Context, machine: &Machine, upgrade: Upgrade) -> Outcome {
    must_be_free(ctx).await?;
    if upgrade.adopt {
        adopt(ctx, &upgrade.version).await?;
    }
    let proposal = planning::upgrade(ctx, machine, &upgrade.version, &upgrade.service, upgrade.from).await?;
    execute(ctx, machine, proposal, Place::of(upgrade.detach))
        .await?
        .conclude(ctx)
        .await
}

/// Takes the databases of a release over from whatever state they belong to, because a person says that it is lost.
async fn adopt(ctx: &Context, version: &Version) -> Result<(), Failure> {
    let which = MigrateWhich {
        release: Some(version.clone()),
        database: None,
        service: None,
    };
    let chosen = migrate::choose(ctx, &which).await?;
    migrate_lease::adopt(ctx, &chosen).await
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
    let proposal = planning::rollback(
        ctx,
        machine,
        rollback.to.as_ref(),
        Files::of(rollback.changed_files),
    )
    .await?;
    execute(ctx, machine, proposal, Place::of(rollback.detach))
        .await?
        .conclude(ctx)
        .await
}

pub(super) async fn restart(ctx: &Context, machine: &Machine, restart: Restart) -> Outcome {
    must_be_free(ctx).await?;
    let proposal = planning::restart(
        ctx,
        machine,
        restart.service.as_ref(),
        Files::of(restart.changed_files),
    )
    .await?;
    execute(ctx, machine, proposal, Place::of(restart.detach))
        .await?
        .conclude(ctx)
        .await
}
