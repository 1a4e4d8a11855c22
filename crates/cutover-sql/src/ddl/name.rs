//! Names of objects, comparable.

use std::fmt;

/// A name, with its schema unless that is the database's default one (`public`, `main`): unquoted names are lower case as
/// PostgreSQL has them; those of MySQL and SQLite always are, because case does not tell them apart there (tables of MySQL
/// on some file systems excepted).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name {
    /// None: the default one, or whatever the search path says.
    pub schema: Option<String>,
    /// Without its schema.
    pub name: String,
}

impl Name {
    /// A name without a schema.
    #[must_use]
    pub fn plain(name: impl Into<String>) -> Self {
        Self {
            schema: None,
            name: name.into(),
        }
    }

    /// The same schema, another name.
    #[must_use]
    pub fn sibling(&self, name: impl Into<String>) -> Self {
        Self {
            schema: self.schema.clone(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}
