//! The history's tables: the same four, and the same statements, in every database.
//!
//! `cutover_meta` has one row: format, store, generation, `retired_below`. `cutover_history` has a row per file that
//! is applied or begun; `cutover_statements` one per statement of files that run without a transaction; `cutover_log`
//! a row for all that was ever done to the others. Moments are RFC 3339 texts, flags are 0 and 1.

use cutover_model::{
    AppliedMigration, DatabaseState, Digest, Generation, Migration, MigrationId, MigrationPhase, Span,
    StoreId, Timestamp, Version,
};
use cutover_sql::Dialect;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::fence::{FORMAT, Meta};
use crate::session::{Query, SqlSession, TextRow};

/// Which way a file is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Applied.
    #[default]
    Up,
    /// Taken back.
    Down,
}

impl Direction {
    /// As it is stored.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One file in a database's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryRow {
    /// Which.
    pub(crate) id: MigrationId,
    /// Its phase then.
    pub(crate) phase: MigrationPhase,
    /// Over the normalised text.
    pub(crate) checksum: Digest,
    /// Over the bytes.
    pub(crate) raw_checksum: Digest,
    /// When; when it was begun, while it is not complete.
    pub(crate) applied_at: Timestamp,
    /// By whom.
    pub(crate) applied_by: String,
    /// How long it ran.
    pub(crate) took: Span,
    /// The release that brought it.
    pub(crate) release: Option<Version>,
    /// The upgrade that applied it.
    pub(crate) upgrade: Option<String>,
    /// Whether all of it is applied.
    pub(crate) complete: bool,
    /// Which way it was begun, while it is not complete.
    #[serde(default)]
    pub(crate) direction: Direction,
    /// Since when a backfill is pending again.
    pub(crate) reopened_at: Option<Timestamp>,
    /// Its statements that are on record, where they were asked for: of one that is not complete.
    #[serde(skip)]
    pub(crate) steps: Vec<Step>,
}

impl HistoryRow {
    /// As the planner sees it.
    pub(crate) fn applied(&self) -> AppliedMigration {
        AppliedMigration {
            id: self.id.clone(),
            phase: self.phase,
            checksum: self.checksum.clone(),
            applied_at: self.applied_at,
            took: self.took,
            release: self.release.clone(),
            complete: self.complete,
        }
    }

    /// Whether it is of this file as it is now.
    pub(crate) fn is_of(&self, migration: &Migration) -> bool {
        self.id == migration.id && self.checksum == migration.checksum
    }
}

/// All that a database has on record, read in one transaction.
pub(crate) struct Recorded {
    pub(crate) state: DatabaseState,
    pub(crate) meta: Option<Meta>,
    pub(crate) history: Vec<HistoryRow>,
    /// Whether there is a log: databases that were migrated before there was one have none until they are written to.
    pub(crate) has_log: bool,
}

impl Recorded {
    /// No table of ours.
    pub(crate) const fn nothing(state: DatabaseState) -> Self {
        Self {
            state,
            meta: None,
            history: Vec::new(),
            has_log: false,
        }
    }

    pub(crate) async fn read<S: SqlSession>(
        session: &mut S,
        dialect: Dialect,
        state: DatabaseState,
        has_log: bool,
    ) -> Result<Self, Failure> {
        let meta = meta(session, "").await?;
        let mut history = all(session).await?;
        for row in history.iter_mut().filter(|row| !row.complete) {
            row.steps = steps(session, &row.id, dialect).await?;
        }
        Ok(Self {
            state,
            meta,
            history,
            has_log,
        })
    }
}

/// A statement of a file that runs without a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) direction: Direction,
    pub(crate) ordinal: usize,
    pub(crate) checksum: Digest,
    pub(crate) finished: bool,
    /// What the database looked like before it, where DDL commits by itself.
    pub(crate) before: Option<String>,
}

fn int(number: u64) -> Option<String> {
    Some(number.to_string())
}

const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS {t}cutover_meta (
        id integer PRIMARY KEY CHECK (id = 1), format integer NOT NULL, store text NOT NULL,
        generation bigint NOT NULL, retired_below text)",
    "CREATE TABLE IF NOT EXISTS {t}cutover_history (
        number bigint NOT NULL, name text NOT NULL, width integer NOT NULL, phase text NOT NULL,
        checksum text NOT NULL, checksum_raw text NOT NULL, applied_at text NOT NULL, applied_by text NOT NULL,
        took_ms bigint NOT NULL, release text, upgrade text, complete integer NOT NULL, reopened_at text,
        PRIMARY KEY (number, name))",
    "CREATE TABLE IF NOT EXISTS {t}cutover_statements (
        number bigint NOT NULL, name text NOT NULL, direction text NOT NULL, ordinal integer NOT NULL,
        checksum text NOT NULL, started_at text NOT NULL, finished_at text, took_ms bigint,
        PRIMARY KEY (number, name, direction, ordinal))",
    "CREATE TABLE IF NOT EXISTS {t}cutover_log (
        seq bigint NOT NULL PRIMARY KEY, number bigint NOT NULL, name text NOT NULL, width integer NOT NULL,
        act text NOT NULL, done_at text NOT NULL, done_by text NOT NULL, took_ms bigint NOT NULL, release text,
        upgrade text, detail text)",
];

/// A statement in which `{t}` is where the history's tables are.
pub(crate) async fn run<S: SqlSession>(
    session: &mut S,
    sql: &str,
    params: &[Option<String>],
) -> Result<Vec<TextRow>, Failure> {
    let sql = sql.replace("{t}", session.prefix());
    session.rows(&sql, params).await
}

/// Makes the tables where they are missing, within the open transaction; asked only until a transaction of this session
/// that did so was committed.
pub(crate) async fn ensure<S: SqlSession>(session: &mut S) -> Result<(), Failure> {
    if *session.ensured() {
        return Ok(());
    }
    for table in TABLES {
        let table = format!("{table}{}", session.tables_end());
        run(session, &table, &[]).await?;
    }
    Ok(())
}

fn query<S: SqlSession>(session: &S, sql: &str, params: Vec<Option<String>>) -> Query {
    Query {
        sql: sql.replace("{t}", session.prefix()),
        params,
    }
}

/// The fence's row; locked for the rest of the transaction where the database locks rows.
pub(crate) async fn meta<S: SqlSession>(session: &mut S, for_update: &str) -> Result<Option<Meta>, Failure> {
    let rows = run(session, &meta_sql(for_update), &[]).await?;
    read_meta(&rows)
}

/// The same, and the row of one file.
pub(crate) async fn meta_and_one<S: SqlSession>(
    session: &mut S,
    for_update: &str,
    id: &MigrationId,
) -> Result<(Option<Meta>, Option<HistoryRow>), Failure> {
    let meta = query(session, &meta_sql(for_update), Vec::new());
    let one = query(session, &format!("{ROW}{OF_ONE}"), of_one(id));
    let (meta, one) = session.both(&meta, &one).await?;
    Ok((read_meta(&meta)?, one.first().map(read_row).transpose()?))
}

fn meta_sql(for_update: &str) -> String {
    format!(
        "SELECT CAST(format AS text), store, CAST(generation AS text), retired_below
         FROM {{t}}cutover_meta WHERE id = 1{for_update}"
    )
}

fn read_meta(rows: &[TextRow]) -> Result<Option<Meta>, Failure> {
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let mut row = Reader::new("cutover_meta", row);
    Ok(Some(Meta {
        format: row.parse()?,
        store: StoreId::new(row.text()?),
        generation: Generation(row.parse()?),
        retired_below: row.optional()?,
    }))
}

pub(crate) async fn write_meta<S: SqlSession>(session: &mut S, meta: &Meta) -> Result<(), Failure> {
    let params = [
        int(meta.format),
        Some(meta.store.to_string()),
        int(meta.generation.0),
        meta.retired_below.as_ref().map(Version::to_string),
    ];
    let sql = "INSERT INTO {t}cutover_meta (id, format, store, generation, retired_below)
        VALUES (1, CAST(?1 AS integer), ?2, CAST(?3 AS bigint), ?4)
        ON CONFLICT (id) DO UPDATE SET format = excluded.format, store = excluded.store,
            generation = excluded.generation, retired_below = excluded.retired_below";
    run(session, sql, &params).await.map(drop)
}

const ROW: &str =
    "SELECT CAST(number AS text), name, CAST(width AS text), phase, checksum, checksum_raw, applied_at,
        applied_by, CAST(took_ms AS text), release, upgrade, CAST(complete AS text), reopened_at
    FROM {t}cutover_history";

const OF_ONE: &str = " WHERE number = CAST(?1 AS bigint) AND name = ?2";

fn of_one(id: &MigrationId) -> Vec<Option<String>> {
    vec![int(id.number), Some(id.name.clone())]
}

pub(crate) async fn all<S: SqlSession>(session: &mut S) -> Result<Vec<HistoryRow>, Failure> {
    let rows = run(session, &format!("{ROW} ORDER BY number, name"), &[]).await?;
    rows.iter().map(read_row).collect()
}

/// Of each file that is applied, whole, the checksum over its bytes, in no order; none where one is begun or to run once more, or
/// where this version does not know the tables' format.
pub(crate) async fn checksums<S: SqlSession>(
    session: &mut S,
) -> Result<Option<Vec<(MigrationId, Digest)>>, Failure> {
    let meta = query(session, &meta_sql(""), Vec::new());
    let sql = "SELECT CAST(number AS text), name, CAST(width AS text), checksum_raw,
            CASE WHEN complete = 1 AND reopened_at IS NULL THEN '1' END FROM {t}cutover_history";
    let all = query(session, sql, Vec::new());
    let (meta, rows) = session.both(&meta, &all).await?;
    let known = read_meta(&meta)?.is_some_and(|meta| meta.format <= FORMAT);
    let whole = |row: &TextRow| row.last().is_some_and(Option::is_some);
    if !known || !rows.iter().all(whole) {
        return Ok(None);
    }
    let read = rows.iter().map(|row| {
        let mut row = Reader::new("cutover_history", row);
        let id = MigrationId {
            number: row.parse()?,
            name: row.text()?,
            width: row.parse()?,
        };
        Ok((id, row.digest()?))
    });
    read.collect::<Result<Vec<_>, _>>().map(Some)
}

/// The row of one file.
pub(crate) async fn one<S: SqlSession>(
    session: &mut S,
    id: &MigrationId,
) -> Result<Option<HistoryRow>, Failure> {
    let rows = run(session, &format!("{ROW}{OF_ONE}"), &of_one(id)).await?;
    rows.first().map(read_row).transpose()
}

/// Whether nothing was ever applied.
pub(crate) async fn is_empty<S: SqlSession>(session: &mut S) -> Result<bool, Failure> {
    let rows = run(session, "SELECT name FROM {t}cutover_history LIMIT 1", &[]).await?;
    Ok(rows.is_empty())
}

/// How far a file is, in one column: earlier versions knew whether it is [`WHOLE`], and nothing else.
const BEGUN: u8 = 0;
const WHOLE: u8 = 1;
const TAKEN_BACK: u8 = 2;

fn read_row(row: &TextRow) -> Result<HistoryRow, Failure> {
    let mut row = Reader::new("cutover_history", row);
    let mut out = HistoryRow {
        id: MigrationId {
            number: row.parse()?,
            name: row.text()?,
            width: row.parse()?,
        },
        phase: match row.text()?.as_str() {
            "expand" => MigrationPhase::Expand,
            "backfill" => MigrationPhase::Backfill,
            "contract" => MigrationPhase::Contract,
            other => return Err(row.damaged(other)),
        },
        checksum: row.digest()?,
        raw_checksum: row.digest()?,
        applied_at: row.parse()?,
        applied_by: row.text()?,
        took: Span::from_millis(row.parse()?),
        release: row.optional()?,
        upgrade: row.next(),
        complete: false,
        direction: Direction::Up,
        reopened_at: None,
        steps: Vec::new(),
    };
    match row.parse()? {
        WHOLE => out.complete = true,
        TAKEN_BACK => out.direction = Direction::Down,
        _ => {}
    }
    out.reopened_at = row.optional()?;
    Ok(out)
}

pub(crate) async fn put<S: SqlSession>(session: &mut S, row: &HistoryRow) -> Result<(), Failure> {
    let sql = format!("{INSERT}{OR_REPLACE}");
    run(session, &sql, &put_params(row)).await.map(drop)
}

/// A row, and the entry in the log that says what came of it.
pub(crate) async fn put_and_log<S: SqlSession>(
    session: &mut S,
    row: &HistoryRow,
    entry: &LogEntry,
) -> Result<(), Failure> {
    let put = query(session, &format!("{INSERT}{OR_REPLACE}"), put_params(row));
    let log = query(session, LOG, log_params(entry));
    session.both(&put, &log).await.map(drop)
}

/// The same, and the commit. `is_new`: nothing is on record of the file, which is the shortest way.
pub(crate) async fn put_log_and_commit<S: SqlSession>(
    session: &mut S,
    row: &HistoryRow,
    entry: &LogEntry,
    is_new: bool,
) -> Result<(), Failure> {
    let or_replace = if is_new { "" } else { OR_REPLACE };
    let put = query(session, &format!("{INSERT}{or_replace}"), put_params(row));
    let log = query(session, LOG, log_params(entry));
    session.both_and_commit(&put, &log).await
}

fn put_params(row: &HistoryRow) -> Vec<Option<String>> {
    let extent = match (row.complete, row.direction) {
        (true, _) => WHOLE,
        (false, Direction::Up) => BEGUN,
        (false, Direction::Down) => TAKEN_BACK,
    };
    vec![
        int(row.id.number),
        Some(row.id.name.clone()),
        int(row.id.width.into()),
        Some(row.phase.to_string()),
        Some(row.checksum.to_string()),
        Some(row.raw_checksum.to_string()),
        Some(row.applied_at.to_string()),
        Some(row.applied_by.clone()),
        int(row.took.as_millis()),
        row.release.as_ref().map(Version::to_string),
        row.upgrade.clone(),
        int(extent.into()),
        row.reopened_at.map(|at| at.to_string()),
    ]
}

const INSERT: &str =
    "INSERT INTO {t}cutover_history (number, name, width, phase, checksum, checksum_raw, applied_at, applied_by, took_ms,
            release, upgrade, complete, reopened_at)
        VALUES (CAST(?1 AS bigint), ?2, CAST(?3 AS integer), ?4, ?5, ?6, ?7, ?8, CAST(?9 AS bigint), ?10, ?11,
            CAST(?12 AS integer), ?13)";

const OR_REPLACE: &str = "
        ON CONFLICT (number, name) DO UPDATE SET width = excluded.width, phase = excluded.phase,
            checksum = excluded.checksum, checksum_raw = excluded.checksum_raw, applied_at = excluded.applied_at,
            applied_by = excluded.applied_by, took_ms = excluded.took_ms, release = excluded.release,
            upgrade = excluded.upgrade, complete = excluded.complete, reopened_at = excluded.reopened_at";

/// The file was never applied, as far as the history knows.
pub(crate) async fn remove<S: SqlSession>(session: &mut S, id: &MigrationId) -> Result<(), Failure> {
    let params = [int(id.number), Some(id.name.clone())];
    for table in ["cutover_history", "cutover_statements"] {
        let sql = format!("DELETE FROM {{t}}{table} WHERE number = CAST(?1 AS bigint) AND name = ?2");
        run(session, &sql, &params).await?;
    }
    Ok(())
}

/// Removes the rows of other texts of one that is repeatable: only the text that ran last counts.
pub(crate) async fn remove_former<S: SqlSession>(session: &mut S, id: &MigrationId) -> Result<(), Failure> {
    let rows = run(
        session,
        &format!("{ROW} WHERE number = CAST(?1 AS bigint)"),
        &[int(id.number)],
    )
    .await?;
    for row in &rows {
        let row = read_row(row)?;
        if row.id != *id && row.id.base() == id.base() {
            remove(session, &row.id).await?;
        }
    }
    Ok(())
}

pub(crate) async fn steps<S: SqlSession>(
    session: &mut S,
    id: &MigrationId,
    dialect: Dialect,
) -> Result<Vec<Step>, Failure> {
    let before = if dialect.is_mysql() {
        "before_shape"
    } else {
        "NULL"
    };
    let sql = format!(
        "SELECT direction, CAST(ordinal AS text), checksum, finished_at, CAST({before} AS text)
        FROM {{t}}cutover_statements WHERE number = CAST(?1 AS bigint) AND name = ?2 ORDER BY direction, ordinal"
    );
    let rows = run(session, &sql, &of_one(id)).await?;
    rows.iter()
        .map(|row| {
            let mut row = Reader::new("cutover_statements", row);
            Ok(Step {
                direction: match row.text()?.as_str() {
                    "up" => Direction::Up,
                    "down" => Direction::Down,
                    other => return Err(row.damaged(other)),
                },
                ordinal: row.parse()?,
                checksum: row.digest()?,
                finished: row.next().is_some(),
                before: row.next(),
            })
        })
        .collect()
}

/// What was done to a database's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// A file was applied.
    Up,
    /// A file was taken back.
    Down,
    /// A backfill must run once more.
    Reopen,
    /// A person corrected what is recorded.
    Repair,
    /// A file was recorded as applied without being run.
    Baseline,
    /// A file was recorded as applied because another tool's history says so.
    Import,
}

impl Act {
    /// As it is shown and stored.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Reopen => "reopen",
            Self::Repair => "repair",
            Self::Baseline => "baseline",
            Self::Import => "import",
        }
    }

    const ALL: [Self; 6] = [
        Self::Up,
        Self::Down,
        Self::Reopen,
        Self::Repair,
        Self::Baseline,
        Self::Import,
    ];
}

/// One thing that was done to a database's history; the list of them only grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// To which migration.
    pub id: MigrationId,
    /// What.
    pub act: Act,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// How long it ran.
    pub took: Span,
    /// By which release.
    pub release: Option<Version>,
    /// By which upgrade.
    pub upgrade: Option<String>,
    /// More, in words.
    pub detail: Option<String>,
}

/// Writes an entry; the fence's row is locked, so that no two writers take the same place.
pub(crate) async fn log<S: SqlSession>(session: &mut S, entry: &LogEntry) -> Result<(), Failure> {
    run(session, LOG, &log_params(entry)).await.map(drop)
}

fn log_params(entry: &LogEntry) -> Vec<Option<String>> {
    vec![
        int(entry.id.number),
        Some(entry.id.name.clone()),
        int(entry.id.width.into()),
        Some(entry.act.word().to_owned()),
        Some(entry.at.to_string()),
        Some(entry.by.clone()),
        int(entry.took.as_millis()),
        entry.release.as_ref().map(Version::to_string),
        entry.upgrade.clone(),
        entry.detail.clone(),
    ]
}

const LOG: &str =
    "INSERT INTO {t}cutover_log (seq, number, name, width, act, done_at, done_by, took_ms, release, upgrade,
            detail)
        SELECT coalesce(max(seq), 0) + 1, CAST(?1 AS bigint), ?2, CAST(?3 AS integer), ?4, ?5, ?6,
            CAST(?7 AS bigint), ?8, ?9, ?10 FROM {t}cutover_log";

/// All that was done, oldest first.
pub(crate) async fn entries<S: SqlSession>(session: &mut S) -> Result<Vec<LogEntry>, Failure> {
    let sql = "SELECT CAST(number AS text), name, CAST(width AS text), act, done_at, done_by, CAST(took_ms AS text),
            release, upgrade, detail FROM {t}cutover_log ORDER BY seq";
    let rows = run(session, sql, &[]).await?;
    rows.iter()
        .map(|row| {
            let mut row = Reader::new("cutover_log", row);
            Ok(LogEntry {
                id: MigrationId {
                    number: row.parse()?,
                    name: row.text()?,
                    width: row.parse()?,
                },
                act: {
                    let word = row.text()?;
                    let known = Act::ALL.into_iter().find(|act| act.word() == word);
                    known.ok_or_else(|| row.damaged(&word))?
                },
                at: row.parse()?,
                by: row.text()?,
                took: Span::from_millis(row.parse()?),
                release: row.optional()?,
                upgrade: row.next(),
                detail: row.next(),
            })
        })
        .collect()
}

/// Where in the history a statement stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepKey<'a> {
    pub(crate) id: &'a MigrationId,
    pub(crate) direction: Direction,
    pub(crate) ordinal: usize,
}

impl StepKey<'_> {
    fn params(self) -> [Option<String>; 4] {
        [
            int(self.id.number),
            Some(self.id.name.clone()),
            Some(self.direction.word().to_owned()),
            Some(self.ordinal.to_string()),
        ]
    }
}

/// Records a statement as begun, or as finished with how long it ran.
pub(crate) async fn put_step<S: SqlSession>(
    session: &mut S,
    key: StepKey<'_>,
    checksum: &Digest,
    now: Timestamp,
    took: Option<Span>,
) -> Result<(), Failure> {
    let mut params = key.params().to_vec();
    params.extend([
        Some(checksum.to_string()),
        Some(now.to_string()),
        took.map(|_| now.to_string()),
        took.map(|span| span.as_millis().to_string()),
    ]);
    let sql = "INSERT INTO {t}cutover_statements (number, name, direction, ordinal, checksum, started_at,
            finished_at, took_ms)
        VALUES (CAST(?1 AS bigint), ?2, ?3, CAST(?4 AS integer), ?5, ?6, ?7, CAST(?8 AS bigint))
        ON CONFLICT (number, name, direction, ordinal) DO UPDATE SET checksum = excluded.checksum,
            finished_at = excluded.finished_at, took_ms = excluded.took_ms";
    run(session, sql, &params).await.map(drop)
}

/// Keeps what the database looked like before a statement that commits by itself.
pub(crate) async fn put_shape<S: SqlSession>(
    session: &mut S,
    key: StepKey<'_>,
    shape: &str,
) -> Result<(), Failure> {
    let mut params = vec![Some(shape.to_owned())];
    params.extend(key.params());
    let sql =
        "UPDATE {t}cutover_statements SET before_shape = ?1 WHERE number = CAST(?2 AS bigint) AND name = ?3
        AND direction = ?4 AND ordinal = CAST(?5 AS integer)";
    run(session, sql, &params).await.map(drop)
}

/// The statement certainly did not happen.
pub(crate) async fn forget_step<S: SqlSession>(session: &mut S, key: StepKey<'_>) -> Result<(), Failure> {
    let sql = "DELETE FROM {t}cutover_statements WHERE number = CAST(?1 AS bigint) AND name = ?2
        AND direction = ?3 AND ordinal = CAST(?4 AS integer)";
    run(session, sql, &key.params()).await.map(drop)
}

/// Reads a row column by column; what does not fit is a damaged history, named by its table.
struct Reader<'a> {
    table: &'static str,
    columns: std::slice::Iter<'a, Option<String>>,
}

impl<'a> Reader<'a> {
    fn new(table: &'static str, row: &'a TextRow) -> Self {
        Self {
            table,
            columns: row.iter(),
        }
    }

    fn damaged(&self, value: &str) -> Failure {
        Failure::Statement {
            said: format!("{} holds `{value}`, which cutover never wrote", self.table),
            offset: None,
        }
    }

    fn next(&mut self) -> Option<String> {
        self.columns.next().cloned().flatten()
    }

    fn text(&mut self) -> Result<String, Failure> {
        self.next().ok_or_else(|| self.damaged("nothing"))
    }

    fn parse<T: std::str::FromStr>(&mut self) -> Result<T, Failure> {
        let text = self.text()?;
        text.parse().map_err(|_| self.damaged(&text))
    }

    fn optional<T: std::str::FromStr>(&mut self) -> Result<Option<T>, Failure> {
        let Some(text) = self.next() else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| self.damaged(&text))
    }

    fn digest(&mut self) -> Result<Digest, Failure> {
        let text = self.text()?;
        // The model makes digests only from content or from its own JSON.
        serde_json::from_value(text.clone().into()).map_err(|_| self.damaged(&text))
    }
}
