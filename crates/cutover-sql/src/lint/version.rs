//! Versions of servers.

use std::fmt;
use std::str::FromStr;

use crate::Dialect;

/// A server's version: `16`, `8.4`, `10.11.6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

/// A text that is no server version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no server version: 16, 8.4, 8.0.36")]
pub struct InvalidServerVersion(String);

impl ServerVersion {
    /// From its numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// What is assumed when nobody says: a present version that many run.
    #[must_use]
    pub const fn present(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Postgres => Self::new(16, 0, 0),
            Dialect::Mysql => Self::new(8, 4, 0),
            Dialect::MariaDb => Self::new(10, 11, 0),
            Dialect::Sqlite => Self::new(3, 45, 0),
            Dialect::MongoDb => Self::new(7, 0, 0),
        }
    }
}

impl FromStr for ServerVersion {
    type Err = InvalidServerVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || InvalidServerVersion(text.to_owned());
        let mut numbers = [0u16; 3];
        let parts: Vec<&str> = text.trim().split('.').collect();
        if parts.len() > numbers.len() {
            return Err(refuse());
        }
        for (number, part) in numbers.iter_mut().zip(parts) {
            *number = part.parse().map_err(|_| refuse())?;
        }
        let [major, minor, patch] = numbers;
        if major == 0 {
            return Err(refuse());
        }
        Ok(Self::new(major, minor, patch))
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.major)?;
        if self.minor > 0 || self.patch > 0 {
            write!(f, ".{}", self.minor)?;
        }
        if self.patch > 0 {
            write!(f, ".{}", self.patch)?;
        }
        Ok(())
    }
}
