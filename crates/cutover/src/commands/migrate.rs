//! `cutover migrate`: migrations by hand, with the same lease, fence and history as an upgrade's.

use std::collections::{BTreeMap, BTreeSet};

use cutover_migrate::{
    Direction, MigrateDatabases, MigrationStatus, Reach, StatusLine, is_settled, new_files,
};
use cutover_model::{
    DatabaseName, Diagnostic, ExitCode, Fence, MigrationId, MigrationPhase, ServiceName, Severity, Version,
};
use cutover_ports::{Databases as _, MigrateOptions, MigrationReport, PortError, Store as _, Target as _};
use cutover_spec::{Application, Release};
use serde_json::json;

use crate::breaks;
use crate::cli::{Migrate, MigrateDown, MigrateNew, MigrateUp, MigrateWhich, ServiceChoice};
use crate::context::Context;
use crate::execute::{Place, execute, must_be_free};
use crate::failure::{Failure, Outcome};
use crate::lookup::Lookup;
use crate::lost;
use crate::planning;
use crate::release::{self, hints, migrations, sifted_migrations};
use crate::render;
use crate::world::{self, Machine};

use super::migrate_lease::{adopt, deployed, leased, options};
use super::migrate_ran::Ran;
use super::{confirm, migrate_records as records, migrate_schema as schema, unconfirmed};

pub(super) async fn run(ctx: &Context, machine: &Machine, command: Migrate) -> Outcome {
    let (release, can_adopt) = (command.release().cloned(), command.can_adopt());
    let done = Box::pin(carry_out(ctx, machine, command)).await;
    done.map_err(|mut failure| {
        hints::place(ctx, release.as_ref(), &mut failure.found);
        let failure = if can_adopt {
            with_adopt(failure, &ctx.globals.again)
        } else {
            failure
        };
        match release {
            Some(version) => of_release(failure, &version),
            None => failure,
        }
    })
}

/// The hints of a command are for the same command, and for the release that it was told.
pub(super) fn of_release(mut failure: Failure, version: &Version) -> Failure {
    told_of(&mut failure.found, version);
    failure
}

fn told_of(found: &mut [Diagnostic], version: &Version) {
    for help in found.iter_mut().filter_map(|found| found.help.as_mut()) {
        let commands: Vec<String> = help
            .split(", or ")
            .map(|command| Migrate::of_release(command, version))
            .collect();
        *help = commands.join(", or ");
    }
}

async fn carry_out(ctx: &Context, machine: &Machine, command: Migrate) -> Outcome {
    match command {
        Migrate::New(new) => write_new(ctx, &new).await,
        Migrate::Up(up) => Box::pin(migrate_up(ctx, &up)).await,
        Migrate::Down(down) => Box::pin(migrate_down(ctx, machine, &down)).await,
        Migrate::Status(which) => status(ctx, &which).await,
        Migrate::Validate(which) => validate(ctx, &which).await,
        Migrate::Diff(which) => schema::diff(ctx, &which).await,
        Migrate::Sql(sql) => records::sql(ctx, &sql).await,
        Migrate::History(which) => records::history(ctx, &which).await,
        Migrate::Baseline(baseline) => records::baseline(ctx, &baseline).await,
        Migrate::Repair(repair) => records::repair(ctx, &repair).await,
        Migrate::Lint(lint) => super::lint::run(&ctx.globals, &ctx.printer, &lint).await,
        Migrate::Rules { rule, page } => super::lint::rules(&ctx.printer, rule.as_deref(), page),
        Migrate::Contract { detach } => {
            must_be_free(ctx).await?;
            let proposal = planning::contract(ctx, machine).await.map_err(by_hand)?;
            execute(ctx, machine, proposal, Place::of(detach))
                .await?
                .conclude(ctx)
                .await
        }
    }
}

/// Where nothing is deployed, contracts run by hand.
fn by_hand(mut failure: Failure) -> Failure {
    for found in failure
        .found
        .iter_mut()
        .filter(|found| found.code == "plan.not-deployed")
    {
        found.help = Some("cutover migrate up --contracts --release VERSION".to_owned());
    }
    failure
}

/// Whose files count, and the databases that are meant.
pub(super) struct Chosen {
    pub(super) version: Version,
    pub(super) databases: MigrateDatabases,
    pub(super) names: Vec<DatabaseName>,
    /// Whether a release is recorded as stable.
    pub(super) deployed: bool,
    /// What is wrong with files of theirs, which are not among those that can be run.
    pub(super) wrong: world::Wrong,
}

impl Chosen {
    /// The command that runs contracts.
    fn contracts(&self) -> String {
        if self.deployed {
            "cutover migrate contract".to_owned()
        } else {
            format!("cutover migrate up --contracts --release {}", self.version)
        }
    }

    /// What is wrong with files that are not needed.
    fn warnings(&self) -> Vec<Diagnostic> {
        self.names
            .iter()
            .flat_map(|name| self.warnings_of(name))
            .collect()
    }

    /// The same, of one database.
    pub(super) fn warnings_of(&self, name: &DatabaseName) -> Vec<Diagnostic> {
        let all = self.wrong.get(name).into_iter().flatten().cloned();
        all.map(|found| Diagnostic {
            severity: Severity::Warning,
            ..found
        })
        .collect()
    }

    /// Tells a person of them.
    pub(super) fn warn(&self, ctx: &Context) {
        let found = self.warnings();
        if !found.is_empty() {
            let style = ctx.printer.talk_style();
            ctx.printer.talk(&render::diagnostics(&found, &style));
        }
    }
}

/// The files that count, all of them sound.
pub(super) async fn choose(ctx: &Context, which: &MigrateWhich) -> Result<Chosen, Failure> {
    let chosen = choose_sound(ctx, which).await?;
    if chosen.wrong.is_empty() {
        return Ok(chosen);
    }
    Err(Failure::usage(chosen.wrong.into_values().flatten().collect()))
}

/// Those of the files that are sound, for what is needed when something is wrong: a fault in one is told beside.
pub(super) async fn choose_sound(ctx: &Context, which: &MigrateWhich) -> Result<Chosen, Failure> {
    let current = planning::current(ctx).await?.map(|(_, release)| release);
    let known: Vec<&Release> = current.iter().collect();
    let (mut databases, mut wrong) = world::sifted_databases(ctx, &known)?;
    let (version, names): (_, BTreeSet<DatabaseName>) = match (&which.release, &current) {
        (Some(version), _) => {
            let found = sifted_migrations(ctx.application()?, ctx.folder(), version);
            let found = found.map_err(Failure::usage)?;
            let mut names: BTreeSet<DatabaseName> = found.keys().cloned().collect();
            let at = ctx.application()?.at_version(version);
            for (name, database) in &at.databases {
                if let Some(runner) = &database.runner {
                    let tool = world::tool(ctx, &at, version, name, database, runner)?;
                    let lookup = Lookup::new(ctx.folder(), &at);
                    let url = release::database_url(ctx.folder(), &lookup, name, &database.url)?;
                    databases = databases.with_tool(name.clone(), url, tool);
                    names.insert(name.clone());
                }
            }
            for (name, set) in found {
                let faults = lost::known(ctx, version, set.read.all_wrong()).await;
                databases = databases
                    .with_chosen(name.clone(), set.url, set.read.sound)
                    .with_faulty(&name, set.read.faulty, set.read.wrong)
                    .with_placeholders(&name, set.placeholders);
                if let Some(database) = at.databases.get(&name) {
                    databases = databases.with_policy(&name, world::policy(database));
                }
                // What is wrong with the files that were stored is no matter any more.
                wrong.remove(&name);
                if !faults.is_empty() {
                    wrong.insert(name, faults);
                }
            }
            (version.clone(), names)
        }
        (None, Some(current)) => (
            current.version.clone(),
            current.migrations.keys().cloned().collect(),
        ),
        (None, None) => {
            return Err(Failure::new(
                "migrate.no-release",
                "nothing is deployed: say whose files count",
                "cutover migrate status --release VERSION",
            ));
        }
    };
    let names = narrowed(ctx, which, names, current.as_ref())?;
    wrong.retain(|name, _| names.contains(name));
    Ok(Chosen {
        version,
        databases,
        names,
        deployed: current.is_some(),
        wrong,
    })
}

/// The databases that are meant, as far as they can be reached: no file of theirs is looked at.
pub(super) async fn reachable(
    ctx: &Context,
    which: &MigrateWhich,
) -> Result<(MigrateDatabases, Vec<DatabaseName>), Failure> {
    let current = planning::current(ctx).await?.map(|(_, release)| release);
    let (databases, names) = match (&which.release, &current) {
        (None, Some(current)) => world::addresses(ctx, &current.application, current.files.keys())?,
        _ => {
            let application = ctx.application()?;
            let migrated = application
                .databases
                .iter()
                .filter(|(_, database)| database.migrations.is_some() || database.runner.is_some());
            world::addresses(ctx, application, migrated.map(|(name, _)| name))?
        }
    };
    let names = narrowed(ctx, which, names, current.as_ref())?;
    Ok((databases, names))
}

/// Those of the databases that the words of the command name.
fn narrowed(
    ctx: &Context,
    which: &MigrateWhich,
    names: BTreeSet<DatabaseName>,
    current: Option<&Release>,
) -> Result<Vec<DatabaseName>, Failure> {
    let names = match &which.database {
        None => names.into_iter().collect(),
        Some(name) if names.contains(name) => vec![name.clone()],
        Some(name) => {
            let known: Vec<&str> = names.iter().map(DatabaseName::as_str).collect();
            return Err(Diagnostic::error(
                "usage.unknown-database",
                format!("there is no database named `{name}`"),
            )
            .note("known", known.join(", "))
            .help("cutover check")
            .into());
        }
    };
    match (&which.service, &which.release, current) {
        (None | Some(ServiceChoice::All), ..) => Ok(names),
        (Some(ServiceChoice::One(service)), None, Some(current)) => {
            of_service(&current.application, service, names)
        }
        (Some(ServiceChoice::One(service)), ..) => of_service(ctx.application()?, service, names),
    }
}

/// Those databases that a service says it uses.
fn of_service(
    application: &Application,
    name: &ServiceName,
    mut names: Vec<DatabaseName>,
) -> Result<Vec<DatabaseName>, Failure> {
    let Some(service) = application.services.get(name) else {
        let known: Vec<&str> = application.services.keys().map(ServiceName::as_str).collect();
        return Err(Diagnostic::error(
            "usage.unknown-service",
            format!("there is no service named `{name}`"),
        )
        .note("known", known.join(", "))
        .help("cutover check")
        .into());
    };
    names.retain(|database| service.databases.contains(database));
    if names.is_empty() {
        return Err(Failure::new(
            "usage.unknown-database",
            format!("service {name} says of no database with migrations that it uses it"),
            format!("cutover schema services.{name}.databases"),
        ));
    }
    Ok(names)
}

async fn status(ctx: &Context, which: &MigrateWhich) -> Outcome {
    let mut chosen = choose_sound(ctx, which).await?;
    if let Some(version) = &which.release {
        for found in chosen.wrong.values_mut() {
            told_of(found, version);
        }
    }
    let mut all = Vec::new();
    for name in &chosen.names {
        let seen = chosen.databases.observe(name).await?;
        let revision = chosen.databases.revision(name).await?;
        let tool = chosen.databases.tool(name).map(|tool| (tool, revision));
        all.push((name, seen, tool, chosen.databases.status(name).await?));
    }
    if ctx.printer.is_json() {
        let value: Vec<_> = all
            .iter()
            .map(|(name, seen, tool, lines)| {
                json!({
                    "runner": tool.as_ref().map(|(tool, _)| tool),
                    "revision": tool.as_ref().and_then(|(_, revision)| revision.as_ref()).map(|at| &at.text),
                    "database": name,
                    "server": seen.server,
                    "size": seen.size,
                    "retiredBelow": seen.retired_below,
                    "migrations": lines,
                    "findings": chosen.wrong.get(name).map_or(&[][..], Vec::as_slice),
                })
            })
            .collect();
        ctx.printer.json_pretty(&value);
    } else {
        for (name, seen, tool, lines) in &all {
            ctx.printer.data(&format!(
                "{name} ({}), files of {}\n",
                seen.server, chosen.version
            ));
            if let Some(bound) = &seen.retired_below {
                ctx.printer
                    .data(&format!("  versions below {bound} are retired\n"));
            }
            if let Some((tool, revision)) = tool {
                let at = revision.as_ref().map_or_else(
                    || "it does not say where the schema is".to_owned(),
                    |at| format!("the schema is at {at}"),
                );
                ctx.printer.data(&format!("  {tool}: {at}\n"));
            }
            for line in lines {
                ctx.printer.told(&text(line));
            }
        }
        let found: Vec<_> = chosen.wrong.values().flatten().cloned().collect();
        if !found.is_empty() {
            let style = ctx.printer.talk_style();
            ctx.printer.talk(&render::some_diagnostics(&found, &style));
        }
    }
    let mut wrong = chosen.wrong.values().flatten();
    Ok(if wrong.any(|found| found.severity == Severity::Error) {
        ExitCode::Findings
    } else {
        ExitCode::Done
    })
}

/// A command that was refused because the database belongs to another state can take it over itself.
fn with_adopt(mut failure: Failure, again: &str) -> Failure {
    let is_hint = |help: &String| help.ends_with("--adopt");
    for found in failure
        .found
        .iter_mut()
        .filter(|found| found.code == "fence.stale")
    {
        if found.help.as_ref().is_some_and(is_hint) {
            found.help = Some(format!("{again} --adopt"));
        }
    }
    failure
}

fn text(line: &StatusLine) -> String {
    let (mark, state) = match &line.status {
        MigrationStatus::Applied => ('✓', "applied".to_owned()),
        MigrationStatus::Pending => ('+', "pending".to_owned()),
        MigrationStatus::Waiting { retires } => ('·', format!("waits until nothing below {retires} is left")),
        MigrationStatus::Interrupted {
            direction,
            done,
            total,
        } => ('!', halfway(*direction, *done, *total, line.rows)),
        MigrationStatus::Reopened { since } => ('!', format!("to run once more, since {since:.0}")),
        MigrationStatus::Changed => ('✗', "its file was changed since it was applied".to_owned()),
        MigrationStatus::Unknown => ('?', "applied; there is no file of it here".to_owned()),
        MigrationStatus::Renamed { from } => ('✗', format!("applied as {from}; its file has another name")),
        MigrationStatus::OutOfOrder => ('✗', "pending below a number that is applied".to_owned()),
    };
    let (mark, state) = match (&line.fault, &line.status) {
        (None, _) => (mark, state),
        (Some(fault), MigrationStatus::Interrupted { direction, done, .. }) => {
            let far = so_far(*direction, *done, None, line.rows);
            ('✗', format!("{far}; its file is wrong: {}", fault.code))
        }
        (Some(fault), _) => ('✗', format!("{state}; its file is wrong: {}", fault.code)),
    };
    let by = match (&line.applied_at, &line.applied_by) {
        (Some(at), Some(by)) => format!("  {at:.0} by {by}"),
        _ => String::new(),
    };
    format!(
        "  {mark} {:<30} {:<9} {state}{by}\n",
        line.id.to_string(),
        line.phase.map_or("?", MigrationPhase::word)
    )
}

/// How far a file came that is neither applied nor taken back, and how it goes on.
fn halfway(direction: Direction, done: usize, total: Option<usize>, rows: Option<u64>) -> String {
    let said = so_far(direction, done, total, rows);
    match (total, direction) {
        (None, _) => format!("{said}; there is no file of it here"),
        (Some(_), Direction::Up) => format!("{said}; `cutover migrate up` goes on"),
        (Some(_), Direction::Down) => format!("{said}; `cutover migrate down` goes on"),
    }
}

/// How far a file came that is neither applied nor taken back.
pub(super) fn so_far(direction: Direction, done: usize, total: Option<usize>, rows: Option<u64>) -> String {
    let of = total.map_or_else(String::new, |total| format!(" of {total}"));
    match direction {
        Direction::Up if let Some(rows) = rows => {
            format!(
                "interrupted: batches have changed {} so far",
                render::count(rows, "row")
            )
        }
        Direction::Up => format!("interrupted: {done}{of} statements applied"),
        Direction::Down => format!("being taken back: {done}{of} statements of its way down done"),
    }
}

async fn validate(ctx: &Context, which: &MigrateWhich) -> Outcome {
    let chosen = choose(ctx, which).await?;
    let mut found = Vec::new();
    for name in &chosen.names {
        found.extend(chosen.databases.check(name).await);
    }
    found.extend(breaking(ctx, which, &chosen.names).await?);
    if !found.iter().any(|one| one.severity == Severity::Error) {
        for name in &chosen.names {
            found.extend(chosen.databases.examine(name, false, None).await?);
        }
    }
    if found.iter().any(|one| one.severity == Severity::Error) {
        return Err(Failure::many(ExitCode::Findings, found));
    }
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&json!({ "findings": found }));
    } else {
        let style = ctx.printer.talk_style();
        ctx.printer.talk(&render::some_diagnostics(&found, &style));
        ctx.printer.data(&format!(
            "  ✓ files of {} and history fit together\n",
            chosen.version
        ));
    }
    Ok(ExitCode::Done)
}

/// What files of a release would break of the one that is deployed.
async fn breaking(
    ctx: &Context,
    which: &MigrateWhich,
    names: &[DatabaseName],
) -> Result<Vec<Diagnostic>, Failure> {
    let (Some(version), Some((_, current))) = (&which.release, planning::current(ctx).await?) else {
        return Ok(Vec::new());
    };
    let application = ctx.application()?;
    let sets = migrations(application, ctx.folder(), version).map_err(Failure::usage)?;
    let mut found = Vec::new();
    for name in names {
        if let (Some(old), Some(new)) = (current.files.get(name), sets.get(name)) {
            let allowed = breaks::allowed(application, name, version);
            let dialect = new.url.dialect();
            found.extend(breaks::of_database(name, dialect, old, &new.files, allowed));
        }
    }
    Ok(found)
}

/// Whether bytes alone tell that there is nothing to do: only of a release's own files, where nothing else is deployed whose files
/// count as well.
async fn settled(ctx: &Context, up: &MigrateUp) -> Result<bool, Failure> {
    let Some(version) = &up.which.release else {
        return Ok(false);
    };
    let asks_more = up.to.is_some() || up.adopt || up.which.database.is_some() || up.which.service.is_some();
    if asks_more || ctx.store.stable().await?.is_some() {
        return Ok(false);
    }
    let at = ctx.application()?.at_version(version);
    let lookup = Lookup::new(ctx.folder(), &at);
    for (name, database) in &at.databases {
        if database.runner.is_some() {
            return Ok(false);
        }
        let Some(place) = &database.migrations else {
            continue;
        };
        let Ok(url) = release::database_url(ctx.folder(), &lookup, name, &database.url) else {
            return Ok(false);
        };
        if !is_settled(name, &url, ctx.folder().join(place)).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn migrate_up(ctx: &Context, up: &MigrateUp) -> Outcome {
    if settled(ctx, up).await? {
        return Ran::default().conclude(ctx, "");
    }
    let chosen = choose(ctx, &up.which).await?;
    if up.contracts && chosen.deployed {
        return Err(deployed(ctx));
    }
    if up.adopt {
        adopt(ctx, &chosen).await?;
    }
    let reach = match (up.to, up.steps) {
        (Some(number), _) => Reach::To(number),
        (None, Some(steps)) => Reach::Steps(steps),
        (None, None) => Reach::All,
    };
    // Most runs find nothing to do: they take no lease, and look at each database once.
    let mut nothing = true;
    let mut ran = Ran::default();
    let mut contracts = Vec::new();
    for name in &chosen.names {
        let pending = chosen.databases.pending(name, reach, up.contracts).await?;
        // What is pending of another tool's is its own to know.
        nothing &= pending.run.is_empty() && chosen.databases.tool(name).is_none();
        let retiring = pending.run.iter().filter_map(|file| {
            let retires = file.migration.retires.as_ref()?;
            Some(format!("{name} {} (below {retires})", file.migration.id))
        });
        contracts.extend(retiring);
        ran.wait_for(name, pending);
    }
    if nothing {
        return ran.conclude(ctx, &chosen.contracts());
    }
    let question = format!(
        "Run {}? Nothing is deployed from here, so nobody can tell whether such versions still run somewhere: they are refused \
         from then on, and there is no way back.",
        contracts.join(", ")
    );
    if !contracts.is_empty() && !confirm(&ctx.globals, &ctx.printer, &question) {
        return Err(unconfirmed(
            &ctx.globals,
            "a contract shuts older versions out, and nobody said yes",
        ));
    }
    let mut ran = under_lease(ctx, &chosen, async |fence, name, options, done| {
        // Where something is deployed, contracts have guards that only an upgrade's plan knows: `migrate contract`.
        chosen
            .databases
            .migrate_up(fence, name, reach, up.contracts, options, done)
            .await
    })
    .await?;
    if ran.failed.is_none()
        && let Err(failure) = look_over(&chosen, reach, &mut ran).await
    {
        ran.failed = Some(failure);
    }
    ran.conclude(ctx, &chosen.contracts())
}

/// What is wrong with the databases afterwards, and what waits.
async fn look_over(chosen: &Chosen, reach: Reach, ran: &mut Ran) -> Result<(), Failure> {
    for name in &chosen.names {
        let own = ran
            .done
            .iter()
            .filter(|(of, report)| of == name && !report.already);
        let files: Vec<MigrationId> = own.map(|(_, report)| report.id.clone()).collect();
        let all = reach == Reach::All;
        let found = chosen.databases.examine(name, all, Some(&files)).await?;
        ran.findings.extend(found);
        let pending = chosen.databases.pending(name, Reach::All, false).await?;
        ran.wait_for(name, pending);
    }
    Ok(())
}

/// Instances of what is deployed whose release brings one of these files, and whose service may use its database.
///
/// Who runs is asked of the targets, as before a contract: a file of a release is part of what its instances stand on.
async fn users(
    ctx: &Context,
    machine: &Machine,
    back: &[(DatabaseName, MigrationId)],
) -> Result<Vec<String>, Failure> {
    let Some((_, release)) = planning::current(ctx).await? else {
        return Ok(Vec::new());
    };
    let brings = |database: &DatabaseName, id: &MigrationId| {
        let own = release.migrations.get(database);
        own.is_some_and(|own| own.iter().any(|migration| migration.id == *id))
    };
    let touched: BTreeSet<&DatabaseName> = back
        .iter()
        .filter(|(database, id)| brings(database, id))
        .map(|(database, _)| database)
        .collect();
    if touched.is_empty() {
        return Ok(Vec::new());
    }
    // A service that names no database may use any.
    let uses = |name: &ServiceName| {
        let service = release.application.services.get(name);
        service.is_none_or(|service| {
            service.databases.is_empty() || service.databases.iter().any(|one| touched.contains(one))
        })
    };
    let instances = machine.target.observe().await?;
    let of_it = instances.iter().filter(|instance| {
        let revision = &instance.revision;
        release.revisions.get(&revision.service) == Some(revision) && uses(&revision.service)
    });
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for instance in of_it {
        let revision = &instance.revision;
        *counted
            .entry(format!("{} {}", revision.service, revision.version))
            .or_default() += 1;
    }
    Ok(counted
        .into_iter()
        .map(|(revision, count)| format!("{revision} ×{count}"))
        .collect())
}

async fn migrate_down(ctx: &Context, machine: &Machine, down: &MigrateDown) -> Outcome {
    let chosen = choose_sound(ctx, &down.which).await?;
    if down.adopt {
        adopt(ctx, &chosen).await?;
    }
    let reach = match (down.to, down.all) {
        (Some(number), _) => Reach::To(number),
        (None, true) => Reach::All,
        (None, false) => Reach::Steps(down.steps.unwrap_or(1)),
    };
    let mut back = Vec::new();
    for name in &chosen.names {
        for file in chosen.databases.applied(name, reach).await? {
            back.push((name.clone(), file.migration.id.clone()));
        }
    }
    if back.is_empty() {
        return Ran::finding(chosen.warnings()).conclude(ctx, &chosen.contracts());
    }
    let users = users(ctx, machine, &back).await?;
    let back: Vec<String> = back.iter().map(|(name, id)| format!("{name} {id}")).collect();
    let back = back.join(", ");
    if !users.is_empty() && !down.in_use {
        return Err(Diagnostic::error(
            "migrate.in-use",
            format!("{back} would be taken away under the release that runs"),
        )
        .note("runs", users.join(", "))
        .note(
            "next",
            "go back to the release before first: cutover rollback; or take down what runs: cutover down",
        )
        .help(format!("{} --in-use", ctx.globals.again))
        .into());
    }
    let running = if users.is_empty() {
        String::new()
    } else {
        format!(" {} run with it.", users.join(", "))
    };
    let question = format!("Take back {back}? What they hold is lost.{running}");
    if !confirm(&ctx.globals, &ctx.printer, &question) {
        return Err(unconfirmed(
            &ctx.globals,
            "taking a migration back loses what it holds, and nobody said yes",
        ));
    }
    let mut ran = under_lease(ctx, &chosen, async |fence, name, options, done| {
        chosen
            .databases
            .migrate_down(fence, name, reach, options, done)
            .await
    })
    .await?;
    ran.findings.extend(chosen.warnings());
    ran.conclude(ctx, &chosen.contracts())
}

/// Runs work on each database with this process's lease; no upgrade may be under way.
async fn under_lease<F>(ctx: &Context, chosen: &Chosen, work: F) -> Result<Ran, Failure>
where
    F: AsyncFn(&Fence, &DatabaseName, &MigrateOptions, &mut Vec<MigrationReport>) -> Result<(), PortError>,
{
    let options = options(&chosen.version);
    leased(ctx, &chosen.databases, async |fence| {
        let mut ran = Ran::default();
        for name in &chosen.names {
            let mut done = Vec::new();
            let result = work(fence, name, &options, &mut done).await;
            ran.done
                .extend(done.into_iter().map(|report| (name.clone(), report)));
            if let Err(error) = result {
                ran.failed = Some(error.into());
                break;
            }
        }
        Ok(ran)
    })
    .await
}

async fn write_new(ctx: &Context, new: &MigrateNew) -> Outcome {
    let application = ctx.application()?.at_version(&new.release);
    let mut with_files = application
        .databases
        .iter()
        .filter(|(name, _)| new.database.as_ref().is_none_or(|wanted| wanted == *name))
        .filter_map(|(name, database)| Some((name, database.migrations.as_ref()?)));
    let (Some((name, place)), None) = (with_files.next(), with_files.next()) else {
        let known: Vec<&str> = application.databases.keys().map(DatabaseName::as_str).collect();
        return Err(
            Diagnostic::error("usage.which-database", "which database is meant is not clear")
                .note("known", known.join(", "))
                .help(format!(
                    "cutover migrate new {} --release {} --database NAME",
                    new.name, new.release
                ))
                .into(),
        );
    };
    let folder = ctx.folder().join(place);
    if schema::writes_statements(new) {
        return schema::write_set(ctx, new, &application, name, &folder).await;
    }
    let lookup = Lookup::new(ctx.folder(), &application);
    let url = application
        .databases
        .get(name)
        .and_then(|database| release::database_url(ctx.folder(), &lookup, name, &database.url).ok());
    let dialect = url.map(|url| url.dialect());
    let (up, down) = new_files(&folder, dialect, &new.name, new.phase, new.retires.as_ref())?;
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&json!({ "up": up, "down": down }));
    } else {
        ctx.printer
            .data(&format!("Wrote {}\n      {}\n", up.display(), down.display()));
    }
    Ok(ExitCode::Done)
}
