//! MySQL and MariaDB: another database on the same server, which the user must be allowed to make. Its statements are kept
//! in it: one that names another database is refused, since it would change what is in use.
//!
//! Who makes one holds a named lock for as long, so that one that was left behind by a run that was killed is known as such,
//! and removed by the next run.

use cutover_db::MysqlUrl;
use cutover_model::Diagnostic;
use cutover_ports::PortError;
use cutover_sql::catalog::Catalog;
use cutover_sql::{Dialect, ticked};

use super::{Part, refuse, run};
use crate::adapter::db_error;
use crate::failure::{Failure, plain};
use crate::introspect;
use crate::mysql::MysqlSession;
use crate::session::SqlSession as _;

/// What the names of scratch databases begin with.
const PREFIX: &str = "cutover_scratch_";

/// What the database holds now.
pub(super) async fn live(what: &str, url: &MysqlUrl) -> Result<Catalog, PortError> {
    let mut session = open(what, url).await?;
    let read = async {
        settle(&mut session).await?;
        introspect::catalog(&mut session, Dialect::MariaDb).await
    };
    read.await.map_err(|failure| plain(what, failure))
}

/// What its health is.
pub(super) async fn health(
    what: &str,
    url: &MysqlUrl,
    texts: Option<&[String]>,
) -> Result<Vec<Diagnostic>, PortError> {
    let mut session = open(what, url).await?;
    let looked = async {
        settle(&mut session).await?;
        crate::health::look(&mut session, Dialect::MariaDb, what, texts).await
    };
    looked.await.map_err(|failure| plain(what, failure))
}

async fn open(what: &str, url: &MysqlUrl) -> Result<MysqlSession, PortError> {
    MysqlSession::open(url, None)
        .await
        .map_err(|error| db_error(what, &error))
}

/// Nothing waits for others for long.
async fn settle(session: &mut MysqlSession) -> Result<(), Failure> {
    let seconds = super::WAIT.as_secs();
    let sql = format!("SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}");
    session.execute(&sql).await.map(drop)
}

async fn texts(session: &mut MysqlSession, sql: &str) -> Result<Vec<String>, Failure> {
    let rows = session.rows_as_written(sql).await?;
    Ok(rows
        .into_iter()
        .flatten()
        .map(Option::unwrap_or_default)
        .collect())
}

/// What the parts, one after the other, make of an empty database.
pub(super) async fn produced(what: &str, url: &MysqlUrl, parts: &[Part]) -> Result<Catalog, PortError> {
    let mut beside = open(what, url).await?;
    let (name, options, account) = begin(&mut beside).await.map_err(|failure| plain(what, failure))?;
    let create = format!("CREATE DATABASE {} {options}", ticked(&name));
    beside.execute(&create).await.map_err(|failure| match failure {
        Failure::Statement { said, .. } | Failure::Denied(said, _) => refuse(
            format!("{what} gives no database to try the migrations on: {said}"),
            &format!("mariadb -e \"GRANT ALL ON \\`cutover\\_scratch\\_%\\`.* TO {account}\""),
        ),
        other => plain(what, other),
    })?;
    let found = scratch(what, &url.with_database(&name), parts).await;
    remove(&mut beside, &name).await;
    found
}

/// The name of the new database, which this session now owns; what it is made with; and whose account this is, quoted.
async fn begin(beside: &mut MysqlSession) -> Result<(String, String, String), Failure> {
    settle(beside).await?;
    let about = format!(
        "SELECT CONCAT('{PREFIX}', CONNECTION_ID(), '_', CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED)),
            CONCAT('CHARACTER SET ', default_character_set_name, ' COLLATE ', default_collation_name), CURRENT_USER()
        FROM information_schema.schemata WHERE schema_name = DATABASE()"
    );
    let mut row = texts(beside, &about).await?.into_iter();
    let mut next = || row.next().unwrap_or_default();
    let (name, options, account) = (next(), next(), next());
    texts(beside, &format!("SELECT GET_LOCK('{name}', 0)")).await?;
    // The underscore stands for any character otherwise.
    let left = format!(
        "SELECT schema_name FROM information_schema.schemata
        WHERE schema_name REGEXP '^{PREFIX}[0-9]+_[0-9]+$' AND IS_FREE_LOCK(schema_name) = 1"
    );
    for name in texts(beside, &left).await? {
        remove(beside, &name).await;
    }
    let account = match account.rsplit_once('@') {
        Some((user, host)) => format!("'{user}'@'{host}'"),
        None => account,
    };
    Ok((name, options, account))
}

async fn remove(beside: &mut MysqlSession, name: &str) {
    let sql = format!("DROP DATABASE IF EXISTS {}", ticked(name));
    if let Err(failure) = beside.execute(&sql).await {
        tracing::warn!(database = %name, ?failure, "the scratch database stays");
    }
}

async fn scratch(what: &str, url: &MysqlUrl, parts: &[Part]) -> Result<Catalog, PortError> {
    let mut session = open(what, url).await?;
    let prepared = async {
        settle(&mut session).await?;
        let others = format!(
            "SELECT schema_name FROM information_schema.schemata
            WHERE schema_name NOT IN (DATABASE(), 'information_schema') AND LEFT(schema_name, {}) <> '{PREFIX}'",
            PREFIX.len()
        );
        let others = texts(&mut session, &others).await?;
        session.confine(others);
        Ok(())
    };
    prepared.await.map_err(|failure| plain(what, failure))?;
    run(what, &mut session, parts).await?;
    introspect::catalog(&mut session, Dialect::MariaDb)
        .await
        .map_err(|failure| plain(what, failure))
}
