//! What a plan does to the databases.

use std::collections::BTreeMap;

use cutover_model::{
    Bytes, DatabaseName, DatabaseState, Diagnostic, Migration, MigrationPhase, Note, Version, renamed,
};
use cutover_spec::{ContractAfter, Release};

use crate::runner::Run;

/// The schema side of an upgrade.
#[derive(Debug, Clone, Default)]
pub(crate) struct SchemaWork {
    /// Backfills that an abort or a rollback has reopened: they come first, because a contract needs them done.
    pub(crate) reopened: Vec<(DatabaseName, Vec<Migration>)>,
    /// Contracts of earlier releases that run before anything else: the old version lives with them.
    pub(crate) overdue: Vec<(DatabaseName, Vec<Migration>)>,
    /// Expands and backfills in the order of their numbers; neighbours of one phase are one step.
    pub(crate) before: Vec<(DatabaseName, MigrationPhase, Vec<Migration>)>,
    /// What the tools do that migrate databases instead of files; each is in `before` too.
    pub(crate) runners: BTreeMap<DatabaseName, Run>,
    /// Contracts that run at the end.
    pub(crate) contract: Vec<(DatabaseName, Vec<Migration>)>,
    /// Contracts that stay pending.
    pub(crate) pending: Vec<Migration>,
    /// What stands against it.
    pub(crate) problems: Vec<Diagnostic>,
    /// The report's part.
    pub(crate) report: Vec<(String, Vec<Note>)>,
}

impl SchemaWork {
    /// Whether anything is to be applied.
    pub(crate) fn is_empty(&self) -> bool {
        self.reopened.is_empty()
            && self.overdue.is_empty()
            && self.before.is_empty()
            && self.contract.is_empty()
    }

    /// The databases that are changed, in order, without repetition.
    pub(crate) fn databases(&self) -> Vec<DatabaseName> {
        let mut names: Vec<DatabaseName> = self.overdue.iter().map(|(name, _)| name.clone()).collect();
        names.extend(self.reopened.iter().map(|(name, _)| name.clone()));
        names.extend(self.before.iter().map(|(name, _, _)| name.clone()));
        names.extend(self.contract.iter().map(|(name, _)| name.clone()));
        names.sort();
        names.dedup();
        names
    }
}

/// When the contracts that could run are to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contracts {
    /// By the spec's `contract.after`.
    By(ContractAfter),
    /// All that can, now: `cutover migrate contract`.
    Now,
    /// None: the way back runs no migration.
    Never,
}

/// The oldest version among the revisions that make up a release: a service that did not change keeps its revision, and
/// a contract that retires that version can only wait (invariant I11).
pub(crate) fn oldest(release: &Release) -> Option<&Version> {
    release.revisions.values().map(|revision| &revision.version).min()
}

/// Sorts the pending migrations of a release into before, after and not yet. `current` is the oldest version that runs
/// now; `moves` whether another release is gone to, which is when the tools that migrate databases are run.
pub(crate) fn schema_work(
    target: &Release,
    current: Option<&Version>,
    databases: &BTreeMap<DatabaseName, DatabaseState>,
    contracts: Contracts,
    moves: bool,
) -> SchemaWork {
    let mut work = SchemaWork::default();
    for (name, migrations) in &target.migrations {
        let Some(seen) = databases.get(name) else {
            work.problems.push(
                Diagnostic::error(
                    "plan.database-unreachable",
                    format!("database {name} could not be observed"),
                )
                .help("cutover migrate status"),
            );
            continue;
        };
        if let Some(tool) = migrations.iter().find(|one| one.runner.is_some()) {
            if moves {
                let run = Run::of(target, current, tool, seen);
                work.report.push((heading(name, seen), vec![run.note.clone()]));
                work.before.push((name.clone(), tool.phase, vec![tool.clone()]));
                work.runners.insert(name.clone(), run);
            }
            continue;
        }
        one_database(
            &mut work,
            name,
            migrations,
            seen,
            (oldest(target), current),
            contracts,
        );
    }
    work
}

fn one_database(
    work: &mut SchemaWork,
    name: &DatabaseName,
    migrations: &[Migration],
    seen: &DatabaseState,
    (to, from): (Option<&Version>, Option<&Version>),
    contracts: Contracts,
) {
    let mut notes = Vec::new();
    let mut overdue = Vec::new();
    let mut contract = Vec::new();
    let mut reopened = Vec::new();
    let highest = seen
        .applied
        .iter()
        .filter(|done| done.complete && done.phase != MigrationPhase::Contract && !done.id.is_repeatable())
        .map(|done| done.id.number)
        .max();
    let applied: BTreeMap<_, _> = seen.applied.iter().map(|done| (&done.id, done)).collect();
    let renamed = renamed(
        migrations,
        seen.applied.iter().map(|done| (&done.id, &done.checksum)),
    );
    for migration in migrations {
        let id = migration.id.to_string();
        if let Some(done) = applied.get(&migration.id).filter(|done| done.complete) {
            if done.checksum != migration.checksum {
                work.problems.push(
                    Diagnostic::error(
                        "migrate.changed",
                        format!("{name}: {id} was changed after it was applied"),
                    )
                    .note("applied", done.checksum.short())
                    .note("file", migration.checksum.short())
                    .help("cutover migrate validate"),
                );
            }
            continue;
        }
        if contracts == Contracts::Never {
            continue;
        }
        if let Some(former) = renamed.get(&migration.id) {
            work.problems.push(
                Diagnostic::error(
                    "migrate.renamed",
                    format!("{name}: {former} is applied, and its file is called {id} now"),
                )
                .help("cutover migrate validate"),
            );
            continue;
        }
        let why = migration.summary.clone().unwrap_or_default();
        if migration.phase == MigrationPhase::Contract {
            let bound = migration.retires.as_ref();
            let lives = |version: Option<&Version>| match (bound, version) {
                (Some(bound), Some(version)) => version >= bound,
                _ => false,
            };
            let when = match contracts {
                Contracts::Now if lives(from) => {
                    contract.push(migration.clone());
                    "once no older instance is left".to_owned()
                }
                Contracts::By(ContractAfter::NextUpgrade) if lives(from) => {
                    overdue.push(migration.clone());
                    "first: the current version lives with it".to_owned()
                }
                Contracts::By(ContractAfter::Duration(span)) if lives(to) => {
                    contract.push(migration.clone());
                    format!("{span} after the old version is gone; then no way back")
                }
                _ => {
                    work.pending.push(migration.clone());
                    waits_for(migration, contracts)
                }
            };
            let mark = if work.pending.iter().any(|one| one.id == migration.id) {
                '·'
            } else {
                '+'
            };
            notes.push(Note::new(mark, id, "contract", join(&when, &why)));
            continue;
        }
        let again = applied.contains_key(&migration.id);
        if again && migration.phase == MigrationPhase::Backfill {
            reopened.push(migration.clone());
            notes.push(Note::new(
                '+',
                id,
                "backfill",
                join("again: it was reopened by a way back", &why),
            ));
            continue;
        }
        if contracts == Contracts::Now {
            continue;
        }
        if !again && highest.is_some_and(|highest| migration.id.number < highest) {
            work.problems.push(
                Diagnostic::error(
                    "migrate.out-of-order",
                    format!("{name}: {id} is not applied, but later ones are"),
                )
                .note("applied", format!("up to {}", highest.unwrap_or_default()))
                .help(format!(
                    "cutover migrate new {} --release VERSION --phase {}",
                    migration.id.name, migration.phase
                )),
            );
            continue;
        }
        match work.before.last_mut() {
            Some((database, phase, list)) if database == name && *phase == migration.phase => {
                list.push(migration.clone());
            }
            _ => work
                .before
                .push((name.clone(), migration.phase, vec![migration.clone()])),
        }
        notes.push(Note::new('+', id, migration.phase.word(), why));
    }
    if !reopened.is_empty() {
        work.reopened.push((name.clone(), reopened));
    }
    if !overdue.is_empty() {
        work.overdue.push((name.clone(), overdue));
    }
    if !contract.is_empty() {
        work.contract.push((name.clone(), contract));
    }
    if !notes.is_empty() {
        work.report.push((heading(name, seen), notes));
    }
}

fn waits_for(migration: &Migration, contracts: Contracts) -> String {
    let bound = migration
        .retires
        .as_ref()
        .map_or_else(String::new, |bound| format!("no instance below {bound}, then "));
    match contracts {
        Contracts::By(ContractAfter::NextUpgrade) => format!("waits for: {bound}the next upgrade"),
        _ => format!("waits for: {bound}`cutover migrate contract`"),
    }
}

fn join(when: &str, why: &str) -> String {
    if why.is_empty() {
        when.to_owned()
    } else {
        format!("{}; {when}", why.trim_end_matches('.'))
    }
}

fn heading(name: &DatabaseName, seen: &DatabaseState) -> String {
    let size = seen
        .size
        .filter(|bytes| *bytes > 0)
        .map(|bytes| format!(", {}", Bytes(bytes)));
    if seen.server.is_empty() {
        name.to_string()
    } else {
        format!("{name} ({}{})", seen.server, size.unwrap_or_default())
    }
}
