//! From what is wanted and what is there to an ordered list of steps, or to the reasons why not.

use std::collections::BTreeMap;

use cutover_model::{
    Action, DatabaseName, DatabaseState, Desired, DesiredRevision, Diagnostic, Digest, HookPoint, Instance,
    Migration, MigrationPhase, Note, PLAN_FORMAT, Plan, PlanId, PlanReport, ReleaseId, RevisionId,
    ServiceChange, ServiceName, Settings, Slot, Span, Stage, StepId, StepRouting, StrategyKind, Track, Undo,
    UpgradeKind, Version, WayBack, Weight,
};
use cutover_spec::{ContractAfter, Release, Rolling, Strategy};

use crate::compat::incompatible;
use crate::input::{Goal, PlanInput, Planned, Refusal};
use crate::schema::{Contracts, SchemaWork, oldest, schema_work};
use crate::schema_steps::{contract_step, no_way_back, schema_step, titles};
use crate::shape::Shape;
use crate::{runner, strategy, warnings};

/// A plan, or why there is none.
pub fn plan(input: &PlanInput<'_>) -> Planned {
    let target = input.target;
    let initial = initial(input);
    let changes = changes(input);
    let from = input.current.map(|release| release.version.clone());
    let work = schema_work(
        target,
        input.current.and_then(oldest),
        input.databases,
        contracts(input),
        input.goal == Goal::Upgrade && input.current.is_none_or(|release| release.id != target.id),
    );
    let mut report = PlanReport {
        schema: work.report.clone(),
        services: changes.iter().map(|change| service_note(input, change)).collect(),
        ..PlanReport::default()
    };
    let mut problems = version_problems(input);
    problems.extend(work.problems.iter().cloned());
    if input.goal != Goal::Contract {
        problems.extend(incompatible(&changes, input.current, target));
    }
    problems.extend(retired(input));
    if !problems.is_empty() {
        return Planned::Refused(Box::new(Refusal {
            because: problems,
            report,
        }));
    }
    let mut shape = Shape::new(target, from.clone(), initial.clone(), &changes);
    shape.gated = input.goal != Goal::Rollback;
    let last = Shape::last(&changes);
    if is_missing(input, &initial) {
        // What is recorded does not run (it was taken down): the last hold is one even if it wants nothing new.
        shape.now = Desired::default();
    } else if let Some(why) = nothing_to_do(input, &work, &initial, &last) {
        return Planned::Nothing(why);
    }
    let strategy = strategy_of(input);
    report.warnings = warnings::not_ready(input, &initial);
    write(&mut shape, input, &work, &strategy, last, &changes);
    report.warnings.extend(warnings::never_measured(&shape));
    report.about_ms = shape.about_ms;
    report.downtime = shape.downtime;
    if let (Some(text), Some(from)) = (&target.changelog, &from)
        && input.goal != Goal::Contract
    {
        report.changelog = cutover_spec::changelog_between(text, Some(from), &target.version);
    }
    let plan = Plan {
        format: PLAN_FORMAT,
        id: PlanId(Digest::of(b"")),
        application: target.application.application.clone(),
        environment: input.environment.clone(),
        kind: match input.goal {
            Goal::Upgrade | Goal::Restart(_) => UpgradeKind::Upgrade,
            Goal::Rollback => UpgradeKind::Rollback,
            Goal::Contract => UpgradeKind::Contract,
        },
        strategy: match (&input.goal, strategy.kind()) {
            // On the way back there is one switch, whatever the release's own strategy.
            (Goal::Rollback, StrategyKind::Canary | StrategyKind::Rolling) => StrategyKind::BlueGreen,
            (_, kind) => kind,
        },
        parent: input.current.map(|release| release.id.clone()),
        from,
        release: target.id.clone(),
        to: target.version.clone(),
        basis: basis(
            input.current.map(|release| (&release.id, &release.version)),
            input.databases,
            input.instances,
        ),
        initial,
        services: changes,
        steps: shape.steps,
        guards: shape.guards,
        told_on_abort: told_on_abort(input),
        pending_contracts: work.pending,
        settings: Settings {
            auto_rollback: target.application.auto_rollback_on_failure,
            drain_deadline: target.application.drain_deadline,
        },
        report,
    };
    Planned::Plan(Box::new(plan.sealed()))
}

/// What a plan is bound to, a line a fact: the recorded release, the applied migrations and which revisions run.
#[must_use]
pub fn basis(
    current: Option<(&ReleaseId, &Version)>,
    databases: &BTreeMap<DatabaseName, DatabaseState>,
    instances: &[Instance],
) -> Vec<String> {
    let mut facts = vec![current.map_or_else(
        || "no release is recorded".to_owned(),
        |(id, version)| format!("release {version} ({id}) is recorded"),
    )];
    for (name, seen) in databases {
        facts.extend(seen.applied.iter().map(|done| {
            let how = if done.complete {
                "applied"
            } else {
                "applied in part"
            };
            format!("{name}: {} {how}", done.id)
        }));
        facts.extend(seen.revision.iter().map(|at| format!("{name}: at revision {at}")));
    }
    let mut running: Vec<String> = instances
        .iter()
        .map(|one| format!("{} runs", one.revision))
        .collect();
    running.sort();
    running.dedup();
    facts.extend(running);
    facts
}

/// Who is told when an upgrade goes back. A rollback that goes back has told nobody.
fn told_on_abort(input: &PlanInput<'_>) -> Vec<cutover_model::Webhook> {
    let gates = &input.target.application.gates;
    if input.goal == Goal::Rollback {
        return Vec::new();
    }
    gates.hooks_at(HookPoint::Rollback).cloned().collect()
}

/// The state of the recorded release: its revisions with all their traffic.
fn initial(input: &PlanInput<'_>) -> Desired {
    let Some(current) = input.current else {
        return Desired::default();
    };
    let mut desired = Desired::default();
    for (name, revision) in &current.revisions {
        let Some(service) = current.application.services.get(name) else {
            continue;
        };
        let weight = service.router.as_ref().map(|_| Weight::ALL);
        let want = DesiredRevision {
            track: Track::Stable,
            replicas: service.replicas,
            weight,
            routing: StepRouting::default(),
        };
        desired = desired.with(revision, want);
    }
    desired
}

/// What happens to each service, in dependency order; services that go come last.
fn changes(input: &PlanInput<'_>) -> Vec<ServiceChange> {
    let target = input.target;
    let mut changes = Vec::new();
    let header_routes = match &target.application.strategy {
        Strategy::Canary(canary) => canary.header_rules(),
        _ => Vec::new(),
    };
    for name in in_dependency_order(target) {
        let Some(service) = target.application.services.get(&name) else {
            continue;
        };
        let from = input
            .current
            .and_then(|release| release.revisions.get(&name))
            .cloned();
        let to = target.revisions.get(&name).cloned();
        let before = input.slots.get(&name).copied();
        let slot = match (&from, before) {
            (Some(_), Some(slot)) if from == to => slot,
            (Some(_), Some(slot)) => slot.other(),
            (Some(_), None) if from != to => Slot::Green,
            _ => Slot::Blue,
        };
        let blue_green = matches!(target.application.strategy, Strategy::BlueGreen(_));
        changes.push(ServiceChange {
            service: name,
            from,
            to,
            replicas: service.replicas,
            listen: service.router.as_ref().map(|router| router.listen().to_owned()),
            policy: service
                .router
                .as_ref()
                .map(|router| router.policy().clone())
                .unwrap_or_default(),
            header_routes: header_routes.clone(),
            slot: blue_green.then_some(slot),
        });
    }
    if let Some(current) = input.current {
        for (name, revision) in &current.revisions {
            if target.revisions.contains_key(name) {
                continue;
            }
            let listen = current
                .application
                .services
                .get(name)
                .and_then(|one| one.router.as_ref());
            changes.push(ServiceChange {
                service: name.clone(),
                from: Some(revision.clone()),
                to: None,
                replicas: 0,
                listen: listen.map(|router| router.listen().to_owned()),
                policy: listen.map(|router| router.policy().clone()).unwrap_or_default(),
                header_routes: Vec::new(),
                slot: None,
            });
        }
    }
    changes
}

/// Dependencies before those who need them; by name where nothing decides. The spec has no cycle.
fn in_dependency_order(release: &Release) -> Vec<ServiceName> {
    fn visit(name: &ServiceName, release: &Release, order: &mut Vec<ServiceName>, depth: usize) {
        if order.contains(name) || depth > release.application.services.len() {
            return;
        }
        if let Some(service) = release.application.services.get(name) {
            for other in &service.depends_on {
                visit(other, release, order, depth + 1);
            }
            order.push(name.clone());
        }
    }
    let mut order = Vec::new();
    for name in release.application.services.keys() {
        visit(name, release, &mut order, 0);
    }
    order
}

fn service_note(input: &PlanInput<'_>, change: &ServiceChange) -> Note {
    let name = change.service.as_str();
    let size = |n: u32| {
        if n == 1 {
            "1 replica".to_owned()
        } else {
            format!("{n} replicas")
        }
    };
    match (&change.from, &change.to) {
        (None, Some(to)) => Note::new('+', name, to.version.to_string(), size(change.replicas)),
        (Some(from), None) => Note::new('-', name, from.version.to_string(), "not in this release"),
        (Some(from), Some(to)) if from == to => {
            let before = input
                .current
                .and_then(|release| release.application.services.get(&change.service))
                .map_or(change.replicas, |service| service.replicas);
            if before == change.replicas {
                Note::new('=', name, from.version.to_string(), "unchanged")
            } else {
                let what = format!("{} → {}", size(before), change.replicas);
                Note::new('~', name, from.version.to_string(), what)
            }
        }
        (Some(from), Some(to)) if from.version == to.version => {
            let why = match input.goal {
                Goal::Restart(_) => "restart",
                _ => "configuration changed",
            };
            Note::new(
                '~',
                name,
                to.version.to_string(),
                format!("{}, {why}", size(change.replicas)),
            )
        }
        (Some(from), Some(to)) => Note::new(
            '~',
            name,
            format!("{} → {}", from.version, to.version),
            size(change.replicas),
        ),
        (None, None) => Note::new('=', name, "", "not deployed"),
    }
}

fn contracts(input: &PlanInput<'_>) -> Contracts {
    match input.goal {
        Goal::Contract => Contracts::Now,
        Goal::Rollback => Contracts::Never,
        Goal::Upgrade | Goal::Restart(_) => Contracts::By(input.target.application.contract.after),
    }
}

fn strategy_of(input: &PlanInput<'_>) -> Strategy {
    match input.goal {
        // There is nothing new to judge: instance by instance is enough.
        Goal::Restart(_) => Strategy::Rolling(Rolling {
            scale_down_delay: Span::ZERO,
            ..Rolling::default()
        }),
        _ => input.target.application.strategy.clone(),
    }
}

/// Version, channel, path, and what was expected to be there.
fn version_problems(input: &PlanInput<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let target = &input.target.version;
    let spec = &input.target.application;
    let current = input.current.map(|release| &release.version);
    if let Some(expected) = &input.expected
        && current != Some(expected)
    {
        let is = current.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        problems.push(
            Diagnostic::error(
                "plan.expected-version",
                format!("{expected} was expected, but {is} is recorded"),
            )
            .help("cutover status"),
        );
    }
    if let Some(current) = current {
        if input.goal == Goal::Upgrade && target < current {
            problems.push(
                Diagnostic::error("plan.downgrade", format!("{target} is older than {current}"))
                    .help(format!("cutover rollback --to {target}")),
            );
        }
        // The same version with another configuration is a way back as well.
        let another = input.current.is_some_and(|release| release.id != input.target.id);
        if input.goal == Goal::Rollback && (target > current || (target == current && !another)) {
            problems.push(
                Diagnostic::error("plan.not-older", format!("{target} is not older than {current}"))
                    .help(format!("cutover upgrade {target}")),
            );
        }
        if input.goal == Goal::Upgrade
            && target != current
            && let Some(path) = &spec.upgrades_from
            && !semver::VersionReq::parse(path).is_ok_and(|wanted| current.is_one_of(&wanted))
        {
            problems.push(
                Diagnostic::error(
                    "plan.path",
                    format!("{target} can be reached from {path}, not from {current}"),
                )
                .help("cutover history"),
            );
        }
    }
    if input.goal == Goal::Upgrade && target.channel() < spec.channel {
        problems.push(
            Diagnostic::error(
                "plan.channel",
                format!(
                    "{target} is a {} release, and {} takes {} ones",
                    target.channel(),
                    input.environment,
                    spec.channel
                ),
            )
            .help("cutover schema channel"),
        );
    }
    if let (Some(false), Some(requires)) = (input.succeeded_before, &spec.requires) {
        let place = &requires.succeeded_in;
        problems.push(
            Diagnostic::error(
                "plan.not-succeeded",
                format!("{target} has not succeeded in {place}"),
            )
            .help(format!("cutover upgrade {target} --env {place}")),
        );
    }
    problems.extend(observed_problem(input));
    problems
}

/// What runs must be what is recorded, or nothing (after a reboot): anything else was started by somebody else.
fn observed_problem(input: &PlanInput<'_>) -> Option<Diagnostic> {
    let first = input.instances.first()?;
    let Some(current) = input.current else {
        return Some(
            Diagnostic::error(
                "plan.unrecorded",
                format!(
                    "{} {} is running, but no release is recorded",
                    first.revision.service, first.revision.version
                ),
            )
            .help("cutover status"),
        );
    };
    for (service, revision) in &current.revisions {
        let mine: Vec<_> = input
            .instances
            .iter()
            .filter(|one| one.revision.service == *service)
            .collect();
        if !mine.is_empty() && mine.iter().all(|one| one.revision != *revision) {
            let is = &mine[0].revision.version;
            return Some(
                Diagnostic::error(
                    "plan.observed-version",
                    format!("{service} {} is recorded, but {is} is running", revision.version),
                )
                .help("cutover status"),
            );
        }
    }
    None
}

/// I10 and I11: no version is started that a contract has retired.
fn retired(input: &PlanInput<'_>) -> Vec<Diagnostic> {
    let target = &input.target.version;
    // A service that did not change between releases is older than the release.
    let oldest = oldest(input.target).unwrap_or(target);
    let mut problems = Vec::new();
    for (name, seen) in input.databases {
        if let Some(bound) = &seen.retired_below
            && oldest < bound
        {
            problems.push(
                Diagnostic::error(
                    "plan.retired",
                    format!("there is no way back to {target}: {name} has gone through a contract that retires versions below {bound}"),
                )
                .note("what remains", "release a fixed version, or restore a backup and lose what was written since")
                .help("cutover backup list"),
            );
        }
    }
    problems
}

fn nothing_to_do(
    input: &PlanInput<'_>,
    work: &SchemaWork,
    initial: &Desired,
    last: &Desired,
) -> Option<String> {
    let what = &input.target.application.application;
    let version = &input.target.version;
    if !work.is_empty() {
        return None;
    }
    if input.goal == Goal::Contract {
        let waiting: Vec<String> = work.pending.iter().map(|one| waiting(input, one)).collect();
        let why = if waiting.is_empty() {
            String::new()
        } else {
            format!(": {}", waiting.join("; "))
        };
        return Some(format!("no contract migration of {what} is due{why}"));
    }
    // A new version that changes nothing that runs is still recorded.
    let same_version = input.current.is_some_and(|release| release.version == *version);
    (same_version && initial == last).then(|| format!("{what} is on {version}, with this configuration"))
}

/// For whom a contract waits.
fn waiting(input: &PlanInput<'_>, contract: &Migration) -> String {
    let (database, id) = (&contract.database, &contract.id);
    let Some(bound) = &contract.retires else {
        return format!("{database} {id} waits");
    };
    let revisions = input.target.revisions.values();
    let old: Vec<String> = revisions
        .filter(|one| one.version < *bound)
        .map(|one| format!("{} {}", one.service, one.version))
        .collect();
    let who = if old.is_empty() {
        String::new()
    } else {
        format!(", and what is deployed has {}", old.join(", "))
    };
    format!("{database} {id} waits until nothing below {bound} is left{who}")
}

/// Whether fewer instances exist than are recorded, in whatever state.
fn is_missing(input: &PlanInput<'_>, initial: &Desired) -> bool {
    let exist = |revision: &RevisionId| {
        input
            .instances
            .iter()
            .filter(|one| one.revision == *revision)
            .count()
    };
    input.goal == Goal::Upgrade
        && initial
            .0
            .iter()
            .any(|(revision, want)| exist(revision) < want.replicas as usize)
}

fn write(
    shape: &mut Shape<'_>,
    input: &PlanInput<'_>,
    work: &SchemaWork,
    strategy: &Strategy,
    last: Desired,
    changes: &[ServiceChange],
) {
    let untouched = shape.back("nothing is touched yet");
    shape.push_with(
        Stage::Preflight,
        "checks that change nothing".to_owned(),
        Action::Preflight,
        Some(Span::from_mins(2)),
        Undo::Nothing("it only looks".to_owned()),
        untouched.clone(),
    );
    shape.gates_before_all(&untouched);
    backups(shape, input, work, &untouched);
    for (database, migrations) in &work.reopened {
        schema_step(shape, database, MigrationPhase::Backfill, migrations);
    }
    for (database, migrations) in &work.overdue {
        let back = shape.back("stop; the current version lives with it");
        let undo = Undo::Nothing("the current version lives with it".to_owned());
        contract_step(shape, database, migrations, undo, back);
    }
    for (database, phase, migrations) in &work.before {
        match work.runners.get(database) {
            Some(run) => runner::step(shape, run),
            None => schema_step(shape, database, *phase, migrations),
        }
    }
    let tail = match input.goal {
        Goal::Contract => None,
        Goal::Rollback => Some(strategy::write_rollback(shape, strategy)),
        Goal::Upgrade | Goal::Restart(_) => {
            (!shape.movers.is_empty()).then(|| strategy::write(shape, strategy, input.current.is_none()))
        }
    };
    let shifted = StepId(shape.next_id().0 - 1);
    if let Some(tail) = tail
        && tail.soak > Span::ZERO
    {
        let (title, by) = match &shape.from {
            Some(from) if tail.kept => (
                format!("{from} kept {}", tail.soak),
                "switch back at once, while the old revision is kept",
            ),
            _ => (format!("watched {}", tail.soak), strategy::RESTART_OLD),
        };
        let back = shape.back(by);
        shape.about_ms += tail.soak.as_millis();
        shape.push(Stage::Soak, title, Action::Soak { duration: tail.soak }, back);
    }
    let covered = StepId(shape.next_id().0 - 1);
    for guard in shape
        .guards
        .iter_mut()
        .filter(|guard| guard.until == strategy::OPEN)
    {
        guard.until = covered.max(shifted);
    }
    if input.goal != Goal::Contract {
        retire(shape, last, tail.is_some_and(|tail| tail.kept));
        reopen(shape, input);
    }
    finish(shape, input, work, changes);
    runner::lengthen_ways_back(&mut shape.steps);
}

fn backups(shape: &mut Shape<'_>, input: &PlanInput<'_>, work: &SchemaWork, back: &WayBack) {
    if !input.target.application.backup.before_migrate {
        return;
    }
    for database in work.databases() {
        let Some(seen) = input.databases.get(&database) else {
            continue;
        };
        // A database that has never been migrated and holds nothing has nothing to lose.
        if seen.applied.is_empty() && seen.size.unwrap_or(0) == 0 {
            continue;
        }
        shape.about_ms += 1_000 + seen.size.unwrap_or(0) / 50_000;
        shape.push_with(
            Stage::Backup,
            format!("{database}, verified"),
            Action::Backup {
                database: database.clone(),
            },
            Some(Span::from_hours(6)),
            Undo::Nothing("a backup is kept".to_owned()),
            back.clone(),
        );
    }
}

/// The old revision is drained and removed; replicas that changed without a new revision change here.
fn retire(shape: &mut Shape<'_>, last: Desired, kept: bool) {
    let to = &shape.target.version;
    let (stage, title, by) = match &shape.from {
        _ if shape.movers.is_empty() => (
            Stage::Launch,
            "instances as the release wants them".to_owned(),
            "as many instances as before".to_owned(),
        ),
        Some(from) => {
            let by = format!("relaunch {from}, then switch back");
            let title = if kept && from != to {
                format!("{from} drained and removed, {to} is stable")
            } else {
                format!("{to} is stable")
            };
            (Stage::Retire, title, by)
        }
        None => (
            Stage::Retire,
            format!("{to} is stable"),
            "remove the candidate".to_owned(),
        ),
    };
    let back = shape.back(&by);
    shape.hold(stage, title, last, back);
}

/// A rollback without sync leaves rows that the old version writes without filling in.
fn reopen(shape: &mut Shape<'_>, input: &PlanInput<'_>) {
    if input.goal != Goal::Rollback {
        return;
    }
    let Some(current) = input.current else { return };
    for (database, migrations) in &current.migrations {
        let kept = input.target.migrations.get(database);
        let Some(seen) = input.databases.get(database) else {
            continue;
        };
        let open: Vec<Migration> = migrations
            .iter()
            .filter(|one| one.phase == MigrationPhase::Backfill && seen.has(&one.id))
            .filter(|one| kept.is_none_or(|kept| kept.iter().all(|other| other.id != one.id)))
            .cloned()
            .collect();
        if open.is_empty() {
            continue;
        }
        let back = shape.back("upgrade again");
        let title = format!("{database}: {} counts as pending again", titles(&open));
        let action = Action::Reopen {
            database: database.clone(),
            migrations: open,
        };
        shape.push(Stage::Back, title, action, back);
    }
}

fn finish(shape: &mut Shape<'_>, input: &PlanInput<'_>, work: &SchemaWork, changes: &[ServiceChange]) {
    if !work.contract.is_empty() {
        if input.goal != Goal::Contract
            && let ContractAfter::Duration(after) = input.target.application.contract.after
            && after > Span::ZERO
        {
            let by = shape.from.as_ref().map_or_else(
                || "remove it".to_owned(),
                |from| format!("relaunch {from}, then switch back"),
            );
            let back = shape.back(&by);
            shape.about_ms += after.as_millis();
            shape.push(
                Stage::Soak,
                format!("{after} before the contract"),
                Action::Soak { duration: after },
                back,
            );
        }
        if input.goal != Goal::Contract {
            let back = shape.back("the contract has not begun; relaunch the old version");
            shape.window_before_shift(&back);
        }
        for (database, migrations) in &work.contract {
            let reason = no_way_back(migrations);
            let undo = Undo::Impossible(reason.clone());
            contract_step(shape, database, migrations, undo, WayBack::None { reason });
        }
    }
    if input.goal == Goal::Contract {
        if let Some(way_back) = shape.steps.last().map(|step| step.way_back.clone()) {
            shape.call(HookPoint::PostRollout, &way_back);
        }
        return;
    }
    let contracted = !work.contract.is_empty();
    let way_back = if contracted {
        WayBack::None {
            reason: "the contract is done; roll forward or restore".to_owned(),
        }
    } else {
        let by = match &shape.from {
            Some(from) if *from > shape.target.version => {
                format!("relaunch {from}, by `cutover upgrade {from}`")
            }
            Some(from) if *from < shape.target.version => format!("relaunch {from}, by `cutover rollback`"),
            Some(_) if matches!(input.goal, Goal::Restart(_)) => match &input.before {
                Some(before) => format!("relaunch {before}, by `cutover rollback`"),
                None => "it is the same version and configuration".to_owned(),
            },
            Some(from) => format!("the former configuration, by `cutover rollback --to {from}`"),
            None => "it is the first release".to_owned(),
        };
        match shape.back(&by) {
            // A restart leaves what there was to go back to.
            WayBack::To { by, .. } if matches!(input.goal, Goal::Restart(_)) && input.before.is_some() => {
                WayBack::To {
                    version: input.before.clone(),
                    by,
                }
            }
            back => back,
        }
    };
    let heard = if shape.gated {
        HookPoint::PostRollout
    } else {
        HookPoint::Rollback
    };
    shape.call(heard, &way_back);
    let moved = changes.iter().filter(|change| change.from != change.to).count();
    let title = if moved == 0 {
        format!("{} recorded; nothing that runs has changed", shape.target.version)
    } else {
        format!("{} recorded as stable", shape.target.version)
    };
    // Undone by recording nothing: the promotion is the last step, and what follows it is another upgrade.
    shape.push_with(
        Stage::Promote,
        title,
        Action::Promote,
        None,
        Undo::Nothing("the last step".to_owned()),
        way_back,
    );
}
