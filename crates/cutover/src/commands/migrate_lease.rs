//! Work on databases by hand, with this process's lease: nobody else works with the same state meanwhile, and a database that
//! belongs to another one is taken over only when a person says so.

use std::time::Duration;

use cutover_migrate::{LockPolicy, MigrateDatabases};
use cutover_model::{ExitCode, Fence, Version};
use cutover_ports::{Clock as _, Databases as _, Lease, LeaseError, MigrateOptions, PortError, Store as _};

use crate::context::Context;
use crate::drive::Signals;
use crate::execute::must_be_free;
use crate::failure::Failure;
use crate::world::{LEASE, SystemClock, is_dead, myself, who};

use super::migrate::Chosen;
use super::{confirm, unconfirmed};

/// How often it is asked whether the other one is done.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// By hand, of a release.
pub(super) fn options(release: &Version) -> MigrateOptions {
    MigrateOptions {
        release: release.clone(),
        upgrade: None,
        by: who(),
    }
}

/// Takes the chosen databases over from whatever state they belong to, because a person says that it is lost.
pub(super) async fn adopt(ctx: &Context, chosen: &Chosen) -> Result<(), Failure> {
    let mut foreign = Vec::new();
    for name in &chosen.names {
        let owner = chosen.databases.observe(name).await?.owner;
        if owner.is_some_and(|owner| owner != *ctx.store.id()) {
            foreign.push(name);
        }
    }
    if foreign.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = foreign.iter().map(|name| name.as_str()).collect();
    let question = format!(
        "Take {} over from the state that it belongs to? Whoever still uses that one is refused from now on.",
        named.join(", ")
    );
    if !confirm(&ctx.globals, &ctx.printer, &question) {
        return Err(unconfirmed(
            &ctx.globals,
            "taking a database over shuts its former state out, and nobody said yes",
        ));
    }
    leased(ctx, &chosen.databases, async |fence| {
        for name in &foreign {
            chosen.databases.adopt(fence, name).await?;
        }
        Ok(())
    })
    .await
}

/// Works with this process's lease, which is renewed meanwhile: a migration may take longer than a lease lasts. A signal
/// cancels the statement that runs, and what comes of that is told; a second one leaves at once.
pub(super) async fn leased<T>(
    ctx: &Context,
    databases: &MigrateDatabases,
    work: impl AsyncFnOnce(&Fence) -> Result<T, PortError>,
) -> Result<T, Failure> {
    let lease = lease(ctx).await?;
    let done = renewing(ctx, databases, &lease.fence, work(&lease.fence)).await;
    ctx.store.release_lease(&lease.fence).await?;
    done
}

/// Waits for another migrator with the same state as long as for one with another; for an upgrade not at all.
async fn lease(ctx: &Context) -> Result<Lease, Failure> {
    let patience = LockPolicy::default().wait_for_migrator.as_duration();
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        must_be_free(ctx).await?;
        let asked = ctx
            .store
            .acquire(&myself()?, SystemClock.now(), LEASE, &is_dead)
            .await;
        match asked {
            Err(LeaseError::Held { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            other => return Ok(other?),
        }
    }
}

async fn renewing<T>(
    ctx: &Context,
    databases: &MigrateDatabases,
    fence: &Fence,
    work: impl Future<Output = Result<T, PortError>>,
) -> Result<T, Failure> {
    let mut work = std::pin::pin!(work);
    let mut renewal = tokio::time::interval(LEASE.as_duration() / 3);
    let mut signals = Signals::new()?;
    let mut stopping = false;
    loop {
        tokio::select! {
            done = &mut work => return Ok(done?),
            () = signals.next() => {
                if stopping {
                    return Err(Failure::new(
                        "migrate.stopped",
                        "left before the database answered: it ends by itself what it still runs",
                        "cutover migrate status",
                    ));
                }
                stopping = true;
                databases.stop();
                ctx.printer.talk("stopping: what runs is cancelled; once more to leave at once\n");
            }
            _ = renewal.tick() => {
                ctx.store.renew(fence, SystemClock.now(), LEASE).await?;
            }
        }
    }
}

/// What is deployed has its contracts run where its instances are known.
pub(super) fn deployed(ctx: &Context) -> Failure {
    Failure::new(
        "migrate.deployed",
        format!(
            "{} is deployed in {}: its contracts run under an upgrade's guards",
            ctx.name, ctx.environment
        ),
        "cutover migrate contract",
    )
    .with_exit(ExitCode::Usage)
}
