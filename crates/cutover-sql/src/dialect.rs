//! The databases whose SQL is told apart.

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
}

impl Dialect {
    /// Whether it is MySQL or MariaDB, which share their words.
    #[must_use]
    pub const fn is_mysql(self) -> bool {
        matches!(self, Self::Mysql | Self::MariaDb)
    }

    /// As people write it: `postgres`, `mysql`, `mariadb`, `sqlite`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }
}
