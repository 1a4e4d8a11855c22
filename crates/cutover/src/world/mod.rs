//! The adapters, put together: the only place that names them all.

mod checks;
mod clock;
mod holder;
#[cfg(debug_assertions)]
mod killing;
mod machine;
mod revisions;
mod runner;
mod smoke;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cutover_backup::DatabaseBackups;
use cutover_engine::World;
use cutover_metrics::{Commands, HttpQueries, Providers};
use cutover_migrate::{LockPolicy, MigrateDatabases, from_files, read_folder, sift};
use cutover_model::{DatabaseName, Diagnostic, Span};
use cutover_ports::Store;
use cutover_spec::{Application, Database, Release};

pub(crate) use checks::{MachineChecks, taken};
pub(crate) use clock::SystemClock;
pub(crate) use holder::{controller, is_dead, myself, who};
pub(crate) use machine::{Machine, program as this_program};
pub(crate) use revisions::StoredRevisions;
pub(crate) use runner::tool;
pub(crate) use smoke::HttpSmoke;
pub(crate) use webhooks::{HttpWebhooks, unresolved};

use crate::context::Context;
use crate::failure::Failure;
use crate::lookup::Lookup;
use crate::release::database_url;

/// How long a lease outlives a controller that cannot be seen to be dead: on the same machine it is replaced at once.
pub(crate) const LEASE: Span = Span::from_secs(15);

/// How late a person's request or a dead instance is seen.
const POLL: Span = Span::from_millis(100);

/// What the engine acts on. The first release is the one that is gone to; the others are those that may have to run
/// again.
pub(crate) fn world(ctx: &Context, machine: &Machine, releases: &[&Release]) -> Result<World, Failure> {
    let databases = Arc::new(databases(ctx, releases)?);
    let backups = Arc::new(backups(ctx, releases)?);
    let revisions = StoredRevisions::new(ctx.folder(), releases);
    let webhooks = webhooks(ctx, releases)?;
    let checks = MachineChecks::new(ctx, machine, releases, Arc::clone(&databases));
    Ok(World {
        store: store(ctx),
        target: Arc::clone(&machine.target) as _,
        router: Arc::new(machine.proxy.clone()),
        waiting: Arc::new(machine.proxy.clone()),
        databases,
        backups,
        metrics: Arc::new(machine.proxy.clone()),
        queries: Arc::new(queries(ctx, machine, releases)),
        smoke: Arc::new(HttpSmoke::new()?),
        revisions: Arc::new(revisions),
        checks: Arc::new(checks),
        webhooks: Arc::new(webhooks),
        clock: Arc::new(SystemClock),
        lease: LEASE,
        poll: POLL,
    })
}

/// Metrics providers; what their fields refer to is looked up when they are asked.
fn queries(ctx: &Context, machine: &Machine, releases: &[&Release]) -> Providers {
    let folder = ctx.folder().to_owned();
    let application = releases.first().map(|release| release.application.clone());
    let of = application.clone();
    let resolve: Arc<cutover_metrics::Resolve> = Arc::new(move |text| match &of {
        Some(application) => Lookup::new(&folder, application).resolve(text),
        None => Ok(text.to_owned()),
    });
    let folder = ctx.folder().to_owned();
    let databases = move |name: &DatabaseName| {
        let found = application.as_ref();
        let database = found.and_then(|application| Some((application, application.databases.get(name)?)));
        let Some((application, database)) = database else {
            let message = format!("there is no database named `{name}`");
            return Err(Diagnostic::error("usage.unknown-database", message).help("cutover check"));
        };
        database_url(&folder, &Lookup::new(&folder, application), name, &database.url)
    };
    Providers::new(
        HttpQueries::new(Arc::clone(&resolve), Arc::new(SystemClock)),
        Box::new(databases),
        Commands::new(ctx.folder().to_owned(), resolve),
        Arc::clone(&machine.target) as _,
    )
}

/// Webhooks, by the application of the release that is gone to.
fn webhooks(ctx: &Context, releases: &[&Release]) -> Result<HttpWebhooks, Failure> {
    let application = match releases.first() {
        Some(release) => release.application.clone(),
        None => ctx.application()?.clone(),
    };
    Ok(HttpWebhooks::new(ctx.folder().to_owned(), application))
}

#[cfg(not(debug_assertions))]
fn store(ctx: &Context) -> Arc<dyn Store> {
    Arc::new(ctx.store.clone())
}

/// A debug build can be made to kill itself at a position of the journal.
#[cfg(debug_assertions)]
fn store(ctx: &Context) -> Arc<dyn Store> {
    match killing::KillingStore::from_env(ctx.store.clone()) {
        Some(store) => Arc::new(store),
        None => Arc::new(ctx.store.clone()),
    }
}

/// Knows every kind of database that this build has the drivers of.
pub(crate) fn migrator() -> MigrateDatabases {
    let all = MigrateDatabases::new(Arc::new(SystemClock), LockPolicy::default());
    #[cfg(feature = "full")]
    let all = all.with_mongodb(Arc::new(cutover_migrate_mongodb::MongoDb));
    all
}

/// How long the locks of a database are tried and its statements run: as its settings say, or as is usual.
pub(crate) fn policy(database: &Database) -> LockPolicy {
    let usual = LockPolicy::default();
    let last = database.lock_timeout.unwrap_or(usual.last_timeout);
    LockPolicy {
        tries: database.lock_tries.unwrap_or(usual.tries),
        first_timeout: usual.first_timeout.min(last),
        last_timeout: last,
        statement_timeout: database.statement_timeout,
        ..usual
    }
}

/// The databases with the files of these releases.
pub(crate) fn databases(ctx: &Context, releases: &[&Release]) -> Result<MigrateDatabases, Failure> {
    let (all, wrong) = sifted_databases(ctx, releases)?;
    if wrong.is_empty() {
        Ok(all)
    } else {
        Err(Failure::usage(wrong.into_values().flatten().collect()))
    }
}

/// What is wrong with the files of databases.
pub(crate) type Wrong = BTreeMap<DatabaseName, Vec<Diagnostic>>;

/// The same, where a fault in one file does not take the others away: what is wrong is told beside.
pub(crate) fn sifted_databases(
    ctx: &Context,
    releases: &[&Release],
) -> Result<(MigrateDatabases, Wrong), Failure> {
    let mut wrong = Wrong::new();
    let mut all = migrator();
    // The last one given counts for the URL: the release that is gone to.
    for release in releases.iter().rev() {
        for (name, files) in &release.files {
            let url = url(ctx, &release.application, name)?;
            if let Some(tool) = newest_tool(ctx, releases, release, name)? {
                all = all.with_tool(name.clone(), url, tool);
                continue;
            }
            let read = sift(name, files, &[], url.dialect());
            let found = read.all_wrong();
            if !found.is_empty() {
                wrong.entry(name.clone()).or_default().extend(found);
            }
            all = all
                .with(name.clone(), url, read.sound)
                .with_faulty(name, read.faulty, read.wrong);
            if let Some(database) = release.application.databases.get(name) {
                let lookup = Lookup::new(ctx.folder(), &release.application);
                all = all
                    .with_placeholders(name, lookup.environment(&database.placeholders)?)
                    .with_policy(name, policy(database));
            }
        }
    }
    Ok((all, wrong))
}

/// Databases of an application, and nothing of their files.
pub(crate) fn addresses<'a>(
    ctx: &Context,
    application: &Application,
    names: impl Iterator<Item = &'a DatabaseName>,
) -> Result<(MigrateDatabases, BTreeSet<DatabaseName>), Failure> {
    let (mut all, mut found) = (migrator(), BTreeSet::new());
    for name in names {
        all = all.with(name.clone(), url(ctx, application, name)?, Vec::new());
        found.insert(name.clone());
    }
    Ok((all, found))
}

/// The tool that migrates a database, where one does in this release: with the files of the newest release, which alone
/// know every revision that the schema may be at.
fn newest_tool(
    ctx: &Context,
    releases: &[&Release],
    release: &Release,
    name: &DatabaseName,
) -> Result<Option<cutover_migrate::RunnerTool>, Failure> {
    let runner = |release: &Release| release.application.databases.get(name)?.runner.clone();
    if runner(release).is_none() {
        return Ok(None);
    }
    let with_one = releases.iter().rev().filter(|one| runner(one).is_some());
    let Some(newest) = with_one.max_by(|a, b| a.version.cmp(&b.version)) else {
        return Ok(None);
    };
    let application = &newest.application;
    match application
        .databases
        .get(name)
        .map(|one| (one, one.runner.as_ref()))
    {
        Some((database, Some(own))) => Ok(Some(tool(
            ctx,
            application,
            &newest.version,
            name,
            database,
            own,
        )?)),
        _ => Ok(None),
    }
}

/// One database with the files of a folder that belong to no stored release yet; no folder is no files.
pub(crate) fn database_with_folder(
    ctx: &Context,
    application: &Application,
    name: &DatabaseName,
    folder: &std::path::Path,
) -> Result<MigrateDatabases, Failure> {
    let Some(database) = application.databases.get(name) else {
        return Err(Failure::new(
            "usage.unknown-database",
            format!("there is no database named `{name}`"),
            "cutover check",
        ));
    };
    let url = database_url(
        ctx.folder(),
        &Lookup::new(ctx.folder(), application),
        name,
        &database.url,
    )?;
    let stored = if folder.exists() {
        read_folder(folder)?
    } else {
        Vec::new()
    };
    let files = from_files(name, &stored, url.dialect()).map_err(Failure::usage)?;
    let values = Lookup::new(ctx.folder(), application).environment(&database.placeholders)?;
    Ok(migrator()
        .with(name.clone(), url, files)
        .with_placeholders(name, values)
        .with_policy(name, policy(database)))
}

/// The backups of the databases of these releases.
pub(crate) fn backups(ctx: &Context, releases: &[&Release]) -> Result<DatabaseBackups, Failure> {
    let settings = releases
        .first()
        .map(|release| release.application.backup.clone())
        .unwrap_or_default();
    let folder = backup_folder(ctx, settings.directory.as_deref());
    let mut all = DatabaseBackups::new(folder, settings.keep, Arc::new(SystemClock));
    for release in releases.iter().rev() {
        for name in release.application.databases.keys() {
            all = all.with(name.clone(), url(ctx, &release.application, name)?);
        }
    }
    Ok(all)
}

/// Where backups lie: as the file says, else in the state folder.
pub(crate) fn backup_folder(ctx: &Context, directory: Option<&str>) -> std::path::PathBuf {
    directory.map_or_else(|| ctx.state.backups(), |directory| ctx.folder().join(directory))
}

/// Where a database of an application is.
pub(crate) fn url(
    ctx: &Context,
    application: &Application,
    name: &DatabaseName,
) -> Result<cutover_db::DatabaseUrl, Failure> {
    let Some(database) = application.databases.get(name) else {
        return Err(Failure::new(
            "usage.unknown-database",
            format!("there is no database named `{name}`"),
            "cutover check",
        ));
    };
    let lookup = Lookup::new(ctx.folder(), application);
    Ok(database_url(ctx.folder(), &lookup, name, &database.url)?)
}
