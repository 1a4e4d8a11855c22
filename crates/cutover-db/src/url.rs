//! Database URLs: `sqlite:path`, `sqlite:///absolute/path`, `postgres://user:password@host:port/database`, and the same
//! with `mysql://`, `mariadb://`, `mongodb://` or `mongodb+srv://`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cutover_sql::Dialect;
use tokio_postgres::config::Host;

use crate::tls::{SslMode, Tls};
use crate::{DbError, MongoUrl};

/// Where a database is. `Display` and `Debug` never show a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(SqliteUrl),
    /// A server.
    Postgres(Box<PostgresUrl>),
    /// A server of MySQL or MariaDB.
    Mysql(Box<MysqlUrl>),
    /// Servers of MongoDB.
    Mongo(MongoUrl),
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

/// A database on a server of MySQL or MariaDB.
#[derive(Clone, PartialEq, Eq)]
pub struct MysqlUrl {
    pub(crate) options: mysql_async::Opts,
    pub(crate) tls: Tls,
    dialect: Dialect,
}

impl DatabaseUrl {
    /// Whose SQL it speaks.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
            Self::Mysql(url) => url.dialect,
            Self::Mongo(_) => Dialect::MongoDb,
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
            Self::Mysql(url) => Self::Mysql(url),
            Self::Mongo(url) => Self::Mongo(url),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => write!(f, "sqlite:{}", url.path.display()),
            Self::Postgres(url) => url.fmt(f),
            Self::Mysql(url) => url.fmt(f),
            Self::Mongo(url) => url.fmt(f),
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

    /// Whether a server that is at this address is the one that the URL means: told of addresses only, never of names.
    pub(crate) fn is_at(&self, server: SocketAddr) -> bool {
        let host = self.host();
        let same = match host.parse::<IpAddr>() {
            Ok(address) => address == server.ip(),
            Err(_) => host == "localhost" && server.ip().is_loopback(),
        };
        same && self.port() == server.port()
    }

    /// Another database on the same server, with the same user.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let mut config = self.config.clone();
        config.dbname(name);
        Self {
            config,
            ..self.clone()
        }
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

impl MysqlUrl {
    /// The host: a name or an address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.options.ip_or_hostname()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.options.tcp_port()
    }

    /// The user, where the URL names one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.options.user()
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        self.options.db_name().unwrap_or_default()
    }

    /// Another database on the same server, with the same user.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let options = mysql_async::OptsBuilder::from_opts(self.options.clone()).db_name(Some(name));
        Self {
            options: options.into(),
            ..self.clone()
        }
    }

    /// How far its connections are encrypted.
    #[must_use]
    pub const fn ssl_mode(&self) -> SslMode {
        self.tls.mode
    }

    /// What a program of MariaDB, or else of MySQL, is told to encrypt as this URL says.
    #[must_use]
    pub fn tls_options(&self, mariadb: bool) -> Vec<String> {
        self.tls.options(mariadb)
    }

    /// The password, for the environment of a child process only.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.options.pass()
    }
}

impl fmt::Display for MysqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.dialect.word())?;
        if let Some(user) = self.user() {
            write!(f, "{user}@")?;
        }
        write!(f, "{}:{}/{}", self.host(), self.port(), self.database())
    }
}

impl fmt::Debug for MysqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MysqlUrl({self})")
    }
}

impl FromStr for DatabaseUrl {
    type Err = DbError;
    fn from_str(text: &str) -> Result<Self, DbError> {
        let text = text.trim();
        match text.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => sqlite(text),
            Some("postgres" | "postgresql") => postgres(text),
            Some("mysql") => mysql(text, Dialect::Mysql),
            Some("mariadb") => mysql(text, Dialect::MariaDb),
            Some("mongodb" | "mongodb+srv") => MongoUrl::read(text).map(Self::Mongo),
            _ => Err(invalid(
                text,
                "it begins with sqlite:, postgres://, mysql://, mariadb:// or mongodb://".to_owned(),
            )),
        }
    }
}

pub(crate) fn invalid(text: &str, cause: String) -> DbError {
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
        Some((scheme, _))
            if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_lowercase() || b == b'+') =>
        {
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
pub(crate) fn decoded(text: &str) -> Option<String> {
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

fn mysql(text: &str, dialect: Dialect) -> Result<DatabaseUrl, DbError> {
    let (head, parameters) = text.split_once('?').unwrap_or((text, ""));
    let mut tls = Tls {
        mode: SslMode::Disable,
        roots: None,
    };
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match key {
            "ssl-mode" | "sslmode" => {
                tls.mode = SslMode::named_by_mysql(value).ok_or_else(|| {
                    let words = "disabled, preferred, required, verify_identity";
                    invalid(text, format!("`ssl-mode` is one of {words}"))
                })?;
            }
            "ssl-ca" | "sslrootcert" => {
                let file = decoded(value).ok_or_else(|| {
                    invalid(
                        text,
                        "what follows a % in `ssl-ca` is two hexadecimal digits".to_owned(),
                    )
                })?;
                tls.roots = Some(PathBuf::from(file));
            }
            _ => return Err(invalid(text, "its parameters are ssl-mode and ssl-ca".to_owned())),
        }
    }
    if tls.roots.is_some() && tls.mode != SslMode::VerifyFull {
        return Err(invalid(
            text,
            "`ssl-ca` goes with `ssl-mode=verify_identity`: else nothing is checked by it".to_owned(),
        ));
    }
    let rest = head.split_once(':').map_or("", |(_, rest)| rest);
    // The parser's own message is left out: it may quote the part that holds the password.
    let options = mysql_async::Opts::from_url(&format!("mysql:{rest}")).map_err(|_| {
        invalid(
            text,
            "it reads mysql://user:password@host:port/database, with `%40` for an @ in the password"
                .to_owned(),
        )
    })?;
    let url = MysqlUrl {
        options,
        tls,
        dialect,
    };
    if url.database().is_empty() {
        return Err(invalid(text, "it names no database".to_owned()));
    }
    if url.host().contains('@') || url.database().contains(['@', '/']) {
        return Err(invalid(
            text,
            "an @ or a / in the password is written `%40` or `%2F`".to_owned(),
        ));
    }
    Ok(DatabaseUrl::Mysql(Box::new(url)))
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
            "mysql://x",
            "oracle://x/y",
            "mysql://x/y?nope=1",
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
            "mysql://shop:s3cret@h",
            "mariadb://shop:s3cret@x/y@h:99999999/main",
            "mysql://shop:s3cret@h/main?password=s3cret",
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
    fn an_address_is_the_servers_own_only_where_it_is_one() {
        let server = "127.0.0.1:5433".parse().unwrap();
        for (text, expected) in [
            ("postgres://127.0.0.1:5433/d", true),
            ("postgres://localhost:5433/d", true),
            ("postgres://127.0.0.1:6432/d", false),
            ("postgres://127.0.0.2:5433/d", false),
            ("postgres://db.example:5433/d", false),
        ] {
            let DatabaseUrl::Postgres(url) = text.parse().unwrap() else {
                panic!("{text}")
            };
            assert_eq!(url.is_at(server), expected, "{text}");
        }
    }

    #[test]
    fn mysql_and_mariadb_are_told_apart_by_their_scheme() {
        for (text, dialect) in [
            ("mysql://shop:s3cret%40x@db.example:3307/main", Dialect::Mysql),
            (
                "mariadb://shop:s3cret%40x@db.example:3307/main?ssl-mode=disabled",
                Dialect::MariaDb,
            ),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.dialect(), dialect);
            let word = dialect.word();
            assert_eq!(url.to_string(), format!("{word}://shop@db.example:3307/main"));
            assert!(!format!("{url:?}").contains("s3cret"));
            let DatabaseUrl::Mysql(server) = &url else {
                panic!("{text}")
            };
            assert_eq!(server.password(), Some("s3cret@x"));
        }
    }

    #[test]
    fn encryption_with_mysql_is_read_and_never_ignored() {
        let url = |text: &str| match text.parse().unwrap() {
            DatabaseUrl::Mysql(url) => url,
            _ => panic!("{text}"),
        };
        assert_eq!(url("mysql://h/d").ssl_mode(), SslMode::Disable);
        assert_eq!(url("mysql://h/d?ssl-mode=PREFERRED").ssl_mode(), SslMode::Prefer);
        let full = url("mariadb://h/d?ssl-mode=VERIFY_IDENTITY&ssl-ca=/etc/my%20ca.pem");
        assert_eq!(full.ssl_mode(), SslMode::VerifyFull);
        assert_eq!(
            full.tls_options(true),
            ["--ssl", "--ssl-verify-server-cert", "--ssl-ca=/etc/my ca.pem"]
        );
        assert_eq!(
            full.tls_options(false),
            ["--ssl-mode=VERIFY_IDENTITY", "--ssl-ca=/etc/my ca.pem"]
        );
        for bad in [
            "ssl-mode=yes",
            "ssl-mode=",
            "ssl-ca=%2",
            "ssl-ca=/x",
            "ssl-mode=required&ssl-ca=/x",
            "ssl-mode=verify_ca",
            "ssl-cert=x",
        ] {
            let error = format!("mysql://a:s3cret@h/d?{bad}")
                .parse::<DatabaseUrl>()
                .unwrap_err();
            assert_eq!(error.diagnostic().code, "db.invalid-url", "{bad}");
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn encryption_is_read_and_never_ignored() {
        let url = |text: &str| match text.parse().unwrap() {
            DatabaseUrl::Postgres(url) => url,
            _ => panic!("{text}"),
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
