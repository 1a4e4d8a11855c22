//! The databases whose statements are told apart.

use crate::{TableName, quoted, ticked};

/// Whose rules of quoting and nesting hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL 12 and newer.
    Postgres,
    /// MySQL 5.7 and newer.
    Mysql,
    /// MariaDB 10.3 and newer.
    MariaDb,
    /// MongoDB 4.4 and newer: its statements are commands in Extended JSON.
    MongoDb,
}

impl Dialect {
    /// Whether it is MySQL or MariaDB, which share their words.
    #[must_use]
    pub const fn is_mysql(self) -> bool {
        matches!(self, Self::Mysql | Self::MariaDb)
    }

    /// As people write it: `postgres`, `mysql`, `mariadb`, `sqlite`, `mongodb`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::MariaDb => "mariadb",
            Self::MongoDb => "mongodb",
        }
    }

    /// A name as it is quoted.
    #[must_use]
    pub fn quoted(self, name: &str) -> String {
        if self.is_mysql() {
            ticked(name)
        } else {
            quoted(name)
        }
    }

    /// A table's name, quoted, with its schema.
    #[must_use]
    pub fn table(self, name: &TableName) -> String {
        if self.is_mysql() {
            name.ticked()
        } else {
            name.sql()
        }
    }

    /// What ends the name of a file.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Sqlite | Self::Postgres | Self::Mysql | Self::MariaDb => "sql",
            Self::MongoDb => "json",
        }
    }

    /// How a file of it says something of itself: `-- cutover: phase=expand`, `"phase": "expand"`.
    #[must_use]
    pub fn directive(self, key: &str, value: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres | Self::Mysql | Self::MariaDb => match key {
                "verify" | "precheck" => format!("-- cutover: {key} {value}"),
                "irreversible" => format!("-- cutover: {key} reason={value}"),
                _ => format!("-- cutover: {key}={value}"),
            },
            Self::MongoDb => match key {
                "verify" | "precheck" => format!("\"{key}\": {value}"),
                _ => format!("\"{key}\": \"{value}\""),
            },
        }
    }
}
