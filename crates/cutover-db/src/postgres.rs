//! Sessions with a PostgreSQL server.

use std::error::Error as _;
use std::ops::Deref;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls_improved::MakeRustlsConnect;

use crate::{DbError, PostgresUrl};

/// How long a server may take to answer a connection, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
