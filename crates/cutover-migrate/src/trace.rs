//! The locks that statements really take: each is run, in a transaction that is rolled back, and the server is asked what it
//! holds, which files of tables are others now, and which tables were read.
//!
//! PostgreSQL only: where DDL commits by itself there is nothing to roll back. What a transaction does not take back (numbers
//! of sequences, what functions do outside of the database) is not taken back here either.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cutover_db::DatabaseUrl;
use cutover_model::{Diagnostic, Span};
use cutover_ports::PortError;
use cutover_sql::catalog::{Catalog, changes, statements};
use cutover_sql::{Dialect, Statement, concurrently, controls_transaction};
use serde::Serialize;
use tokio::time::Instant;

use crate::adapter::db_error;
use crate::failure::{Failure, plain};
use crate::postgres::PostgresSession;
use crate::scratch;
use crate::session::SqlSession as _;

/// Long enough to get a lock at a quiet time, short enough to be no nuisance.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// A lock on a table that was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TakenLock {
    /// The table.
    pub table: String,
    /// As `pg_locks` names it: `AccessExclusiveLock`.
    pub mode: String,
}

/// How a statement went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "why")]
pub enum Went {
    /// It ran.
    Ran,
    /// It was not tried, and why.
    NotTried(String),
    /// It failed, and so nothing after it was tried.
    Failed(String),
}

/// What one statement did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Traced {
    /// Its text.
    pub statement: String,
    /// Where it begins, in bytes of the file.
    pub offset: usize,
    /// How it went.
    pub went: Went,
    /// How long it took, waiting for locks included.
    pub took: Span,
    /// From its beginning to the end of the transaction: how long its locks are held where the file is one.
    pub held: Span,
    /// The locks that it took, or took stronger than those before it: the strongest of each table.
    pub locks: Vec<TakenLock>,
    /// Tables and indexes that were written anew.
    pub rewritten: Vec<String>,
    /// Tables that were read from one end to the other.
    pub read: Vec<String>,
}

/// A live database, as far as a linter wants to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSchema {
    /// Statements that make its schema.
    pub statements: String,
    /// About how many rows its tables have: PostgreSQL's statistics, and nothing where they are missing.
    pub rows: Vec<(String, u64)>,
}

/// What a live database holds.
///
/// # Errors
/// When it cannot be read; MySQL and MariaDB are not read yet.
pub async fn live_schema(url: &DatabaseUrl) -> Result<LiveSchema, PortError> {
    let catalog = scratch::live("the database", url).await?;
    let empty = Catalog::default();
    let mut text = String::new();
    for statement in statements(url.dialect(), &empty, &changes(&empty, &catalog)) {
        text.push_str(&statement);
        text.push_str(";\n");
    }
    let DatabaseUrl::Postgres(own) = url else {
        return Ok(LiveSchema {
            statements: text,
            rows: Vec::new(),
        });
    };
    let sql = "SELECT CASE WHEN pg_table_is_visible(oid) THEN quote_ident(relname) ELSE oid::regclass::text END, reltuples::bigint
        FROM pg_class WHERE relkind IN ('r', 'm') AND reltuples >= 0 AND relpages > 0
        AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'";
    let mut session = PostgresSession::open(own, None)
        .await
        .map_err(|error| db_error("the database", &error))?;
    let rows = session
        .rows_as_written(sql)
        .await
        .map_err(|failure| plain("the database", failure))?;
    let rows = rows.into_iter().filter_map(|row| {
        let [name, rows] = <[Option<String>; 2]>::try_from(row).ok()?;
        Some((name?, rows?.parse().ok()?))
    });
    Ok(LiveSchema {
        statements: text,
        rows: rows.collect(),
    })
}

/// Runs statements in a transaction that is rolled back, and says what each of them did.
///
/// # Errors
/// When the database is not reached, or is no PostgreSQL. What a statement is refused for is no error, but [`Went::Failed`].
pub async fn trace(url: &DatabaseUrl, statements: &[Statement]) -> Result<Vec<Traced>, PortError> {
    let DatabaseUrl::Postgres(url) = url else {
        let message = "locks are traced on PostgreSQL only: elsewhere a definition cannot be rolled back";
        return Err(PortError::refused(
            Diagnostic::error("lint.not-traced", message).help("cutover migrate lint FILE"),
        ));
    };
    let mut session = PostgresSession::open(url, None)
        .await
        .map_err(|error| db_error("the database", &error))?;
    let traced = within(&mut session, statements).await;
    session.rollback().await;
    traced.map_err(|failure| plain("the database", failure))
}

async fn within(session: &mut PostgresSession, statements: &[Statement]) -> Result<Vec<Traced>, Failure> {
    session.begin(LOCK_TIMEOUT).await?;
    let relations = relations(session).await?;
    let mut before = Seen::look(session, &relations).await?;
    let mut out: Vec<Traced> = Vec::new();
    let mut beginnings: Vec<Instant> = Vec::new();
    let mut over = false;
    for statement in statements {
        let mut one = Traced {
            statement: statement.text.clone(),
            offset: statement.byte_offset,
            went: Went::Ran,
            took: Span::from_millis(0),
            held: Span::from_millis(0),
            locks: Vec::new(),
            rewritten: Vec::new(),
            read: Vec::new(),
        };
        let begun = Instant::now();
        beginnings.push(begun);
        if over {
            one.went = Went::NotTried("a statement before it failed".to_owned());
        } else if controls_transaction(Dialect::Postgres, &statement.text) {
            one.went = Went::NotTried("the transaction is the trace's".to_owned());
        } else if concurrently(&statement.text) {
            one.went = Went::NotTried("it cannot run in a transaction; nobody waits behind it".to_owned());
        } else {
            let done = session.execute(&statement.text).await;
            one.took = since(begun);
            if let Err(failure) = done {
                one.went = Went::Failed(said(failure));
                over = true;
            } else {
                let after = Seen::look(session, &relations).await?;
                after.since(&before, &relations, &mut one);
                before = after;
            }
        }
        out.push(one);
    }
    for (one, begun) in out.iter_mut().zip(beginnings) {
        one.held = since(begun);
    }
    Ok(out)
}

fn since(begun: Instant) -> Span {
    Span::from_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
}

fn said(failure: Failure) -> String {
    match failure {
        Failure::Lost(said)
        | Failure::Locked { said, .. }
        | Failure::Forbidden(said)
        | Failure::DiskFull(said)
        | Failure::Denied(said, _)
        | Failure::Stopped(said)
        | Failure::Uncommitted(said)
        | Failure::Doubt { said }
        | Failure::Statement { said, .. } => said,
        Failure::TimedOut { limit, .. } => format!("it was ended after {} seconds", limit.as_secs_f64()),
        Failure::Refused(error) => error.diagnostic.message.clone(),
    }
}

/// What was there before the first statement, by oid.
type Relations = BTreeMap<String, Relation>;

struct Relation {
    name: String,
    is_index: bool,
}

async fn relations(session: &mut PostgresSession) -> Result<Relations, Failure> {
    let sql = "SELECT c.oid::text, c.oid::regclass::text, (c.relkind IN ('i', 'I'))::text FROM pg_class c
        WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I', 'v', 'S') AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'";
    let rows = session.rows_as_written(sql).await?;
    let all = rows.into_iter().filter_map(|row| {
        let [oid, name, index] = <[Option<String>; 3]>::try_from(row).ok()?;
        let is_index = index.as_deref() == Some("true");
        Some((
            oid?,
            Relation {
                name: name?,
                is_index,
            },
        ))
    });
    Ok(all.collect())
}

/// What the session holds and has done so far.
#[derive(Default)]
struct Seen {
    /// oid, strength, mode
    locks: BTreeSet<(String, usize, String)>,
    files: BTreeMap<String, String>,
    scans: BTreeMap<String, u64>,
}

/// From weak to strong (PostgreSQL manual, 13.3.1).
const LOCKS: [&str; 8] = [
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];

impl Seen {
    async fn look(session: &mut PostgresSession, relations: &Relations) -> Result<Self, Failure> {
        let mut out = Self::default();
        let held = "SELECT relation::text, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'";
        for row in session.rows_as_written(held).await? {
            if let Ok([Some(oid), Some(mode)]) = <[Option<String>; 2]>::try_from(row)
                && relations.get(&oid).is_some_and(|one| !one.is_index)
            {
                let strength = LOCKS.iter().position(|known| *known == mode).unwrap_or(0);
                out.locks.insert((oid, strength, mode));
            }
        }
        let state = "SELECT oid::text, relfilenode::text, coalesce(pg_stat_get_xact_numscans(oid), 0)::text FROM pg_class
            WHERE relkind IN ('r', 'm', 'i')";
        for row in session.rows_as_written(state).await? {
            if let Ok([Some(oid), Some(file), Some(scans)]) = <[Option<String>; 3]>::try_from(row)
                && let Some(one) = relations.get(&oid)
            {
                if !one.is_index {
                    out.scans.insert(oid.clone(), scans.parse().unwrap_or(0));
                }
                out.files.insert(oid, file);
            }
        }
        Ok(out)
    }

    fn since(&self, before: &Self, relations: &Relations, traced: &mut Traced) {
        let name = |oid: &String| {
            relations
                .get(oid)
                .map_or_else(String::new, |one| one.name.clone())
        };
        let strongest = |seen: &Self, oid: &String| {
            let of = seen.locks.iter().filter(|(one, ..)| one == oid);
            of.map(|(_, strength, _)| *strength + 1).max().unwrap_or(0)
        };
        let oids: BTreeSet<&String> = self.locks.iter().map(|(oid, ..)| oid).collect();
        for oid in oids {
            let now = strongest(self, oid);
            if now > strongest(before, oid)
                && let Some(mode) = LOCKS.get(now - 1)
            {
                traced.locks.push(TakenLock {
                    table: name(oid),
                    mode: (*mode).to_owned(),
                });
            }
        }
        for (oid, file) in &self.files {
            if before.files.get(oid).is_some_and(|old| old != file) {
                traced.rewritten.push(name(oid));
            }
        }
        for (oid, scans) in &self.scans {
            if before.scans.get(oid).is_some_and(|old| old < scans) {
                traced.read.push(name(oid));
            }
        }
    }
}
