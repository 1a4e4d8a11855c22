//! Connections to the databases of an application: URLs, sessions, and what went wrong with them, in words that hold
//! no password.
//!
//! Owns nothing that lasts: a session ends when it is dropped. It must not know of migrations, histories or backups.

mod error;
mod mongo;
mod mysql;
mod postgres;
mod sqlite;
mod tls;
mod url;

pub use error::DbError;
pub use mongo::MongoUrl;
pub use mysql::{MySession, describe_mysql};
pub use postgres::{PgSession, describe};
pub use sqlite::{SqliteMode, disk_full, is_busy, open_sqlite, sqlite_message};
pub use tls::SslMode;
pub use url::{DatabaseUrl, MysqlUrl, PostgresUrl, SqliteUrl};
