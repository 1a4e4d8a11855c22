//! The migration files of a release, applied whole: what a migration tool does statement by statement.

use std::path::PathBuf;

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

    fn read(&self, file: &str) -> String {
        let path = folder("1.1.0", self.dialect()).join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Runs one file of 1.1.0, `002_full_name.up.sql`.
    pub(crate) async fn apply(&self, file: &str) {
        let sql = self.read(file);
        let transaction = format!("BEGIN;\n{sql}\nCOMMIT;");
        self.execute(&transaction).await;
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
        let text = self.read("003_backfill_full_name.up.sql");
        let query = text
            .lines()
            .find_map(|line| line.strip_prefix("-- cutover: verify "))
            .expect("a verify query");
        self.count(query).await
    }
}
