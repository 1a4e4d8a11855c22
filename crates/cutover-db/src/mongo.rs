//! MongoDB's URLs: `mongodb://user:password@host:port,host:port/database?options`, and `mongodb+srv://` with one name.
//!
//! The driver reads them by itself, and is not part of every build. Here they are read as far as everybody needs it: to know
//! the database, and to show no password.

use std::fmt;

use crate::DbError;
use crate::url::{decoded, invalid};

/// A database on servers of MongoDB.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoUrl {
    text: String,
    scheme: String,
    user: Option<String>,
    hosts: String,
    database: String,
}

impl MongoUrl {
    pub(crate) fn read(text: &str) -> Result<Self, DbError> {
        let refuse = |cause: &str| invalid(text, cause.to_owned());
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refuse("it reads mongodb://user:password@host:port/database"));
        };
        let (place, _) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (login, hosts) = match authority.split_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        // What follows an unencoded `@` or `/` of a password would be shown as hosts or as the database.
        if hosts.contains('@') || database.contains(['@', '/', ':']) {
            return Err(refuse(
                "an @, a / or a : in the password is written `%40`, `%2F` or `%3A`",
            ));
        }
        if hosts.is_empty() {
            return Err(refuse("it names no host"));
        }
        if database.is_empty() {
            return Err(refuse(
                "it names no database: mongodb://host:port/database, and `authSource` says where users are kept",
            ));
        }
        let Some(database) = decoded(database) else {
            return Err(refuse(
                "what follows a % in the database is two hexadecimal digits",
            ));
        };
        let user = login.map(|login| login.split_once(':').map_or(login, |(user, _)| user));
        Ok(Self {
            text: text.to_owned(),
            scheme: scheme.to_owned(),
            user: user.map(str::to_owned),
            hosts: hosts.to_owned(),
            database,
        })
    }

    /// As it is written, with its password: for the driver.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.text
    }

    /// The password, as it is written.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("://")?;
        let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, _) = authority.split_once('@')?;
        login.split_once(':').map(|(_, password)| password)
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }
}

impl fmt::Display for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        write!(f, "{}/{}", self.hosts, self.database)
    }
}

impl fmt::Debug for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MongoUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use cutover_sql::Dialect;

    use crate::DatabaseUrl;

    #[test]
    fn the_database_is_known_and_the_password_is_not_shown() {
        for (text, shown, password) in [
            ("mongodb://db/shop", "mongodb://db/shop", None),
            (
                "mongodb://shop:s3cret%40@a:1,b:2/shop?replicaSet=r&authSource=admin",
                "mongodb://shop@a:1,b:2/shop",
                Some("s3cret%40"),
            ),
            (
                "mongodb+srv://shop:s3cret@cluster.example/my%20shop",
                "mongodb+srv://shop@cluster.example/my shop",
                Some("s3cret"),
            ),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.dialect(), Dialect::MongoDb);
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("s3cret"));
            let DatabaseUrl::Mongo(url) = url else { panic!() };
            assert_eq!(url.password(), password);
            assert_eq!(url.secret(), text);
        }
        for bad in [
            "mongodb:s3cret",
            "mongodb://a:s3cret@host",
            "mongodb://a:s3cret@host/?replicaSet=r",
            "mongodb://a:x@s3cret@host/shop",
            "mongodb://a:x/s3cret@host/shop",
            "mongodb:///shop",
            "mongodb://host/%zz",
        ] {
            let error = bad.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(error.diagnostic().code, "db.invalid-url", "{bad}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
}
