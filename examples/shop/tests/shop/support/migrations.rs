//! The migration files of a release, applied one by one around the shop.

use std::path::PathBuf;

use cutover_migrate::{MigrationFile, Script, from_files, read_folder};

#[derive(Clone, Copy)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A database that the tests reach around the shop.
pub(crate) enum Direct {
    Sqlite(rusqlite::Connection),
    Postgres(tokio_postgres::Client),
}

pub(crate) fn folder(version: &str, dialect: Dialect) -> PathBuf {
    let dialect = match dialect {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgres",
    };
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("releases")
        .join(version)
        .join("migrations")
        .join(dialect)
}

impl Direct {
    pub(crate) fn open(url: &str) -> Self {
        let connection = rusqlite::Connection::open(url.strip_prefix("sqlite://").unwrap()).unwrap();
        connection
            .busy_timeout(std::time::Duration::from_secs(10))
            .unwrap();
        Self::Sqlite(connection)
    }

    fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The migrations of 1.1.0, with what their directives ask for.
    fn files(&self) -> Vec<MigrationFile> {
        let stored = read_folder(&folder("1.1.0", self.dialect())).unwrap();
        let dialect = match self {
            Self::Sqlite(_) => cutover_sql::Dialect::Sqlite,
            Self::Postgres(_) => cutover_sql::Dialect::Postgres,
        };
        from_files(&"main".parse().unwrap(), &stored, dialect).unwrap()
    }

    /// Runs one file of 1.1.0, `002_full_name.up.sql`, in one transaction; a backfill in a single batch.
    pub(crate) async fn apply(&self, name: &str) {
        let files = self.files();
        let scripts = files
            .iter()
            .flat_map(|file| std::iter::once(&file.up).chain(&file.down));
        let script: &Script = scripts
            .into_iter()
            .find(|script| script.name == name)
            .expect(name);
        let statements: Vec<&str> = script.statements.iter().map(|one| one.text.as_str()).collect();
        let transaction = format!("BEGIN;\n{};\nCOMMIT;", statements.join(";\n"));
        self.execute(&transaction.replace("{batch}", "1 = 1")).await;
    }

    pub(crate) async fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(connection) => connection
                .execute_batch(sql)
                .unwrap_or_else(|error| panic!("{error}\n{sql}")),
            Self::Postgres(client) => {
                client
                    .batch_execute(sql)
                    .await
                    .unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
            }
        }
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        match self {
            Self::Sqlite(connection) => connection.query_row(sql, [], |row| row.get(0)).unwrap(),
            Self::Postgres(client) => client.query_one(sql, &[]).await.unwrap().get(0),
        }
    }

    /// What the backfill's own verify query says: rows in which both sides do not agree.
    pub(crate) async fn disagreements(&self) -> i64 {
        let files = self.files();
        let query = files.iter().find_map(|file| file.migration.verify.clone());
        self.count(&query.expect("a verify query")).await
    }
}
