//! The same migrations as each tool wants them, and its commands.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::database::Database;
use crate::tool::{Kind, Tool};

/// A folder with files, and the tool that they are for.
pub(crate) struct Project<'a> {
    pub(crate) tool: &'a Tool,
    folder: PathBuf,
    files: usize,
}

/// Alembic's own template, without what logs.
const ENV_PY: &str = r#"import os
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(os.environ["BENCH_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"#;

const CUTOVER_YAML: &str = "apiVersion: cutover/v1
application: bench
databases:
  main: {url: \"${env:BENCH_URL}\", migrations: ./migrations}
";

impl<'a> Project<'a> {
    pub(crate) fn write(tool: &'a Tool, folder: &Path, files: usize) -> Result<Self> {
        let folder = folder.join(format!("{}-{files}", tool.kind.name().to_lowercase()));
        let versions = folder.join("migrations").join(match tool.kind {
            Kind::Cutover | Kind::Dbmate => "",
            Kind::Alembic => "versions",
        });
        if !versions.exists() {
            fs::create_dir_all(&versions)?;
            for at in 1..=files {
                write_one(tool.kind, &versions, at)?;
            }
        }
        if tool.kind == Kind::Cutover {
            fs::write(folder.join("cutover.yaml"), CUTOVER_YAML)?;
        }
        if tool.kind == Kind::Alembic {
            fs::write(
                folder.join("alembic.ini"),
                "[alembic]\nscript_location = migrations\n",
            )?;
            fs::write(folder.join("migrations/env.py"), ENV_PY)?;
        }
        Ok(Self { tool, folder, files })
    }

    /// Applies what is pending.
    pub(crate) fn up(&self, database: &Database) -> Result<()> {
        let words: &[&str] = match self.tool.kind {
            Kind::Cutover => &["migrate", "up", "--release", "1.0.0"],
            Kind::Dbmate => &["--no-dump-schema", "-d", "migrations", "up"],
            Kind::Alembic => &["upgrade", "head"],
        };
        self.run(database, words)
    }

    /// Records all of them as applied without running one.
    pub(crate) fn fill(&self, database: &Database) -> Result<()> {
        match self.tool.kind {
            Kind::Cutover => {
                let number = self.files.to_string();
                self.run(
                    database,
                    &["migrate", "baseline", "--to", &number, "--release", "1.0.0"],
                )
            }
            Kind::Alembic => self.run(database, &["stamp", "head"]),
            Kind::Dbmate => {
                let mut sql =
                    "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY);\n".to_owned();
                for at in 1..=self.files {
                    let _ = writeln!(sql, "INSERT INTO schema_migrations VALUES ('{at:06}');");
                }
                database.run(&format!("BEGIN;\n{sql}COMMIT;"))
            }
        }
    }

    fn run(&self, database: &Database, words: &[&str]) -> Result<()> {
        let kind = self.tool.kind;
        let mut command = Command::new(&self.tool.program);
        command.current_dir(&self.folder);
        match kind {
            Kind::Cutover => {
                command.env("CUTOVER_STATE", database.state(&self.folder));
            }
            Kind::Dbmate => {
                command.args(["--url", &database.url(kind)]);
            }
            Kind::Alembic => {}
        }
        let output = command
            .env("BENCH_URL", database.url(kind))
            .args(words)
            .output()
            .with_context(|| format!("cannot start {}", self.tool.program.display()))?;
        if !output.status.success() {
            bail!(
                "{} {}: {}{}",
                kind.name(),
                words.join(" "),
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }
}

fn write_one(kind: Kind, folder: &Path, at: usize) -> Result<()> {
    let up = format!("CREATE TABLE bench_{at} (id bigint PRIMARY KEY, name text NOT NULL)");
    let down = format!("DROP TABLE bench_{at}");
    let write = |name: String, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    match kind {
        Kind::Cutover => {
            write(
                format!("{at:06}_table.up.sql"),
                format!("-- cutover: phase=expand\n{up};\n"),
            )?;
            write(format!("{at:06}_table.down.sql"), format!("{down};\n"))
        }
        Kind::Dbmate => write(
            format!("{at:06}_table.sql"),
            format!("-- migrate:up\n{up};\n\n-- migrate:down\n{down};\n"),
        ),
        Kind::Alembic => {
            let before = match at {
                1 => "None".to_owned(),
                _ => format!("\"{:06}\"", at - 1),
            };
            write(
                format!("{at:06}_table.py"),
                format!(
                    "from alembic import op\n\nrevision = \"{at:06}\"\ndown_revision = {before}\n\n\ndef upgrade():\n    \
                     op.execute(\"{up}\")\n\n\ndef downgrade():\n    op.execute(\"{down}\")\n"
                ),
            )
        }
    }
}
