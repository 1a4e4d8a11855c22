//! What a test does when what it needs is not installed.

use std::path::PathBuf;

/// The folder of the programs of `what` (`postgres`), or none, after saying how to install it. With `CI=true` a
/// missing one is a failure: a skipped test proves nothing.
///
/// # Panics
/// With `CI=true` when it is missing, and for a `what` that is not known.
#[must_use]
pub fn require_or_skip(what: &str) -> Option<PathBuf> {
    let (found, package) = match what {
        "postgres" => (postgres_programs(), "postgresql"),
        "pgbouncer" => (in_path("pgbouncer"), "pgbouncer"),
        "prometheus" => (in_path("prometheus"), "prometheus"),
        "alembic" => (in_path("alembic"), "alembic python3-psycopg2"),
        "mariadbd" => (in_path("mariadbd"), "mariadb-server"),
        _ => panic!("`{what}` is not known to the testkit"),
    };
    if found.is_none() {
        let told = format!("skipped: no {what} here; install with: apt-get install {package}");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{told}");
        #[expect(
            clippy::print_stderr,
            reason = "a skipped test says so where the runner shows it"
        )]
        {
            eprintln!("{told}");
        }
    }
    found
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian puts servers, which is not in everybody's path.
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .find(|folder| folder.join(program).is_file())
}

/// The newest installed one, from where Debian puts them, else from the path.
fn postgres_programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .chain(std::env::split_paths(&path))
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}
