//! Values for the `${name}` of statements and queries: put in when they run, and never written down.
//!
//! The checksums of files and statements are over the texts as written, so a value may differ between databases and
//! change; what the database says of a statement is shown without the values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cutover_model::Diagnostic;
use cutover_ports::PortError;
use cutover_sql::command::escaped;
use cutover_sql::{Dialect, copied, filled, locate, placeholders};

use crate::failure::{Blocker, Failure};
use crate::session::{IndexState, Query, SqlSession, TextRow};
use crate::{MigrationFile, Script};

/// The values of a database's placeholders, by name.
#[derive(Clone, Default)]
pub(crate) struct Values(Arc<BTreeMap<String, String>>);

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Values {
    /// In a command they stand between the quotes of a JSON text.
    pub(crate) fn new(mut values: BTreeMap<String, String>, dialect: Dialect) -> Self {
        if dialect == Dialect::MongoDb {
            for value in values.values_mut() {
                *value = escaped(value);
            }
        }
        Self(Arc::new(values))
    }

    /// A statement as it is sent.
    pub(crate) fn fill(&self, text: &str) -> Result<String, Failure> {
        let (command, data) = text.split_at(fillable(text));
        let mut out = filled(command, &self.0).map_err(|name| PortError::refused(missing(&name)))?;
        out.push_str(data);
        Ok(out)
    }

    /// A message without the values that it repeats, or words of them: a parser names the word that it stumbles over. What
    /// is too short to be a secret would only make it unreadable.
    fn hide(&self, said: &str) -> String {
        let words = |value| str::split(value, |c: char| !c.is_alphanumeric());
        let values = self.0.values().map(String::as_str);
        let mut all: Vec<&str> = values.flat_map(|value| words(value).chain([value])).collect();
        all.retain(|text| text.len() > 3);
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let said = all
            .iter()
            .fold(said.to_owned(), |said, text| said.replace(text, "…"));
        if all.is_empty() {
            said
        } else {
            without_excerpt(&said)
        }
    }

    fn hidden_in(&self, blockers: Vec<Blocker>) -> Vec<Blocker> {
        let hidden = blockers.into_iter().map(|one| Blocker {
            query: one.query.map(|query| self.hide(&query)),
            ..one
        });
        hidden.collect()
    }

    pub(crate) fn hidden(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Lost(said) => Failure::Lost(self.hide(&said)),
            Failure::Locked { said, blockers } => Failure::Locked {
                said: self.hide(&said),
                blockers: self.hidden_in(blockers),
            },
            Failure::TimedOut { limit, blockers } => Failure::TimedOut {
                limit,
                blockers: self.hidden_in(blockers),
            },
            Failure::Forbidden(said) => Failure::Forbidden(self.hide(&said)),
            Failure::DiskFull(said) => Failure::DiskFull(self.hide(&said)),
            Failure::Denied(said, grant) => {
                Failure::Denied(self.hide(&said), grant.map(|grant| self.hide(&grant)))
            }
            Failure::Stopped(said) => Failure::Stopped(self.hide(&said)),
            Failure::Uncommitted(said) => Failure::Uncommitted(self.hide(&said)),
            Failure::Doubt { said } => Failure::Doubt {
                said: self.hide(&said),
            },
            // A place in the statement as sent is none in the file.
            Failure::Statement { said, offset } => Failure::Statement {
                said: self.hide(&said),
                offset: offset.filter(|_| self.0.is_empty()),
            },
            refused @ Failure::Refused(_) => refused,
        }
    }
}

/// MySQL and MariaDB repeat a statement from the word that they stumble over, and cut it off, perhaps within a value.
fn without_excerpt(said: &str) -> String {
    let Some((before, rest)) = said.split_once(" near '") else {
        return said.to_owned();
    };
    let after = rest.rfind("' at line").map_or("'", |end| &rest[end..]);
    format!("{before} near '…{after}")
}

/// Up to where placeholders are looked for: the data of a `COPY` are rows, in which `${x}` is text.
fn fillable(text: &str) -> usize {
    copied(Dialect::Postgres, text).map_or(text.len(), |(command, _)| command.len())
}

fn missing(name: &str) -> Diagnostic {
    Diagnostic::error(
        "migrate.placeholder-missing",
        format!("`${{{name}}}` has no value"),
    )
    .note(
        "next",
        format!("give it one: databases.NAME.placeholders.{name}; `$${{{name}}}` stands for itself"),
    )
    .help("cutover schema databases")
}

/// The placeholders of files that have no value, each with its place.
#[must_use]
pub fn missing_placeholders(files: &[MigrationFile], values: &BTreeMap<String, String>) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for file in files {
        for script in std::iter::once(&file.up).chain(&file.down) {
            for statement in &script.statements {
                for one in placeholders(&statement.text[..fillable(&statement.text)]) {
                    if !values.contains_key(one.name) {
                        out.push(missing(one.name).at(place(script, statement.byte_offset, &one.range)));
                    }
                }
            }
        }
        for query in file.prechecks.iter().chain(&file.migration.verify) {
            for one in placeholders(query)
                .iter()
                .filter(|one| !values.contains_key(one.name))
            {
                let at = file.up.text.find(query.as_str()).unwrap_or_default();
                out.push(missing(one.name).at(place(&file.up, at, &one.range)));
            }
        }
    }
    out
}

fn place(script: &Script, offset: usize, range: &std::ops::Range<usize>) -> cutover_model::Location {
    locate(&script.name, &script.text, offset + range.start, range.len())
}

/// A session that puts the values into everything that files bring.
pub(crate) struct Filling<'a, S> {
    pub(crate) session: &'a mut S,
    pub(crate) values: &'a Values,
}

impl<S: SqlSession> SqlSession for Filling<'_, S> {
    fn prefix(&self) -> &str {
        self.session.prefix()
    }

    fn tables_end(&self) -> &'static str {
        self.session.tables_end()
    }

    fn ensured(&mut self) -> &mut bool {
        self.session.ensured()
    }

    fn limit(&mut self, most: Option<Duration>) {
        self.session.limit(most);
    }

    async fn begin(&mut self, lock_timeout: Duration) -> Result<(), Failure> {
        self.session.begin(lock_timeout).await
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        let done = self.session.commit().await;
        done.map_err(|failure| self.values.hidden(failure))
    }

    async fn rollback(&mut self) {
        self.session.rollback().await;
    }

    async fn execute(&mut self, statement: &str) -> Result<u64, Failure> {
        let statement = self.values.fill(statement)?;
        let done = self.session.execute(&statement).await;
        done.map_err(|failure| self.values.hidden(failure))
    }

    async fn rows(&mut self, sql: &str, params: &[Option<String>]) -> Result<Vec<TextRow>, Failure> {
        self.session.rows(sql, params).await
    }

    async fn both(&mut self, first: &Query, second: &Query) -> Result<(Vec<TextRow>, Vec<TextRow>), Failure> {
        self.session.both(first, second).await
    }

    async fn both_and_commit(&mut self, first: &Query, second: &Query) -> Result<(), Failure> {
        let done = self.session.both_and_commit(first, second).await;
        done.map_err(|failure| self.values.hidden(failure))
    }

    async fn rows_as_written(&mut self, sql: &str) -> Result<Vec<TextRow>, Failure> {
        let sql = self.values.fill(sql)?;
        let rows = self.session.rows_as_written(&sql).await;
        rows.map_err(|failure| self.values.hidden(failure))
    }

    async fn count(&mut self, query: &str) -> Result<i64, Failure> {
        let query = self.values.fill(query)?;
        let count = self.session.count(&query).await;
        count.map_err(|failure| self.values.hidden(failure))
    }

    async fn broken_references(&mut self) -> Result<Option<u64>, Failure> {
        self.session.broken_references().await
    }

    async fn index(&mut self, name: &str) -> Result<IndexState, Failure> {
        let name = self.values.fill(name)?;
        self.session.index(&name).await
    }

    async fn shape(&mut self) -> Result<Option<String>, Failure> {
        self.session.shape().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(value: &str) -> Values {
        Values::new(
            BTreeMap::from([("name".to_owned(), value.to_owned())]),
            Dialect::Postgres,
        )
    }

    #[test]
    fn rows_are_no_place_for_a_value() {
        let copy = "COPY ${name} FROM stdin;\nHello ${name}\n\\.";
        let sent = values("users").fill(copy).unwrap();
        assert_eq!(sent, "COPY users FROM stdin;\nHello ${name}\n\\.");
    }

    #[test]
    fn a_value_that_the_server_cut_off_is_not_shown() {
        let said = "You have an error near 'IDENTIFIED BY aaaaaaaaaabbbbbbbbbb' at line 1 (error 1064)";
        let shown = values("aaaaaaaaaabbbbbbbbbbcccccccccc").hide(said);
        assert_eq!(shown, "You have an error near '…' at line 1 (error 1064)");
    }
}
