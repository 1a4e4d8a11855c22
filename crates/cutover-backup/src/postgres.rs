//! PostgreSQL: its own `pg_dump` and `pg_restore`. The password reaches them in their environment, never as an argument.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cutover_db::{DbError, PgSession, PostgresUrl, describe};
use tokio::process::Command;

use crate::error::BackupError;

/// Where the programs are; none: on the path.
pub(crate) type Programs = Option<PathBuf>;

/// What the programs get of this process's environment. Not the rest: it may hold secrets that are none of theirs, and
/// settings (`PGSERVICE`, `PGHOSTADDR`, `PGOPTIONS`) that would lead them elsewhere than the URL says.
const PASSED_ON: [&str; 5] = ["HOME", "LD_LIBRARY_PATH", "PATH", "PGCLUSTER", "TMPDIR"];

/// Product and version, and the size in bytes.
pub(crate) async fn about(url: &PostgresUrl) -> Result<(String, u64), BackupError> {
    let session = PgSession::connect(url, "cutover: backup").await?;
    let sql =
        "SELECT split_part(current_setting('server_version'), ' ', 1), pg_database_size(current_database())";
    let rows = session.query_typed(sql, &[]).await;
    let failed = |cause: String| DbError::Failed {
        what: url.to_string(),
        cause,
    };
    let rows = rows.map_err(|error| failed(describe(&error)))?;
    let row = rows
        .first()
        .ok_or_else(|| failed("no answer to the first query".to_owned()))?;
    let version: String = row.get(0);
    let size: i64 = row.get(1);
    Ok((format!("PostgreSQL {version}"), u64::try_from(size).unwrap_or(0)))
}

/// Dumps a database into a file that exists already.
pub(crate) async fn dump(programs: &Programs, url: &PostgresUrl, to: &Path) -> Result<(), BackupError> {
    let mut arguments: Vec<OsString> = ["--format=custom", "--lock-wait-timeout=30s"]
        .map(OsString::from)
        .to_vec();
    arguments.extend([OsString::from("--file"), to.into()]);
    arguments.extend(connection(url));
    run(programs, "pg_dump", Some(url), &arguments).await.map(drop)
}

/// The dump's table of contents can be read.
pub(crate) async fn verify(programs: &Programs, file: &Path) -> Result<(), BackupError> {
    let arguments = [OsString::from("--list"), file.into()];
    let damaged = |cause: String| BackupError::Damaged {
        path: file.display().to_string(),
        cause,
    };
    match run(programs, "pg_restore", None, &arguments).await {
        Ok(list) if list.contains("Archive created at") => Ok(()),
        Ok(_) => Err(damaged("it has no table of contents".to_owned())),
        Err(BackupError::ToolFailed { said, .. }) => Err(damaged(said)),
        Err(error) => Err(error),
    }
}

/// Puts a dump in a database's place, in one transaction.
pub(crate) async fn restore(programs: &Programs, file: &Path, url: &PostgresUrl) -> Result<(), BackupError> {
    let mut arguments: Vec<OsString> = [
        "--clean",
        "--if-exists",
        "--no-owner",
        "--single-transaction",
        "--exit-on-error",
    ]
    .map(OsString::from)
    .to_vec();
    arguments.extend(connection(url));
    arguments.push(file.into());
    run(programs, "pg_restore", Some(url), &arguments).await.map(drop)
}

/// The tables that are in the database and not in the dump, as `schema.table`: `pg_restore --clean` drops only what it
/// knows.
pub(crate) async fn left_over(
    programs: &Programs,
    file: &Path,
    url: &PostgresUrl,
) -> Result<Vec<String>, BackupError> {
    let arguments = [OsString::from("--list"), file.into()];
    let list = run(programs, "pg_restore", None, &arguments).await?;
    let dumped: BTreeSet<String> = list.lines().filter_map(listed_table).collect();
    let session = PgSession::connect(url, "cutover: restore").await?;
    let sql = "SELECT schemaname || ' ' || tablename, schemaname || '.' || tablename FROM pg_tables
        WHERE schemaname NOT LIKE 'pg\\_%' AND schemaname <> 'information_schema' ORDER BY 2";
    let rows = session.query_typed(sql, &[]).await;
    let rows = rows.map_err(|error| DbError::Failed {
        what: url.to_string(),
        cause: describe(&error),
    })?;
    Ok(rows
        .iter()
        .map(|row| (row.get::<_, String>(0), row.get::<_, String>(1)))
        .filter(|(listed, _)| !dumped.contains(listed))
        .map(|(_, name)| name)
        .collect())
}

/// `215; 1259 16385 TABLE public users postgres` → `public users`: everything between the kind and the owner, because
/// names may hold spaces and the list does not quote them.
fn listed_table(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(" TABLE ")?;
    if rest.starts_with("DATA ") || line.starts_with(';') {
        return None;
    }
    rest.rsplit_once(' ').map(|(name, _)| name.to_owned())
}

fn connection(url: &PostgresUrl) -> Vec<OsString> {
    let mut arguments = vec![
        "--no-password".to_owned(),
        "--host".to_owned(),
        url.host(),
        "--port".to_owned(),
        url.port().to_string(),
        "--dbname".to_owned(),
        url.database().to_owned(),
    ];
    if let Some(user) = url.user() {
        arguments.extend(["--username".to_owned(), user.to_owned()]);
    }
    arguments.into_iter().map(OsString::from).collect()
}

async fn run(
    programs: &Programs,
    tool: &str,
    url: Option<&PostgresUrl>,
    arguments: &[OsString],
) -> Result<String, BackupError> {
    let program = programs
        .as_ref()
        .map_or_else(|| PathBuf::from(tool), |folder| folder.join(tool));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(
            PASSED_ON
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .env("LC_ALL", "C")
        .env("PGCONNECT_TIMEOUT", "10")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(url) = url {
        command.envs(url.libpq_tls());
    }
    if let Some(password) = url.and_then(PostgresUrl::password) {
        command.env("PGPASSWORD", OsStr::from_bytes(password));
    }
    let output = match command.output().await {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BackupError::ToolMissing {
                tool: tool.to_owned(),
            });
        }
        Err(error) => {
            return Err(BackupError::ToolFailed {
                tool: tool.to_owned(),
                said: error.to_string(),
            });
        }
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // The first lines name the cause; what follows is what could not be done because of it.
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).take(3).collect();
    Err(BackupError::ToolFailed {
        tool: tool.to_owned(),
        said: if lines.is_empty() {
            output.status.to_string()
        } else {
            lines.join("; ")
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_from_a_dumps_list() {
        let table = listed_table("215; 1259 16385 TABLE public my users postgres");
        assert_eq!(table.as_deref(), Some("public my users"));
        for other in [
            "3352; 0 16385 TABLE DATA public users postgres",
            "; Archive created at TABLE x y",
            "3; 2606 1 CONSTRAINT public users users_pkey postgres",
        ] {
            assert_eq!(listed_table(other), None, "{other}");
        }
    }
}
