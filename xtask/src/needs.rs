//! What the tests start that is not built here, and whether this machine has it.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::debian;

/// A program that tests start, and the Debian package that brings it.
struct Need {
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

const NEEDS: [Need; 14] = [
    Need {
        program: "git",
        package: "git",
        why: "tells the linter under test what is new",
    },
    Need {
        program: "initdb",
        package: "postgresql",
        why: "makes the PostgreSQL server of a test",
    },
    Need {
        program: "pg_ctl",
        package: "postgresql",
        why: "starts and stops it",
    },
    Need {
        program: "postgres",
        package: "postgresql",
        why: "is that server",
    },
    Need {
        program: "psql",
        package: "postgresql-client",
        why: "looks at it from outside",
    },
    Need {
        program: "pg_dump",
        package: "postgresql-client",
        why: "makes the backups under test",
    },
    Need {
        program: "pg_restore",
        package: "postgresql-client",
        why: "verifies and restores them",
    },
    Need {
        program: "mariadbd",
        package: "mariadb-server",
        why: "is the MariaDB server of a test",
    },
    Need {
        program: "mariadb-install-db",
        package: "mariadb-server",
        why: "makes its folder",
    },
    Need {
        program: "mariadb-dump",
        package: "mariadb-client",
        why: "makes the backups under test",
    },
    Need {
        program: "prometheus",
        package: "prometheus",
        why: "is asked for metrics",
    },
    Need {
        program: "pgbouncer",
        package: "pgbouncer",
        why: "stands between the migrations under test and PostgreSQL",
    },
    Need {
        program: "alembic",
        package: "alembic",
        why: "migrates databases in the place of files",
    },
    Need {
        program: "psycopg2/__init__.py",
        package: "python3-psycopg2",
        why: "is how it reaches PostgreSQL",
    },
];

/// Debian keeps the server's programs out of the search path, one folder a major version.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Where Python finds what Debian brings.
const PYTHON: &str = "/usr/lib/python3/dist-packages";

/// Nor is this in everybody's.
const SERVERS: &str = "/usr/sbin";

/// This machine lacks something and the task may not, or cannot, install it: exit code 2.
#[derive(Debug)]
pub(crate) struct NotReady(pub(crate) String);

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotReady {}

/// Makes sure that everything is there: installs only what is missing, and only as root on a Debian; says what is
/// missing and how to get it otherwise.
pub(crate) fn ensure(install: bool) -> Result<()> {
    let folders = folders();
    let missing = missing(&folders);
    if missing.is_empty() {
        println!("everything the tests start is here");
        return Ok(());
    }
    let packages = packages(&missing);
    if !install || !debian::can_install() {
        return Err(NotReady(explain(&missing, &packages)).into());
    }
    println!("installing {}", packages.join(", "));
    debian::install(&packages)?;

    let still = self::missing(&self::folders());
    if still.is_empty() {
        return Ok(());
    }
    let packages = self::packages(&still);
    Err(NotReady(explain(&still, &packages)).into())
}

fn missing(folders: &[PathBuf]) -> Vec<&'static Need> {
    NEEDS
        .iter()
        .filter(|need| !folders.iter().any(|folder| folder.join(need.program).is_file()))
        .collect()
}

fn packages(missing: &[&Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    packages.dedup();
    packages
}

fn explain(missing: &[&Need], packages: &[&str]) -> String {
    let mut text = String::from("the tests start programs that this machine does not have:\n");
    for need in missing {
        text.push_str(&format!("  {:<12} {}\n", need.program, need.why));
    }
    text.push_str("get them, then run this again:\n");
    text.push_str(&format!("  sudo {}", debian::command_line(packages)));
    if !debian::is_debian() {
        text.push_str(
            "\n  (this is not a Debian: install PostgreSQL and MariaDB, server and client, Prometheus, PgBouncer and Alembic, and put their programs in PATH)",
        );
    }
    text
}

/// Where programs are looked for.
fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = env::split_paths(&path).collect();
    folders.push(SERVERS.into());
    folders.push(PYTHON.into());
    if let Ok(versions) = fs::read_dir(Path::new(POSTGRESQL)) {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_nothing_is_told_everything_once() {
        let missing = missing(&[]);
        assert_eq!(missing.len(), NEEDS.len());
        let packages = packages(&missing);
        assert_eq!(
            packages,
            [
                "git",
                "postgresql",
                "postgresql-client",
                "mariadb-server",
                "mariadb-client",
                "prometheus",
                "pgbouncer",
                "alembic",
                "python3-psycopg2"
            ]
        );

        let text = explain(&missing, &packages);
        assert!(text.contains("pg_restore"), "{text}");
        assert!(
            text.contains(
                "--no-install-recommends git postgresql postgresql-client mariadb-server mariadb-client prometheus pgbouncer alembic python3-psycopg2"
            ),
            "{text}"
        );
    }

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let folder = env::temp_dir().join(format!("xtask-needs-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for program in ["git", "initdb", "pg_ctl", "postgres", "psql"] {
            fs::write(folder.join(program), "").unwrap();
        }
        let missing = missing(std::slice::from_ref(&folder));
        fs::remove_dir_all(&folder).unwrap();

        assert_eq!(
            packages(&missing),
            [
                "postgresql-client",
                "mariadb-server",
                "mariadb-client",
                "prometheus",
                "pgbouncer",
                "alembic",
                "python3-psycopg2"
            ]
        );
    }
}
