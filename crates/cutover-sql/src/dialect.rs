//! The databases whose SQL is told apart.

/// Whose rules of quoting and nesting hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL 12 and newer.
    Postgres,
}
