//! What the environment says.

use std::fmt;
use std::path::PathBuf;

use semver::Version;

/// Everything that the shop is told from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// `HOST`, 127.0.0.1 unless told.
    pub host: String,
    /// `PORT`, 8080 unless told; 0 lets the system choose.
    pub port: u16,
    /// `VERSION` or `APP_VERSION`: which release this process is. 1.0.0 unless told.
    pub version: Version,
    /// `APP_ENVIRONMENT`: `blue`, `green`, `stable`, `candidate`; `development` unless told.
    pub environment: String,
    /// `TRACK`, if the one who started the shop says one.
    pub track: Option<String>,
    /// `DATABASE_URL`; `sqlite:shop.db` unless told.
    pub database: DatabaseUrl,
    /// `REDIS_HOST` and `REDIS_PORT` (6379); without a host Redis is not used and does not count.
    pub redis: Option<RedisAddress>,
}

/// Where the users are stored.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:///absolute/path` or `sqlite:path`.
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`.
    Postgres(Box<tokio_postgres::Config>),
}

/// Where Redis listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What was wrong with a variable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a port number.
    #[error("{variable}={value} is not a port")]
    Port {
        /// The variable's name.
        variable: &'static str,
        /// What it held.
        value: String,
    },
    /// Not a version such as 1.1.0.
    #[error("VERSION={value} is not a version such as 1.1.0")]
    Version {
        /// What it held.
        value: String,
        /// What is wrong with it.
        source: semver::Error,
    },
    /// Neither SQLite nor PostgreSQL. The URL is not repeated: it may hold a password.
    #[error("DATABASE_URL starts with neither sqlite: nor postgres://")]
    Scheme,
    /// PostgreSQL's URL is malformed. The URL is not repeated: it may hold a password.
    #[error("DATABASE_URL is not a PostgreSQL URL")]
    Postgres,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// When a variable is set to something that is not of its kind.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables through `lookup`; an empty one counts as not set.
    ///
    /// # Errors
    /// When a variable is set to something that is not of its kind.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let port = |variable: &'static str, default: u16| match get(variable) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| ConfigError::Port { variable, value }),
        };
        let version = get("VERSION")
            .or_else(|| get("APP_VERSION"))
            .unwrap_or_else(|| "1.0.0".to_owned());
        let redis = match get("REDIS_HOST") {
            None => None,
            Some(host) => Some(RedisAddress {
                host,
                port: port("REDIS_PORT", 6379)?,
            }),
        };
        Ok(Self {
            host: get("HOST").unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: port("PORT", 8080)?,
            version: Version::parse(version.strip_prefix('v').unwrap_or(&version)).map_err(|source| {
                ConfigError::Version {
                    value: version.clone(),
                    source,
                }
            })?,
            environment: get("APP_ENVIRONMENT").unwrap_or_else(|| "development".to_owned()),
            track: get("TRACK"),
            database: get("DATABASE_URL")
                .unwrap_or_else(|| "sqlite:shop.db".to_owned())
                .parse()?,
            redis,
        })
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = ConfigError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = url.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return url
                .parse()
                .map(|config| Self::Postgres(Box::new(config)))
                .map_err(|_| ConfigError::Postgres);
        }
        Err(ConfigError::Scheme)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let config = read(&[("PORT", "")]).unwrap();
        assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 8080));
        assert_eq!(config.version, Version::new(1, 0, 0));
        assert_eq!(config.database, DatabaseUrl::Sqlite("shop.db".into()));
        assert_eq!(config.redis, None);
    }

    #[test]
    fn app_version_is_the_same_as_version_and_a_leading_v_is_dropped() {
        assert_eq!(
            read(&[("APP_VERSION", "v1.1.0")]).unwrap().version,
            Version::new(1, 1, 0)
        );
        assert_eq!(
            read(&[("VERSION", "1.2.0"), ("APP_VERSION", "1.1.0")])
                .unwrap()
                .version,
            Version::new(1, 2, 0)
        );
    }

    #[test]
    fn both_spellings_of_a_sqlite_url_give_the_path() {
        for (url, path) in [
            ("sqlite:///var/shop.db", "/var/shop.db"),
            ("sqlite:data/shop.db?mode=rw", "data/shop.db"),
        ] {
            assert_eq!(
                read(&[("DATABASE_URL", url)]).unwrap().database,
                DatabaseUrl::Sqlite(path.into()),
                "{url}"
            );
        }
    }

    #[test]
    fn no_message_holds_the_password() {
        let config = read(&[("DATABASE_URL", "postgres://shop:hunter2@localhost/shop")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        for url in [
            "postgres://shop:hunter2@localhost:nonsense/shop",
            "mysql://shop:hunter2@localhost/shop",
        ] {
            let error = read(&[("DATABASE_URL", url)]).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn redis_counts_only_with_a_host() {
        assert_eq!(read(&[("REDIS_PORT", "1")]).unwrap().redis, None);
        let redis = read(&[("REDIS_HOST", "cache")]).unwrap().redis.unwrap();
        assert_eq!((redis.host.as_str(), redis.port), ("cache", 6379));
        assert!(matches!(
            read(&[("REDIS_HOST", "cache"), ("REDIS_PORT", "x")]),
            Err(ConfigError::Port {
                variable: "REDIS_PORT",
                ..
            })
        ));
    }
}
