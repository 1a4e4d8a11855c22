//! Sessions with a MySQL or MariaDB server.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use mysql_async::{Conn, DriverError, Error, IoError, OptsBuilder};

use crate::{DbError, MysqlUrl, SslMode};

/// How long a server may take to answer a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A session with a server; it ends when this is dropped.
///
/// A query must be awaited to its end: dropped between sending and reading it leaves the session unusable.
#[derive(Debug)]
pub struct MySession {
    connection: Conn,
}

impl MySession {
    /// Connects. The name is told to the server as `program_name`.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses the user, or has no such database.
    pub async fn connect(url: &MysqlUrl, name: &str) -> Result<Self, DbError> {
        let options = OptsBuilder::from_opts(url.options.clone())
            // The address in the URL is meant, not a socket that the server names.
            .prefer_socket(false)
            .connect_attribute("program_name", name);
        let tls = url.tls.mysql().map_err(|cause| DbError::Tls {
            what: url.to_string(),
            cause,
        })?;
        // The driver takes the process's own, which is whatever was chosen first.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let optional = url.tls.mode == SslMode::Prefer;
        let connecting = async {
            let Some(tls) = tls else {
                return Conn::new(options).await;
            };
            match Conn::new(options.clone().ssl_opts(tls)).await {
                Err(error) if optional && offers_none(&error) => Conn::new(options).await,
                answer => answer,
            }
        };
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, Box::pin(connecting)).await;
        match connecting {
            Ok(Ok(connection)) => Ok(Self { connection }),
            Ok(Err(error)) => Err(classify(url, &error)),
            Err(_) => Err(DbError::Unreachable {
                what: url.to_string(),
                cause: format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            }),
        }
    }
}

impl Deref for MySession {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.connection
    }
}

impl DerefMut for MySession {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.connection
    }
}

/// Whether the server speaks in plain only.
const fn offers_none(error: &Error) -> bool {
    matches!(error, Error::Driver(DriverError::NoClientSslFlagFromServer))
}

fn is_tls(error: &Error) -> bool {
    match error {
        Error::Io(IoError::Tls(_)) => true,
        Error::Io(IoError::Io(error)) => error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
        other => offers_none(other),
    }
}

fn classify(url: &MysqlUrl, error: &Error) -> DbError {
    let what = url.to_string();
    let cause = describe_mysql(error);
    match error {
        // Unknown database.
        Error::Server(server) if server.code == 1049 => DbError::Missing {
            what,
            create: format!(
                "mariadb-admin -h {} -P {}{} -p create {}",
                url.host(),
                url.port(),
                url.user().map(|user| format!(" -u {user}")).unwrap_or_default(),
                url.database()
            ),
        },
        error if is_tls(error) => DbError::Tls { what, cause },
        // Access denied: for the user, for the database, for this host.
        Error::Server(server) if matches!(server.code, 1044 | 1045 | 1130 | 1698) => {
            DbError::Refused { what, cause }
        }
        _ => DbError::Unreachable { what, cause },
    }
}

/// What the server or the network says, in one line.
#[must_use]
pub fn describe_mysql(error: &Error) -> String {
    match error {
        Error::Server(server) => format!("{} (error {})", server.message, server.code),
        Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
