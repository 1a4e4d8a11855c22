//! The tables of other tools, by what their documentation and sources say of them.

use cutover_model::Diagnostic;
use cutover_ports::PortError;
use cutover_sql::Dialect;

use super::{Applied, Changeset, Theirs, Tool};
use crate::adapter::Reading;
use crate::failure::Failure;
use crate::session::{SqlSession, TextRow};

/// The history that a tool keeps in a database.
pub(crate) struct History {
    pub(crate) tool: Tool,
    pub(crate) dialect: Dialect,
    /// `database main`, for messages.
    pub(crate) what: String,
}

impl Reading for History {
    type Read = Theirs;

    async fn read<S: SqlSession>(self, session: &mut S) -> Result<Theirs, Failure> {
        read(session, self.dialect, &self.what, self.tool).await
    }
}

/// Reads a history; what failed there, or is not finished, is an error: nobody knows what such a file left behind.
async fn read<S: SqlSession>(
    session: &mut S,
    dialect: Dialect,
    what: &str,
    tool: Tool,
) -> Result<Theirs, Failure> {
    let rows = match session.rows(&sql(dialect, tool), &[]).await {
        Ok(rows) => rows,
        Err(Failure::Statement { said, .. }) => {
            return Err(missing(tool, format!("{what} has no history of {tool}: {said}")));
        }
        Err(other) => return Err(other),
    };
    if rows.is_empty() {
        return Err(missing(
            tool,
            format!("the history of {tool} in {what} says that nothing is applied"),
        ));
    }
    let theirs = match tool {
        Tool::Flyway => Theirs::Set(flyway(&rows)?),
        Tool::Dbmate | Tool::Rails => Theirs::Set(rows.iter().map(|row| version(at(row, 0))).collect()),
        Tool::Sqlx => {
            for row in &rows {
                if !is_true(at(row, 1)) {
                    return Err(failed(tool, at(row, 0), "sqlx migrate info"));
                }
            }
            Theirs::Set(rows.iter().map(|row| version(at(row, 0))).collect())
        }
        Tool::GolangMigrate => {
            let row = rows.first().map(Vec::as_slice).unwrap_or_default();
            let text = at(row, 0);
            if is_true(at(row, 1)) {
                return Err(failed(tool, text, "migrate force VERSION"));
            }
            let number = text.parse().map_err(|_| failed(tool, text, "migrate version"))?;
            Theirs::UpTo(number)
        }
        Tool::Alembic => Theirs::Heads(rows.iter().map(|row| at(row, 0).to_owned()).collect()),
        Tool::Liquibase => {
            refuse_locked(session, dialect, what).await?;
            Theirs::Changesets(liquibase(&rows)?)
        }
    };
    Ok(theirs)
}

/// Columns that hold no text are made text, so that one way of reading serves every database.
fn sql(dialect: Dialect, tool: Tool) -> String {
    match tool {
        Tool::Flyway => "SELECT version, description, type, CAST(success AS text) FROM flyway_schema_history
            ORDER BY installed_rank"
            .to_owned(),
        Tool::Alembic => "SELECT version_num FROM alembic_version ORDER BY version_num".to_owned(),
        Tool::GolangMigrate => {
            "SELECT CAST(version AS text), CAST(dirty AS text) FROM schema_migrations".to_owned()
        }
        Tool::Dbmate | Tool::Rails => "SELECT version FROM schema_migrations ORDER BY version".to_owned(),
        Tool::Sqlx => {
            "SELECT CAST(version AS text), CAST(success AS text) FROM _sqlx_migrations ORDER BY version"
                .to_owned()
        }
        Tool::Liquibase => format!(
            "SELECT id, author, filename, exectype FROM {} ORDER BY orderexecuted",
            liquibase_table(dialect, "databasechangelog")
        ),
    }
}

/// Liquibase writes its tables' names in upper case where the database keeps the case.
fn liquibase_table(dialect: Dialect, name: &str) -> String {
    if dialect.is_mysql() {
        name.to_uppercase()
    } else {
        name.to_owned()
    }
}

fn at(row: &[Option<String>], column: usize) -> &str {
    row.get(column).and_then(Option::as_deref).unwrap_or_default()
}

fn is_true(text: &str) -> bool {
    matches!(text, "true" | "1" | "t")
}

fn version(text: &str) -> Applied {
    Applied {
        version: text.to_owned(),
        name: None,
        and_below: false,
    }
}

/// Later rows take back what earlier ones say: an undo, or a version that was deleted.
fn flyway(rows: &[TextRow]) -> Result<Vec<Applied>, Failure> {
    let mut out: Vec<Applied> = Vec::new();
    for row in rows {
        let (version, kind) = (at(row, 0), at(row, 2));
        if !is_true(at(row, 3)) {
            return Err(failed(Tool::Flyway, version, "flyway repair"));
        }
        // Repeatable ones and the making of the schema have no version.
        if version.is_empty() {
            continue;
        }
        out.retain(|earlier| earlier.version != version);
        if kind != "DELETE" && !kind.starts_with("UNDO") {
            out.push(Applied {
                version: version.to_owned(),
                name: Some(at(row, 1).to_owned()),
                and_below: kind.contains("BASELINE"),
            });
        }
    }
    Ok(out)
}

fn liquibase(rows: &[TextRow]) -> Result<Vec<Changeset>, Failure> {
    let mut out = Vec::new();
    for row in rows {
        match at(row, 3) {
            "EXECUTED" | "RERAN" | "MARK_RAN" => out.push(Changeset {
                id: at(row, 0).to_owned(),
                author: at(row, 1).to_owned(),
                file: at(row, 2).to_owned(),
            }),
            "SKIPPED" => {}
            _ => return Err(failed(Tool::Liquibase, at(row, 0), "liquibase status")),
        }
    }
    Ok(out)
}

async fn refuse_locked<S: SqlSession>(session: &mut S, dialect: Dialect, what: &str) -> Result<(), Failure> {
    let sql = format!(
        "SELECT CAST(locked AS text), lockedby FROM {}",
        liquibase_table(dialect, "databasechangeloglock")
    );
    // On MySQL a bit is a byte, and on SQLite and PostgreSQL a truth or a number.
    let rows = session.rows(&sql, &[]).await?;
    let Some(row) = rows
        .iter()
        .find(|row| is_true(at(row, 0)) || at(row, 0) == "\u{1}")
    else {
        return Ok(());
    };
    Err(PortError::refused(
        Diagnostic::error(
            "migrate.import-failed",
            format!("liquibase is at work on {what}, or was ended in the middle: its lock is held"),
        )
        .note("held by", at(row, 1))
        .help("liquibase list-locks"),
    )
    .into())
}

fn missing(tool: Tool, message: String) -> Failure {
    PortError::refused(Diagnostic::error("migrate.import-missing", message).help(format!(
        "cutover migrate baseline --to NUMBER, or --from another tool than {tool}"
    )))
    .into()
}

fn failed(tool: Tool, version: &str, next: &str) -> Failure {
    PortError::refused(
        Diagnostic::error(
            "migrate.import-failed",
            format!("{version} failed under {tool}, and how much of it is applied is not known"),
        )
        .note("next", "mend it by its own tool first")
        .help(next),
    )
    .into()
}
