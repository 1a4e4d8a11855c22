//! What `cutover migrate lint` is asked.

use std::path::PathBuf;

use clap::Args;
use cutover_model::Version;
use cutover_sql::lint::ServerVersion;

#[derive(Debug, Args)]
pub(crate) struct MigrateLint {
    /// Files, or folders with `.sql` files in the order of their names: what is linted
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Lint the text on standard input
    #[arg(long, conflicts_with = "files")]
    pub(crate) stdin: bool,
    /// Whose SQL it is
    #[arg(long, value_enum, value_name = "NAME", default_value = "postgres")]
    pub(crate) dialect: LintDialect,
    /// The PostgreSQL server's version [default: 16]
    #[arg(long, value_name = "VERSION", conflicts_with = "db_version")]
    pub(crate) pg_version: Option<ServerVersion>,
    /// The server's version [default: PostgreSQL 16, MySQL 8.4, MariaDB 10.11, SQLite 3.45]
    #[arg(long, value_name = "VERSION")]
    pub(crate) db_version: Option<ServerVersion>,
    /// Earlier migrations: what is there before
    #[arg(long, value_name = "FILE")]
    pub(crate) setup: Option<PathBuf>,
    /// Whether each text runs in one transaction [default: as its header says]
    #[arg(long, value_name = "true|false")]
    pub(crate) transaction: Option<bool>,
    /// Exit with 5 for findings of this weight or more
    #[arg(long, value_enum, value_name = "WEIGHT", default_value = "warning")]
    pub(crate) fail_on: LintWeight,
    /// Write findings for another program instead
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<LintFormat>,
    /// Leave out what a former `--output json` found
    #[arg(long, value_name = "FILE.json")]
    pub(crate) baseline: Option<PathBuf>,
    /// Report only files that changed since a revision of git; the others still make the schema
    #[arg(long, value_name = "REV", conflicts_with = "stdin")]
    pub(crate) since: Option<String>,
    /// Rewrite one file into expands, backfills and contracts that do the same while others work, in this folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["format", "baseline", "since"])]
    pub(crate) fix: Option<PathBuf>,
    /// Read what is there before from this database, and weigh locks by the sizes of its tables (PostgreSQL, SQLite)
    #[arg(
        long,
        value_name = "URL",
        env = "CUTOVER_LINT_DATABASE",
        hide_env_values = true,
        conflicts_with = "setup"
    )]
    pub(crate) database: Option<String>,
    /// Run the files in a transaction of that database which is rolled back, and tell the locks that they took
    #[arg(long, requires = "database", conflicts_with_all = ["fix", "format", "baseline", "since"])]
    pub(crate) trace: bool,
    /// Of the contracts that --fix writes: versions below this cannot live with them
    #[arg(long, value_name = "VERSION", requires = "fix")]
    pub(crate) retires: Option<Version>,
}

/// `--dialect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LintDialect {
    Postgres,
    Mysql,
    Mariadb,
    Sqlite,
    Mongodb,
}

/// `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LintWeight {
    Error,
    Warning,
    Note,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LintFormat {
    /// SARIF 2.1.0
    Sarif,
    /// Annotations of GitHub Actions
    Github,
    /// GitLab's code quality report
    Gitlab,
    /// JUnit's XML
    Junit,
}
