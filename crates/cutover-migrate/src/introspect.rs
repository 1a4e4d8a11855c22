//! What a live database holds, as a [`Catalog`].
//!
//! Definitions are asked of the server in its own words. Cutover's own tables are not part of it, nor is what an
//! extension brings.

mod mysql;
mod postgres;
mod sqlite;

use cutover_sql::Dialect;
use cutover_sql::catalog::Catalog;

use crate::failure::Failure;
use crate::session::SqlSession;

/// Cutover's own tables begin like this.
const OWN: &str = "cutover_";

pub(crate) async fn catalog<S: SqlSession>(session: &mut S, dialect: Dialect) -> Result<Catalog, Failure> {
    match dialect {
        Dialect::Postgres => postgres::catalog(session).await,
        Dialect::Sqlite => sqlite::catalog(session).await,
        Dialect::Mysql | Dialect::MariaDb => mysql::catalog(session).await,
        Dialect::MongoDb => Ok(Catalog::default()),
    }
}

/// A row's columns, in order; NULL is empty.
struct Row(std::vec::IntoIter<Option<String>>);

impl Row {
    fn text(&mut self) -> String {
        self.0.next().flatten().unwrap_or_default()
    }

    fn optional(&mut self) -> Option<String> {
        self.0.next().flatten()
    }

    fn flag(&mut self) -> bool {
        matches!(self.text().as_str(), "true" | "t" | "1")
    }
}

async fn rows<S: SqlSession>(session: &mut S, sql: &str) -> Result<Vec<Row>, Failure> {
    let rows = session.rows_as_written(sql).await?;
    Ok(rows.into_iter().map(|row| Row(row.into_iter())).collect())
}
