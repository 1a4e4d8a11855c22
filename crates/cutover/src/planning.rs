//! From what a person wants to a plan: the release, what is recorded, what is observed, and the pure planner.

use std::collections::BTreeMap;

use cutover_engine::World;
use cutover_model::{
    DatabaseName, DatabaseState, Diagnostic, ExitCode, Instance, Plan, ServiceName, Slot, Version,
};
use cutover_plan::{Goal, PlanInput, Planned};
use cutover_ports::{Databases as _, Stable, Store as _, Target as _};
use cutover_spec::{Release, Target};

use crate::breaks;
use crate::cli::ServiceChoice;
use crate::context::Context;
use crate::failure::Failure;
use crate::lost;
use crate::release::{Key, build, restarted, unchanged};
use crate::world::{self, Machine};

/// A plan, or why there is none, and what is needed to carry it out.
pub(crate) struct Proposal {
    /// What the planner says.
    pub(crate) planned: Planned,
    /// The release to go to.
    pub(crate) release: Release,
    /// The release that is recorded as stable.
    pub(crate) current: Option<Release>,
}

impl Proposal {
    /// What the engine acts on to carry it out.
    pub(crate) fn world(&self, ctx: &Context, machine: &Machine) -> Result<World, Failure> {
        world_of(ctx, machine, &self.release, self.current.as_ref())
    }
}

/// What the engine acts on, on the way from one release to another.
fn world_of(
    ctx: &Context,
    machine: &Machine,
    release: &Release,
    current: Option<&Release>,
) -> Result<World, Failure> {
    let releases: Vec<&Release> = std::iter::once(release).chain(current).collect();
    world::world(ctx, machine, &releases)
}

/// What the engine acts on to go on with a plan that was stored.
pub(crate) async fn world_of_stored(ctx: &Context, machine: &Machine, plan: &Plan) -> Result<World, Failure> {
    let release = stored(ctx, &plan.release).await?;
    let parent = match &plan.parent {
        Some(parent) => Some(stored(ctx, parent).await?),
        None => None,
    };
    world_of(ctx, machine, &release, parent.as_ref())
}

async fn stored(ctx: &Context, id: &cutover_model::ReleaseId) -> Result<Release, Failure> {
    ctx.store.release(id).await?.ok_or_else(|| {
        Failure::new(
            "release.not-stored",
            format!("release {id} is not stored any more"),
            "cutover history",
        )
        .with_exit(ExitCode::Failed)
    })
}

/// The release that is recorded as stable.
pub(crate) async fn current(ctx: &Context) -> Result<Option<(Stable, Release)>, Failure> {
    match ctx.store.stable().await? {
        None => Ok(None),
        Some(stable) => {
            let release = stored(ctx, &stable.release).await?;
            Ok(Some((stable, release)))
        }
    }
}

async fn must_be_deployed(ctx: &Context) -> Result<(Stable, Release), Failure> {
    current(ctx).await?.ok_or_else(|| {
        Failure::new(
            "plan.not-deployed",
            format!("{} is not deployed in {}", ctx.name, ctx.environment),
            "cutover upgrade VERSION",
        )
    })
}

/// To a version, from today's files.
pub(crate) async fn upgrade(
    ctx: &Context,
    machine: &Machine,
    version: &Version,
    services: &[ServiceChoice],
    expected: Option<Version>,
) -> Result<Proposal, Failure> {
    let application = ctx.application()?;
    if application.services.is_empty() {
        return Err(Failure::new(
            "spec.missing-key",
            "there is nothing to upgrade: no service is described, and migrations run without one",
            format!("cutover migrate up --release {version}"),
        ));
    }
    let current = current(ctx).await?;
    let only: Option<Vec<ServiceName>> = services
        .iter()
        .map(|choice| match choice {
            ServiceChoice::All => None,
            ServiceChoice::One(name) => Some(name.clone()),
        })
        .collect();
    let key = Key::open(&ctx.state.key())?;
    let previous = current.as_ref().map(|(_, release)| release);
    let built = build(
        application,
        ctx.folder(),
        &key,
        version,
        previous,
        only.as_deref(),
    );
    let release = match built {
        Ok(release) => release,
        Err(found) => return Err(lost::told(ctx, version, found).await),
    };
    must_not_break(ctx, &release, previous)?;
    // What was built just now is as it lies there; of services that stay as they are nothing was read.
    if only.is_some() {
        let instances = machine.target.observe().await?;
        let all = format!("cutover upgrade {version}");
        must_be_as_released(ctx, &release, &instances, &all)?;
    }
    propose(ctx, machine, Goal::Upgrade, release, current, expected).await
}

/// Refuses files that would break the version that runs while they do.
fn must_not_break(ctx: &Context, release: &Release, current: Option<&Release>) -> Result<(), Failure> {
    let Some(current) = current else { return Ok(()) };
    let dialect = |name: &DatabaseName| {
        world::url(ctx, &release.application, name)
            .ok()
            .map(|url| url.dialect())
    };
    let found = breaks::breaks(release, current, dialect);
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::many(ExitCode::Findings, found))
}

/// What stored revisions are started from: the program files themselves are not kept with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// Only what was released.
    AsReleased,
    /// Whatever lies there now: a person says so.
    AsTheyAre,
}

impl Files {
    /// As `--changed-files` says.
    pub(crate) const fn of(changed: bool) -> Self {
        if changed {
            Self::AsTheyAre
        } else {
            Self::AsReleased
        }
    }
}

/// Refuses to start what is not what was released. What runs already is let alone: a way back to instances that are kept must
/// not fail for what lies on the disk now.
fn must_be_as_released(
    ctx: &Context,
    release: &Release,
    instances: &[Instance],
    instead: &str,
) -> Result<(), Failure> {
    let mut found = Vec::new();
    for (name, revision) in &release.revisions {
        let (Some(service), Some(stored)) = (
            release.application.services.get(name),
            release.artifacts.get(name),
        ) else {
            continue;
        };
        let run = instances.iter().filter(|one| one.revision == *revision).count();
        if run >= service.replicas as usize {
            continue;
        }
        let Target::Process(target) = &service.target;
        if let Err(problem) = unchanged(ctx.folder(), name, target, stored) {
            found.push(if problem.code == "release.changed" {
                problem
                    .note("next", "put the files of the release back")
                    .help(instead)
            } else {
                problem
            });
        }
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(Failure::usage(found))
    }
}

/// Back to an older release, as it was stored.
pub(crate) async fn rollback(
    ctx: &Context,
    machine: &Machine,
    to: Option<&Version>,
    files: Files,
) -> Result<Proposal, Failure> {
    let (stable, current) = must_be_deployed(ctx).await?;
    let succeeded = ctx.store.succeeded().await?;
    let found = match to {
        // Of the current version it is another configuration that is meant.
        Some(version) => succeeded
            .iter()
            .find(|one| one.version == *version && one.release != stable.release),
        None => before(&succeeded, &stable.version),
    };
    let Some(found) = found else {
        let mut known: Vec<&Version> = succeeded.iter().map(|one| &one.version).collect();
        known.sort();
        known.dedup();
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let message = match to {
            Some(version) if *version == stable.version => {
                format!("{version} is what runs, and it has had no other configuration")
            }
            Some(version) => format!("{version} has never succeeded in {}", ctx.environment),
            None => format!(
                "no release before {} has succeeded in {}",
                stable.version, ctx.environment
            ),
        };
        return Err(Diagnostic::error("plan.no-such-release", message)
            .note("succeeded", known.join(", "))
            .help("cutover history")
            .into());
    };
    let release = stored(ctx, &found.release).await?;
    if files == Files::AsReleased {
        let instances = machine.target.observe().await?;
        let again = format!("cutover rollback --to {} --changed-files", release.version);
        must_be_as_released(ctx, &release, &instances, &again)?;
    }
    propose(
        ctx,
        machine,
        Goal::Rollback,
        release,
        Some((stable, current)),
        None,
    )
    .await
}

/// Where a rollback goes that is not told where to.
fn before<'a>(succeeded: &'a [Stable], current: &Version) -> Option<&'a Stable> {
    let older = succeeded.iter().filter(|one| one.version < *current);
    older.max_by(|a, b| a.version.cmp(&b.version))
}

/// New instances of what runs.
pub(crate) async fn restart(
    ctx: &Context,
    machine: &Machine,
    service: Option<&ServiceName>,
    files: Files,
) -> Result<Proposal, Failure> {
    let (stable, current) = must_be_deployed(ctx).await?;
    let services: Vec<ServiceName> = match service {
        Some(name) if !current.revisions.contains_key(name) => {
            let known: Vec<&str> = current.revisions.keys().map(ServiceName::as_str).collect();
            return Err(Diagnostic::error(
                "usage.unknown-service",
                format!("no service named `{name}` is deployed"),
            )
            .note("known", known.join(", "))
            .help("cutover status")
            .into());
        }
        Some(name) => vec![name.clone()],
        None => current.revisions.keys().cloned().collect(),
    };
    let release = restarted(current.clone(), &services, &uuid::Uuid::now_v7().to_string());
    if files == Files::AsReleased {
        let instances = machine.target.observe().await?;
        let again = service.map_or_else(
            || "cutover restart --changed-files".to_owned(),
            |name| format!("cutover restart {name} --changed-files"),
        );
        must_be_as_released(ctx, &release, &instances, &again)?;
    }
    propose(
        ctx,
        machine,
        Goal::Restart(services),
        release,
        Some((stable, current)),
        None,
    )
    .await
}

/// The contract migrations that are pending.
pub(crate) async fn contract(ctx: &Context, machine: &Machine) -> Result<Proposal, Failure> {
    let (stable, current) = must_be_deployed(ctx).await?;
    propose(
        ctx,
        machine,
        Goal::Contract,
        current.clone(),
        Some((stable, current)),
        None,
    )
    .await
}

async fn propose(
    ctx: &Context,
    machine: &Machine,
    goal: Goal,
    release: Release,
    current: Option<(Stable, Release)>,
    expected: Option<Version>,
) -> Result<Proposal, Failure> {
    let succeeded_before = match (&goal, &release.application.requires) {
        (Goal::Upgrade, Some(requires)) => Some(
            ctx.store
                .succeeded_in(&requires.succeeded_in, &release.version)
                .await?,
        ),
        _ => None,
    };
    let slots = match &current {
        Some((stable, _)) => slots(ctx, stable).await?,
        None => BTreeMap::new(),
    };
    let before = match &current {
        Some((stable, _)) => {
            let succeeded = ctx.store.succeeded().await?;
            before(&succeeded, &stable.version).map(|one| one.version.clone())
        }
        None => None,
    };
    let current = current.map(|(_, release)| release);
    let instances = machine.target.observe().await?;
    let databases = observe_databases(ctx, &release, current.as_ref()).await?;
    let planned = cutover_plan::plan(&PlanInput {
        environment: ctx.environment.clone(),
        goal,
        target: &release,
        current: current.as_ref(),
        expected,
        instances: &instances,
        databases: &databases,
        succeeded_before,
        before,
        slots,
    });
    Ok(Proposal {
        planned,
        release,
        current,
    })
}

/// The blue-green slots of what runs: those of the upgrade that made it stable.
async fn slots(ctx: &Context, stable: &Stable) -> Result<BTreeMap<ServiceName, Slot>, Failure> {
    let plan = ctx.store.plan(&stable.upgrade).await?;
    let changes = plan.into_iter().flat_map(|plan| plan.services);
    Ok(changes
        .filter_map(|change| Some((change.service, change.slot?)))
        .collect())
}

/// All databases that the release migrates. One that cannot be observed stops the planning with its own reason.
async fn observe_databases(
    ctx: &Context,
    release: &Release,
    current: Option<&Release>,
) -> Result<BTreeMap<DatabaseName, DatabaseState>, Failure> {
    let releases: Vec<&Release> = std::iter::once(release).chain(current).collect();
    let databases = world::databases(ctx, &releases)?;
    let mut seen = BTreeMap::new();
    let mut wrong = Vec::new();
    for name in release.migrations.keys() {
        match databases.observe(name).await {
            Ok(mut state) => {
                match databases.revision(name).await {
                    Ok(revision) => state.revision = revision,
                    Err(error) => wrong.push(*error.diagnostic),
                }
                wrong.extend(foreign(ctx, name, &state, &release.version));
                seen.insert(name.clone(), state);
            }
            Err(error) => wrong.push(*error.diagnostic),
        }
    }
    if wrong.is_empty() {
        Ok(seen)
    } else {
        Err(Failure::many(ExitCode::Failed, wrong))
    }
}

/// A database that another state migrates is not touched: each would undo what the other relies on.
fn foreign(
    ctx: &Context,
    name: &DatabaseName,
    seen: &DatabaseState,
    version: &Version,
) -> Option<Diagnostic> {
    let owner = seen.owner.as_ref().filter(|owner| *owner != ctx.store.id())?;
    let message = format!("the database {name} belongs to another state");
    let found = Diagnostic::error("fence.foreign-store", message)
        .note("its state", owner.to_string())
        .note("this one", ctx.store.id().to_string())
        .note(
            "only if",
            "that state is lost: whoever still uses it is refused from then on",
        );
    Some(found.help(format!("cutover upgrade {version} --adopt")))
}
