//! Database URLs: `sqlite:path`, `sqlite:///absolute/path`, `postgres://user:password@host:port/database`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cutover_sql::Dialect;
use tokio_postgres::config::Host;

use crate::DbError;
use crate::tls::{SslMode, Tls};

/// Where a database is. `Display` and `Debug` never show a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(SqliteUrl),
    /// A server.
    Postgres(Box<PostgresUrl>),
}

/// An SQLite database: a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteUrl {
    /// The file.
    pub path: PathBuf,
}

/// A PostgreSQL database on a server.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: Tls,
}

impl DatabaseUrl {
    /// Whose SQL it speaks.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The same, with a relative file taken from this folder.
    #[must_use]
    pub fn relative_to(self, base: &Path) -> Self {
        match self {
            Self::Sqlite(url) => Self::Sqlite(SqliteUrl {
                path: base.join(url.path),
            }),
            Self::Postgres(url) => Self::Postgres(url),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => write!(f, "sqlite:{}", url.path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl PostgresUrl {
    /// The first host: a name, an address, or the folder of a Unix socket.
    #[must_use]
    pub fn host(&self) -> String {
        match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        }
    }

    /// The first port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(5432)
    }

    /// The user, where the URL names one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// The database; by PostgreSQL's rule the user's name where the URL names none.
    #[must_use]
    pub fn database(&self) -> &str {
        self.config
            .get_dbname()
            .or_else(|| self.config.get_user())
            .unwrap_or("postgres")
    }

    /// How far its connections are encrypted.
    #[must_use]
    pub const fn ssl_mode(&self) -> SslMode {
        self.tls.mode
    }

    /// What a program that uses libpq must find in its environment to encrypt as this URL says.
    #[must_use]
    pub fn libpq_tls(&self) -> Vec<(&'static str, PathBuf)> {
        self.tls.libpq()
    }

    /// The password, for the environment of a child process only.
    #[must_use]
    pub fn password(&self) -> Option<&[u8]> {
        self.config.get_password()
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.user() {
            write!(f, "{user}@")?;
        }
        write!(f, "{}:{}/{}", self.host(), self.port(), self.database())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

impl FromStr for DatabaseUrl {
    type Err = DbError;
    fn from_str(text: &str) -> Result<Self, DbError> {
        let text = text.trim();
        match text.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => sqlite(text),
            Some("postgres" | "postgresql") => postgres(text),
            _ => Err(invalid(text, "it begins with sqlite: or postgres://".to_owned())),
        }
    }
}

fn invalid(text: &str, cause: String) -> DbError {
    DbError::InvalidUrl {
        what: format!("`{}`", redacted(text)),
        cause,
    }
}

/// What may be said of a text that is no URL of a server: its scheme. Everything else could be a password, or a secret
/// that was taken for a URL; a file has neither.
fn redacted(text: &str) -> String {
    match text.split_once(':') {
        Some(("sqlite", _)) => text.to_owned(),
        Some((scheme, _)) if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_lowercase()) => {
            format!("{scheme}:…")
        }
        _ => "…".to_owned(),
    }
}

fn sqlite(text: &str) -> Result<DatabaseUrl, DbError> {
    let rest = &text["sqlite:".len()..];
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path == ":memory:" {
        return Err(invalid(
            text,
            "it names a file, since what is in memory cannot be shared with the application".to_owned(),
        ));
    }
    // `mode=rwc` is what other tools want to hear; Cutover creates the file when it first writes anyway.
    if !parameters.is_empty() && parameters != "mode=rwc" && parameters != "mode=rw" {
        return Err(invalid(text, format!("it has no parameter `{parameters}`")));
    }
    Ok(DatabaseUrl::Sqlite(SqliteUrl { path: path.into() }))
}

fn postgres(text: &str) -> Result<DatabaseUrl, DbError> {
    let (rest, tls) = encryption(text)?;
    // The parser's own message is left out: it may quote the part that holds the password.
    let mut config: tokio_postgres::Config = rest.parse().map_err(|_| {
        invalid(
            text,
            "it reads postgres://user:password@host:port/database, with `%40` for an @ in the password"
                .to_owned(),
        )
    })?;
    config.ssl_mode(tls.wish());
    if config.get_hosts().is_empty() {
        return Err(invalid(text, "it names no host".to_owned()));
    }
    let url = PostgresUrl { config, tls };
    // What follows an unencoded `@` or `/` of a password is read as host and database, and would be shown as such.
    if url.host().contains('@') || url.database().contains(['@', '/']) {
        return Err(invalid(
            text,
            "an @ or a / in the password is written `%40` or `%2F`".to_owned(),
        ));
    }
    Ok(DatabaseUrl::Postgres(Box::new(url)))
}

/// What a URL says of encryption, and the URL without it: the driver's own parser knows fewer modes.
fn encryption(text: &str) -> Result<(String, Tls), DbError> {
    let Some((before, parameters)) = text.split_once('?') else {
        return Ok((text.to_owned(), Tls::default()));
    };
    let mut tls = Tls::default();
    let mut others = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", word)) => {
                tls.mode = SslMode::named(word).ok_or_else(|| {
                    invalid(text, format!("`sslmode` is one of {}", SslMode::WORDS.join(", ")))
                })?;
            }
            Some(("sslrootcert", "system")) => tls.roots = None,
            Some(("sslrootcert", file)) => {
                let file = decoded(file).ok_or_else(|| {
                    invalid(
                        text,
                        "what follows a % in `sslrootcert` is two hexadecimal digits".to_owned(),
                    )
                })?;
                tls.roots = Some(PathBuf::from(file));
            }
            _ => others.push(parameter),
        }
    }
    let rest = if others.is_empty() {
        before.to_owned()
    } else {
        format!("{before}?{}", others.join("&"))
    };
    Ok((rest, tls))
}

/// A text with its `%2F` replaced.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        plain.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_files() {
        for (text, path) in [
            ("sqlite:shop.db", "shop.db"),
            ("sqlite:///var/lib/shop.db", "/var/lib/shop.db"),
            ("sqlite:/var/lib/shop.db", "/var/lib/shop.db"),
            ("sqlite://data/shop.db?mode=rwc", "data/shop.db"),
        ] {
            let DatabaseUrl::Sqlite(url) = text.parse().unwrap() else {
                panic!("{text}")
            };
            assert_eq!(url.path, Path::new(path));
        }
        for bad in [
            "sqlite:",
            "sqlite::memory:",
            "sqlite:x?cache=shared",
            "mysql://x/y",
            "shop.db",
        ] {
            assert!(bad.parse::<DatabaseUrl>().is_err(), "{bad}");
        }
        let base = "sqlite:a.db".parse::<DatabaseUrl>().unwrap();
        assert_eq!(base.relative_to(Path::new("/x")).to_string(), "sqlite:/x/a.db");
    }

    #[test]
    fn a_password_is_never_shown() {
        let url: DatabaseUrl = "postgres://shop:s3cret%40x@db.example:5433/main?sslmode=disable"
            .parse()
            .unwrap();
        assert_eq!(url.to_string(), "postgres://shop@db.example:5433/main");
        assert!(!format!("{url:?}").contains("s3cret"));
        let DatabaseUrl::Postgres(server) = &url else {
            panic!()
        };
        assert_eq!(server.password(), Some(&b"s3cret@x"[..]));
        for bad in [
            "postgres://shop:s3cret@x/y@h:99999999/main",
            "postgres://shop:s3cret@h/main?nope=1",
            "postgres://shop:s3cret@h/main?password=s3cret&port=x",
            "postgres:shop:s3cret@",
            "postgres://shop:x@s3cret@h/main",
            "postgres://shop:x@y/s3cret@h/main",
            "mysql://shop:s3cret@h/main",
            "postgres://shop:x?s3cret@h:99999999/main",
            "shop:s3cret",
            "s3cret",
        ] {
            let error = bad.parse::<DatabaseUrl>().unwrap_err();
            let shown = format!("{error} {error:?} {:?}", error.diagnostic());
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn encryption_is_read_and_never_ignored() {
        let url = |text: &str| match text.parse().unwrap() {
            DatabaseUrl::Postgres(url) => url,
            DatabaseUrl::Sqlite(_) => panic!("{text}"),
        };
        assert_eq!(url("postgres://h/d").ssl_mode(), SslMode::Prefer);
        let full = url("postgres://h/d?sslmode=verify-full&application_name=x&sslrootcert=/etc/my%20ca.pem");
        assert_eq!(full.ssl_mode(), SslMode::VerifyFull);
        assert_eq!(
            full.libpq_tls(),
            [
                ("PGSSLMODE", "verify-full".into()),
                ("PGSSLROOTCERT", "/etc/my ca.pem".into())
            ]
        );
        for bad in [
            "sslmode=allow",
            "sslmode=",
            "sslmode=Require",
            "sslrootcert=%2",
            "sslcert=x",
        ] {
            let error = format!("postgres://a:s3cret@h/d?application_name=x&{bad}")
                .parse::<DatabaseUrl>()
                .unwrap_err();
            assert_eq!(error.diagnostic().code, "db.invalid-url", "{bad}");
            assert!(!error.to_string().contains("s3cret"));
        }
    }
}
