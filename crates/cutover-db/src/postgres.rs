//! Sessions with a PostgreSQL server.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls_improved::MakeRustlsConnect;

use crate::{DbError, PostgresUrl};

/// How long a server may take to answer a connection, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a second session is waited for.
const SECOND_SESSION: Duration = Duration::from_secs(2);

/// A session with a server; it ends when this is dropped.
#[derive(Debug)]
pub struct PgSession {
    client: Client,
    driver: JoinHandle<()>,
}

impl PgSession {
    /// Connects. The name is what `pg_stat_activity` shows.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses the user, or has no such database.
    pub async fn connect(url: &PostgresUrl, name: &str) -> Result<Self, DbError> {
        let mut config = url.config.clone();
        config.application_name(name);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        let tls = url.tls.client().map_err(|cause| DbError::Tls {
            what: url.to_string(),
            cause,
        })?;
        // A handshake's future is large, and would be part of everybody's who connects.
        let (client, connection) = Box::pin(config.connect(MakeRustlsConnect::new(tls)))
            .await
            .map_err(|error| classify(url, &error))?;
        // The connection's own error reaches every caller through the client.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, driver })
    }

    /// Makes sure that this session is one of the server's own for as long as it lives. A second one is asked for: where a
    /// pooler shares sessions (PgBouncer's `pool_mode = transaction` or `statement`), it gets the one that was free last,
    /// which is this one's, or this one is another now. Not where the server says that it is itself at the URL's address.
    ///
    /// # Errors
    /// When it is not.
    pub async fn must_be_direct(&self, url: &PostgresUrl) -> Result<(), DbError> {
        let failed = |error: tokio_postgres::Error| DbError::Failed {
            what: url.to_string(),
            cause: describe(&error),
        };
        let (own, answers) = backend(&self.client).await.map_err(failed)?;
        if answers.is_some_and(|server| url.is_at(server)) {
            return Ok(());
        }
        let beside = async {
            let session = Self::connect(url, "cutover: who answers").await.ok()?;
            backend(&session).await.ok()
        };
        // A pool that gives whole sessions may have no second one; nor may a server that is full.
        let beside = tokio::time::timeout(SECOND_SESSION, beside).await;
        let Ok(Some((other, server))) = beside else {
            return Ok(());
        };
        let (now, _) = backend(&self.client).await.map_err(failed)?;
        if other != own && now == own {
            return Ok(());
        }
        Err(DbError::Pooled {
            what: url.to_string(),
            server: server.map(|server| server.to_string()),
        })
    }

    /// Asks the server to cancel what this session runs, by a connection of its own. The answer to that comes where it is
    /// waited for; nothing happens when nothing runs.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn cancel(&self, url: &PostgresUrl) -> Result<(), DbError> {
        let tls = url.tls.client().map_err(|cause| DbError::Tls {
            what: url.to_string(),
            cause,
        })?;
        let token = self.client.cancel_token();
        Box::pin(token.cancel_query(MakeRustlsConnect::new(tls)))
            .await
            .map_err(|error| classify(url, &error))
    }
}

impl Deref for PgSession {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for PgSession {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Which of the server's processes answers, and at which address the server itself is, where it is not a socket.
async fn backend(client: &Client) -> Result<(i32, Option<SocketAddr>), tokio_postgres::Error> {
    let sql = "SELECT pg_backend_pid(), inet_server_addr(), inet_server_port()";
    // Not prepared: what is prepared in one session is not there in the next.
    let rows = client.query_typed(sql, &[]).await?;
    Ok(rows.first().map_or((0, None), |row| {
        let port = row
            .get::<_, Option<i32>>(2)
            .and_then(|port| u16::try_from(port).ok());
        let address = row.get::<_, Option<IpAddr>>(1).zip(port).map(SocketAddr::from);
        (row.get(0), address)
    }))
}

fn classify(url: &PostgresUrl, error: &tokio_postgres::Error) -> DbError {
    let what = url.to_string();
    let cause = describe(error);
    match error.code() {
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => DbError::Missing {
            what,
            create: format!(
                "createdb -h {} -p {}{} {}",
                url.host(),
                url.port(),
                url.user().map(|user| format!(" -U {user}")).unwrap_or_default(),
                url.database()
            ),
        },
        None if is_tls(error) => DbError::Tls { what, cause },
        Some(code) if code.code().starts_with("28") => DbError::Refused { what, cause },
        _ => DbError::Unreachable { what, cause },
    }
}

/// Whether it was the handshake that failed: with a certificate that is not trusted, or with a server that has none. The
/// driver keeps its kinds to itself.
fn is_tls(error: &tokio_postgres::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(inner) = source {
        let within = inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .is_some_and(|inner| inner.is::<rustls::Error>());
        if within || inner.is::<rustls::Error>() {
            return true;
        }
        source = inner.source();
    }
    error.to_string().contains("TLS")
}

/// What the server or the network says, in one line.
#[must_use]
pub fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let mut text = db.message().to_owned();
        for more in [db.detail(), db.hint()].into_iter().flatten() {
            text.push_str("; ");
            text.push_str(more);
        }
        return text;
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
