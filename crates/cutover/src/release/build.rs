//! A release from today's files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cutover_db::DatabaseUrl;
use cutover_migrate::{Folder, Sifted, read_whatever, sift};
use cutover_model::{DatabaseName, Diagnostic, ServiceName, Version};
use cutover_spec::{Application, Database, Release, ReleaseDraft, ServiceParts, StoredFile, Target};
use cutover_sql::locate;

use super::artifact::artifact;
use super::certificates;
use super::key::Key;
use super::versions::no_such;
use crate::lookup::Lookup;

/// The release of a version. With `only`, no other service moves: the others keep what the previous release has of them.
///
/// # Errors
/// Everything that is wrong with programs, references and migrations at once.
pub(crate) fn build(
    application: &Application,
    folder: &Path,
    key: &Key,
    version: &Version,
    previous: Option<&Release>,
    only: Option<&[ServiceName]>,
) -> Result<Release, Vec<Diagnostic>> {
    if let Some(found) = no_such(application, folder, version) {
        return Err(vec![found]);
    }
    let at = application.at_version(version);
    let lookup = Lookup::new(folder, application);
    let mut wrong = Vec::new();
    if let Some(only) = only {
        wrong.extend(unknown_services(application, only));
    }
    let moves = |name: &ServiceName| only.is_none_or(|only| only.contains(name));
    let mut parts = BTreeMap::new();
    for name in application.services.keys().filter(|name| moves(name)) {
        match service_parts(application, &at, folder, key, &lookup, name) {
            Ok(found) => {
                parts.insert(name.clone(), found);
            }
            Err(found) => wrong.push(found),
        }
    }
    let mut migrations = BTreeMap::new();
    let mut files = BTreeMap::new();
    match sets(folder, &lookup, &at) {
        Ok(sets) => {
            for (name, set) in sets {
                migrations.insert(
                    name.clone(),
                    set.read.sound.into_iter().map(|one| one.migration).collect(),
                );
                files.insert(name, set.files);
            }
        }
        Err(found) => wrong.extend(found),
    }
    wrong.extend(without_backups(&at, folder, &lookup));
    for (name, database) in &at.databases {
        let Some(runner) = &database.runner else { continue };
        // Where it is must be known, as with files.
        if let Err(found) = database_url(folder, &lookup, name, &database.url) {
            wrong.push(found);
        }
        migrations.insert(name.clone(), vec![runner.migration(name)]);
        files.insert(name.clone(), Vec::new());
    }
    let changelog = match at
        .changelog
        .as_ref()
        .map(|path| (path, std::fs::read_to_string(folder.join(path))))
    {
        None => None,
        Some((_, Ok(text))) => Some(text),
        Some((path, Err(error))) => {
            wrong.push(
                Diagnostic::error(
                    "release.unreadable",
                    format!("cannot read the changelog {path}: {error}"),
                )
                .help(format!("ls -l {path}")),
            );
            None
        }
    };
    let mut moving = application.clone();
    moving.services.retain(|name, _| moves(name));
    if let Err(found) = certificates::settle(&mut moving, folder) {
        wrong.extend(found);
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let draft = ReleaseDraft {
        application: &moving,
        version,
        previous,
        parts,
        migrations,
        files,
        changelog,
    };
    let release = draft.seal().map_err(|error| {
        vec![Diagnostic::error("release.unfinished", error.to_string()).help("cutover check")]
    })?;
    Ok(match (previous, only) {
        (Some(previous), Some(only)) => with_the_others(release, previous, only),
        _ => release,
    })
}

/// The others as the previous release has them: same revisions, same specification.
fn with_the_others(mut release: Release, previous: &Release, only: &[ServiceName]) -> Release {
    for (name, service) in &previous.application.services {
        if only.contains(name) {
            continue;
        }
        release.application.services.insert(name.clone(), service.clone());
        if let Some(revision) = previous.revisions.get(name) {
            release.revisions.insert(name.clone(), revision.clone());
        }
        if let Some(contents) = previous.contents.get(name) {
            release.contents.insert(name.clone(), contents.clone());
        }
        if let Some(artifact) = previous.artifacts.get(name) {
            release.artifacts.insert(name.clone(), artifact.clone());
        }
    }
    release.sealed()
}

fn unknown_services(application: &Application, only: &[ServiceName]) -> Vec<Diagnostic> {
    let known: Vec<&str> = application.services.keys().map(ServiceName::as_str).collect();
    only.iter()
        .filter(|name| !application.services.contains_key(name))
        .map(|name| {
            Diagnostic::error(
                "usage.unknown-service",
                format!("there is no service named `{name}`"),
            )
            .note("known", known.join(", "))
            .help("cutover status")
        })
        .collect()
}

fn service_parts(
    application: &Application,
    at: &Application,
    folder: &Path,
    key: &Key,
    lookup: &Lookup<'_>,
    name: &ServiceName,
) -> Result<ServiceParts, Diagnostic> {
    let (written, put_in) = (&application.services[name], &at.services[name]);
    let (Target::Process(written), Target::Process(target)) = (&written.target, &put_in.target);
    let environment = lookup.environment(&put_in.environment)?;
    let pairs = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let migrations = at.databases.values().filter_map(|one| one.migrations.as_ref());
    let migrations: Vec<PathBuf> = migrations.map(PathBuf::from).collect();
    Ok(ServiceParts {
        artifact: artifact(folder, name, written, target, &migrations)?,
        config: key.digest(pairs),
        restart: None,
    })
}

/// Databases that a plan would back up, and that cannot be: better said now than in the middle of an upgrade.
fn without_backups(at: &Application, folder: &Path, lookup: &Lookup<'_>) -> Vec<Diagnostic> {
    if !at.backup.before_migrate {
        return Vec::new();
    }
    let migrated = at
        .databases
        .iter()
        .filter(|(_, database)| database.migrations.is_some() || database.runner.is_some());
    migrated
        .filter_map(|(name, database)| match database_url(folder, lookup, name, &database.url) {
            Ok(url @ DatabaseUrl::Mongo(_)) => Some(
                Diagnostic::error(
                    "backup.unsupported",
                    format!("database {name} ({url}) would be backed up before it is migrated, and backups of MongoDB are not made here"),
                )
                .note("next", "set backup.beforeMigrate: false, and make backups by mongodump or snapshots")
                .help("cutover schema backup"),
            ),
            _ => None,
        })
        .collect()
}

/// What lies in a database's folder.
pub(crate) struct MigrationSet {
    /// Where the database is.
    pub(crate) url: DatabaseUrl,
    /// As read.
    pub(crate) files: Vec<StoredFile>,
    /// What they say, in order, and what is wrong with them.
    pub(crate) read: Sifted,
    /// What their `${name}` stand for.
    pub(crate) placeholders: BTreeMap<String, String>,
}

/// The migrations of a version, all of them sound, of every database that has any. Nothing else of the release is looked at, so that a
/// database can be migrated where its programs are not.
///
/// # Errors
/// Everything that is wrong with them at once.
pub(crate) fn migrations(
    application: &Application,
    folder: &Path,
    version: &Version,
) -> Result<BTreeMap<DatabaseName, MigrationSet>, Vec<Diagnostic>> {
    sets(
        folder,
        &Lookup::new(folder, application),
        &application.at_version(version),
    )
}

/// The same, where a fault in one file does not take the others away: it is told in the set that it is in.
///
/// # Errors
/// When it is not known where a database is, or what its placeholders stand for.
pub(crate) fn sifted_migrations(
    application: &Application,
    folder: &Path,
    version: &Version,
) -> Result<BTreeMap<DatabaseName, MigrationSet>, Vec<Diagnostic>> {
    sifted_sets(
        folder,
        &Lookup::new(folder, application),
        &application.at_version(version),
    )
}

fn sets(
    folder: &Path,
    lookup: &Lookup<'_>,
    at: &Application,
) -> Result<BTreeMap<DatabaseName, MigrationSet>, Vec<Diagnostic>> {
    let sets = sifted_sets(folder, lookup, at)?;
    let wrong: Vec<Diagnostic> = sets.values().flat_map(|set| set.read.all_wrong()).collect();
    if wrong.is_empty() { Ok(sets) } else { Err(wrong) }
}

fn sifted_sets(
    folder: &Path,
    lookup: &Lookup<'_>,
    at: &Application,
) -> Result<BTreeMap<DatabaseName, MigrationSet>, Vec<Diagnostic>> {
    let mut sets = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, database) in &at.databases {
        let Some(place) = &database.migrations else {
            continue;
        };
        let others = at.databases.iter().filter(|(other, _)| *other != name);
        let others: Vec<PathBuf> = others
            .filter_map(|(_, other)| other.migrations.as_ref().map(|place| whole(folder, place)))
            .collect();
        match read_migrations(folder, lookup, name, database, place, &others) {
            Ok(set) => {
                sets.insert(name.clone(), set);
            }
            Err(found) => wrong.push(found),
        }
    }
    if wrong.is_empty() { Ok(sets) } else { Err(wrong) }
}

/// A folder as its path says it, without what says nothing.
fn whole(folder: &Path, place: &str) -> PathBuf {
    folder.join(place).components().collect()
}

/// As many files are named in a command, and no more.
const NAMED: usize = 4;

/// Migrations that nobody would run.
fn in_subfolder(place: &str, below: &[PathBuf]) -> Option<Diagnostic> {
    let first = below.first()?;
    let folder = first.parent()?;
    let shown = |file: &Path| Path::new(place).join(file).display().to_string();
    let together: Vec<String> = below
        .iter()
        .filter(|file| file.parent() == Some(folder))
        .map(|file| shown(file))
        .collect();
    let moved = if together.len() > NAMED {
        let extension = first.extension().unwrap_or_default().to_string_lossy();
        format!("{}/*.{extension}", shown(folder))
    } else {
        together.join(" ")
    };
    Some(
        Diagnostic::error(
            "migrate.in-subfolder",
            format!("files below {place} are called like migrations, and subfolders are not read"),
        )
        .at(locate(&first.to_string_lossy(), "", 0, 0))
        .note("how many", below.len().to_string())
        .note(
            "if they are none",
            format!("call their folder _{}, or move it elsewhere", folder.display()),
        )
        .help(format!("mv -n {moved} {place}")),
    )
}

/// The files of a folder, and the migrations in them.
fn read_migrations(
    folder: &Path,
    lookup: &Lookup<'_>,
    name: &DatabaseName,
    database: &Database,
    place: &str,
    others: &[PathBuf],
) -> Result<MigrationSet, Diagnostic> {
    let url = database_url(folder, lookup, name, &database.url)?;
    let placeholders = lookup.environment(&database.placeholders)?;
    let path = folder.join(place);
    let found = if path.is_dir() {
        read_whatever(&path)
    } else {
        Err(Diagnostic::error(
            "release.migrations-missing",
            format!("database {name} has no folder of migrations {place}"),
        )
        .note("state", "a release without migrations has an empty folder")
        .help(format!("mkdir -p {place}")))
    };
    let (files, mut read) = match found {
        Ok(Folder { files, unread, below }) => {
            let mut read = sift(name, &files, &unread, url.dialect());
            let own = whole(folder, place);
            let is_others = |file: &PathBuf| others.iter().any(|other| own.join(file).starts_with(other));
            let below: Vec<PathBuf> = below.into_iter().filter(|file| !is_others(file)).collect();
            read.wrong.extend(in_subfolder(place, &below));
            (files, read.with_values(&placeholders))
        }
        Err(found) => (Vec::new(), Sifted::none(found)),
    };
    for found in read.each_wrong() {
        super::hints::in_folder(found, place);
    }
    Ok(MigrationSet {
        url,
        files,
        read,
        placeholders,
    })
}

/// Where a database is: its URL resolved, its file taken from the folder of `cutover.yaml`.
pub(crate) fn database_url(
    folder: &Path,
    lookup: &Lookup<'_>,
    name: &DatabaseName,
    url: &str,
) -> Result<DatabaseUrl, Diagnostic> {
    let text = lookup.resolve(url)?;
    let url: DatabaseUrl = text
        .parse()
        .map_err(|error: cutover_db::DbError| error.diagnostic().note("database", name.as_str()))?;
    Ok(url.relative_to(folder))
}
