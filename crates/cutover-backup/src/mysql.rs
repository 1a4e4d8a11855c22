//! MySQL and MariaDB: their own `mariadb-dump` and `mariadb` (or `mysqldump` and `mysql`). The password reaches them in
//! their environment, never as an argument.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cutover_db::{DbError, MySession, MysqlUrl, describe_mysql};
use mysql_async::prelude::Queryable as _;
use tokio::process::Command;

use crate::error::BackupError;
use crate::postgres::Programs;

/// What the programs get of this process's environment; the rest may hold secrets that are none of theirs.
const PASSED_ON: [&str; 4] = ["HOME", "LD_LIBRARY_PATH", "PATH", "TMPDIR"];

/// What a dump's last line begins with; a dump that broke off has none.
const END: &[u8] = b"-- Dump completed";

fn failed(url: &MysqlUrl, error: &mysql_async::Error) -> DbError {
    DbError::Failed {
        what: url.to_string(),
        cause: describe_mysql(error),
    }
}

/// Product and version, and the size in bytes.
pub(crate) async fn about(url: &MysqlUrl) -> Result<(String, u64), BackupError> {
    let mut session = MySession::connect(url, "cutover: backup").await?;
    let row: Option<(String, Option<u64>)> = session
        .query_first(
            "SELECT VERSION(), CAST(SUM(data_length + index_length) AS UNSIGNED) FROM information_schema.tables
             WHERE table_schema = DATABASE()",
        )
        .await
        .map_err(|error| failed(url, &error))?;
    let (version, size) = row.unwrap_or_default();
    let product = if version.to_lowercase().contains("mariadb") {
        "MariaDB"
    } else {
        "MySQL"
    };
    let number = version.split(['-', '+']).next().unwrap_or_default();
    Ok((format!("{product} {number}"), size.unwrap_or(0)))
}

/// Dumps a database, as it is at one moment, into a file that exists already.
pub(crate) async fn dump(programs: &Programs, url: &MysqlUrl, to: &Path) -> Result<(), BackupError> {
    let mut arguments: Vec<OsString> = [
        "--single-transaction",
        "--quick",
        "--routines",
        "--triggers",
        "--events",
        "--hex-blob",
        "--no-tablespaces",
        "--default-character-set=utf8mb4",
    ]
    .map(OsString::from)
    .to_vec();
    let mut file = OsString::from("--result-file=");
    file.push(to);
    arguments.push(file);
    arguments.extend(connection(url));
    arguments.push(url.database().into());
    run(programs, ["mariadb-dump", "mysqldump"], url, &arguments, None).await
}

/// The dump is whole: it says so in its last line.
pub(crate) fn verify(file: &Path) -> Result<(), BackupError> {
    let damaged = |cause: String| BackupError::Damaged {
        path: file.display().to_string(),
        cause,
    };
    let tail = || -> std::io::Result<Vec<u8>> {
        let mut from = File::open(file)?;
        let length = from.metadata()?.len();
        from.seek(SeekFrom::Start(length.saturating_sub(256)))?;
        let mut tail = Vec::new();
        from.read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = tail().map_err(|error| damaged(error.to_string()))?;
    if tail.windows(END.len()).any(|window| window == END) {
        return Ok(());
    }
    Err(damaged("it has no end".to_owned()))
}

/// Puts a dump in a database's place, and answers the tables that it does not know and that are still there. Each
/// table is replaced in turn: the server has no transaction around that.
pub(crate) async fn restore(
    programs: &Programs,
    file: &Path,
    url: &MysqlUrl,
) -> Result<Vec<String>, BackupError> {
    let from = File::open(file).map_err(|error| BackupError::folder(file, &error))?;
    let mut arguments: Vec<OsString> = vec!["--default-character-set=utf8mb4".into()];
    arguments.extend(connection(url));
    arguments.push(url.database().into());
    run(programs, ["mariadb", "mysql"], url, &arguments, Some(from)).await?;

    let dumped = dumped_tables(file).map_err(|error| BackupError::folder(file, &error))?;
    let mut session = MySession::connect(url, "cutover: restore").await?;
    let tables: Vec<String> = session
        .query(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()
             AND table_type = 'BASE TABLE' ORDER BY table_name",
        )
        .await
        .map_err(|error| failed(url, &error))?;
    Ok(tables
        .into_iter()
        .filter(|table| !dumped.contains(table))
        .map(|table| format!("{}.{table}", url.database()))
        .collect())
}

/// The tables that a dump makes, read line by line: its data may be larger than memory.
fn dumped_tables(file: &Path) -> std::io::Result<BTreeSet<String>> {
    use std::io::BufRead as _;
    let mut reader = std::io::BufReader::new(File::open(file)?);
    let (mut line, mut out) = (Vec::new(), BTreeSet::new());
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(out);
        }
        if let Some(rest) = line.strip_prefix(b"CREATE TABLE `")
            && let Some(end) = rest.windows(3).position(|window| window == b"` (")
        {
            out.insert(String::from_utf8_lossy(&rest[..end]).replace("``", "`"));
        }
    }
}

fn connection(url: &MysqlUrl) -> Vec<OsString> {
    let mut arguments = vec![
        "--protocol=tcp".to_owned(),
        format!("--host={}", url.host()),
        format!("--port={}", url.port()),
    ];
    if let Some(user) = url.user() {
        arguments.push(format!("--user={user}"));
    }
    arguments.into_iter().map(OsString::from).collect()
}

/// Runs the first of the programs that is installed.
async fn run(
    programs: &Programs,
    tools: [&str; 2],
    url: &MysqlUrl,
    arguments: &[OsString],
    input: Option<File>,
) -> Result<(), BackupError> {
    for tool in tools {
        let program = programs
            .as_ref()
            .map_or_else(|| PathBuf::from(tool), |folder| folder.join(tool));
        let mut command = Command::new(program);
        command
            // Only the first place is looked at: no file of options leads elsewhere than the URL says.
            .arg("--no-defaults")
            .args(arguments)
            .args(url.tls_options(tool.starts_with("mariadb")))
            .env_clear()
            .envs(
                PASSED_ON
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .env("LC_ALL", "C")
            .stdout(Stdio::null())
            .kill_on_drop(true);
        if let Some(password) = url.password() {
            command.env("MYSQL_PWD", password);
        }
        let input = input.as_ref().map(File::try_clone).transpose();
        let input = input.map_err(|error| failed_to_run(tool, &error))?;
        command.stdin(input.map_or_else(Stdio::null, Stdio::from));
        let output = match command.output().await {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed_to_run(tool, &error)),
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).take(3).collect();
        return Err(BackupError::ToolFailed {
            tool: tool.to_owned(),
            said: if lines.is_empty() {
                output.status.to_string()
            } else {
                lines.join("; ")
            },
        });
    }
    Err(BackupError::ToolMissing {
        tool: tools.join(" or "),
    })
}

fn failed_to_run(tool: &str, error: &std::io::Error) -> BackupError {
    BackupError::ToolFailed {
        tool: tool.to_owned(),
        said: error.to_string(),
    }
}
