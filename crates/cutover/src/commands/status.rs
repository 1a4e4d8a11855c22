//! `cutover status`: what runs, what waits, and what "go back" means now.

use cutover_engine::load;
use cutover_model::{
    Desired, DesiredRevision, ExitCode, Migration, Plan, Record, StepRouting, Track, UpgradeId, UpgradePhase,
    WayBack, Weight,
};
use cutover_plan::State;
use cutover_ports::{Clock as _, Stable, Store as _, Target as _};
use cutover_spec::Release;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::planning;
use crate::render::{self, Run, Status};
use crate::world::{Machine, SystemClock, controller};

/// How many upgrades are looked through for the last one that succeeded.
const MOST: u32 = 200;

/// An upgrade with its journal.
struct Loaded {
    id: UpgradeId,
    plan: Plan,
    records: Vec<Record>,
    state: State,
}

pub(crate) async fn run(ctx: &Context, machine: &Machine) -> Outcome {
    let current = planning::current(ctx).await?;
    let heads = ctx.store.upgrades(MOST).await?;
    let running = match heads.first().filter(|head| !head.phase.is_final()) {
        Some(head) => Some(loaded(ctx, &head.id).await?),
        None => None,
    };
    let succeeded = match heads.iter().find(|head| head.phase == UpgradePhase::Succeeded) {
        Some(head) => Some(loaded(ctx, &head.id).await?),
        None => None,
    };
    let instances = machine.target.observe().await?;
    let routes = machine.proxy.client().table().await.ok().map(|view| view.table);
    let desired = match (&running, &current) {
        (Some(running), _) => running.state.desired.clone(),
        (None, Some((_, release))) => desired(release),
        (None, None) => Desired::default(),
    };
    let pending: &[Migration] = succeeded.as_ref().map_or(&[], |one| &one.plan.pending_contracts);
    let way_back = running
        .as_ref()
        .or(succeeded.as_ref())
        .map(|one| one.state.way_back(&one.plan));
    let stable = current.as_ref().map(|(stable, _)| stable);
    let holder = match &running {
        Some(_) => controller(&ctx.store).await?,
        None => None,
    };
    let seen = Status {
        application: &ctx.name,
        environment: &ctx.environment,
        stable,
        running: running.as_ref().map(Loaded::run),
        controller: holder.as_ref(),
        desired: &desired,
        instances: &instances,
        routes: routes.as_ref(),
        pending_contracts: pending,
        way_back: way_back.as_ref(),
        now: SystemClock.now(),
    };
    if ctx.printer.is_json() {
        ctx.printer
            .json_pretty(&as_json(ctx, &seen, running.as_ref(), stable, way_back.as_ref()));
    } else {
        ctx.printer.data(&render::status(&seen, ctx.printer.style()));
    }
    Ok(ExitCode::Done)
}

impl Loaded {
    fn run(&self) -> Run<'_> {
        Run {
            id: &self.id,
            plan: &self.plan,
            state: &self.state,
            records: &self.records,
        }
    }
}

async fn loaded(ctx: &Context, id: &UpgradeId) -> Result<Loaded, Failure> {
    let (plan, records, state) = load(&ctx.store, id).await?;
    Ok(Loaded {
        id: id.clone(),
        plan,
        records,
        state,
    })
}

/// What a release that nothing happens to wants.
fn desired(release: &Release) -> Desired {
    let mut desired = Desired::default();
    for (name, revision) in &release.revisions {
        let Some(service) = release.application.services.get(name) else {
            continue;
        };
        let want = DesiredRevision {
            track: Track::Stable,
            replicas: service.replicas,
            weight: service.router.as_ref().map(|_| Weight::ALL),
            routing: StepRouting::default(),
        };
        desired = desired.with(revision, want);
    }
    desired
}

fn as_json(
    ctx: &Context,
    seen: &Status<'_>,
    running: Option<&Loaded>,
    stable: Option<&Stable>,
    way_back: Option<&WayBack>,
) -> serde_json::Value {
    json!({
        "application": ctx.name,
        "environment": ctx.environment,
        "stable": stable,
        "upgrade": running.map(|one| json!({
            "id": one.id,
            "from": one.plan.from,
            "to": one.plan.to,
            "phase": one.state.phase,
            "step": one.state.step(&one.plan).map(|step| json!({"stage": step.stage, "title": step.title})),
            "waiting": one.state.waiting,
            "stuck": one.state.stuck,
            "controller": seen.controller,
        })),
        "desired": seen.desired,
        "instances": seen.instances,
        "routes": seen.routes,
        "pendingContracts": seen.pending_contracts,
        "wayBack": way_back,
    })
}
