//! Histories of other tools: which of our files they say are applied. Pure but for `read`; theirs is never written.

mod read;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cutover_model::Diagnostic;

use crate::MigrationFile;

pub(crate) use read::History;

/// A tool whose history can be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `flyway_schema_history`: a row a version.
    Flyway,
    /// `alembic_version`: the head alone.
    Alembic,
    /// `schema_migrations`: the last version alone, and whether it failed.
    GolangMigrate,
    /// `schema_migrations`: a row a version.
    Dbmate,
    /// `_sqlx_migrations`: a row a version.
    Sqlx,
    /// `databasechangelog`: a row a changeset.
    Liquibase,
    /// `schema_migrations` of ActiveRecord: a row a version.
    Rails,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Flyway,
        Self::Alembic,
        Self::GolangMigrate,
        Self::Dbmate,
        Self::Sqlx,
        Self::Liquibase,
        Self::Rails,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flyway => "flyway",
            Self::Alembic => "alembic",
            Self::GolangMigrate => "golang-migrate",
            Self::Dbmate => "dbmate",
            Self::Sqlx => "sqlx",
            Self::Liquibase => "liquibase",
            Self::Rails => "rails",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Tool {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|tool| tool.word() == text);
        found.ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|tool| tool.word()).collect();
            format!("it is one of {}", known.join(", "))
        })
    }
}

/// What a history says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Theirs {
    /// Each of these is applied.
    Set(Vec<Applied>),
    /// Everything up to and with this is.
    UpTo(u64),
    /// Everything that leads to these revisions is.
    Heads(Vec<String>),
    /// Each of these changesets is.
    Changesets(Vec<Changeset>),
}

impl Theirs {
    /// Whether it says of files that they are applied without naming each.
    pub(crate) fn has_all_below(&self) -> bool {
        match self {
            Self::Set(rows) => rows.iter().any(|row| row.and_below),
            Self::UpTo(_) | Self::Heads(_) => true,
            Self::Changesets(_) => false,
        }
    }
}

/// What one row of a set stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Its version, as written there.
    pub(crate) version: String,
    /// What it is called there, where it is called anything.
    pub(crate) name: Option<String>,
    /// Everything below it counts as applied, too.
    pub(crate) and_below: bool,
}

/// Liquibase's unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Changeset {
    pub(crate) id: String,
    pub(crate) author: String,
    pub(crate) file: String,
}

/// Which files are applied.
pub(crate) fn applied(
    tool: Tool,
    theirs: &Theirs,
    files: &[Arc<MigrationFile>],
) -> Result<Vec<Arc<MigrationFile>>, Diagnostic> {
    let up_to = |number: u64| {
        files
            .iter()
            .filter(move |file| file.migration.id.number <= number)
    };
    match theirs {
        Theirs::Set(rows) => set(tool, rows, files),
        Theirs::UpTo(number) => {
            if files.iter().all(|file| file.migration.id.number != *number) {
                return Err(unmatched(tool, &[number.to_string()]));
            }
            Ok(up_to(*number).cloned().collect())
        }
        Theirs::Heads(heads) => {
            let [head] = heads.as_slice() else {
                return Err(Diagnostic::error(
                    "migrate.import-failed",
                    format!("{tool} has several heads: {}", heads.join(", ")),
                )
                .note("why", "which of the files are applied depends on both branches")
                .help("alembic merge heads && alembic upgrade head"));
            };
            let last = files.iter().rev().find(|file| is_revision(file, head));
            let Some(last) = last else {
                return Err(unmatched(tool, std::slice::from_ref(head)).note(
                    "a file is its revision's",
                    "when its name has it as a word, or a comment says `-- Running upgrade … -> REVISION`, as `alembic \
                     upgrade --sql` writes it",
                ));
            };
            Ok(up_to(last.migration.id.number).cloned().collect())
        }
        Theirs::Changesets(rows) => changesets(rows, files),
    }
}

fn set(
    tool: Tool,
    rows: &[Applied],
    files: &[Arc<MigrationFile>],
) -> Result<Vec<Arc<MigrationFile>>, Diagnostic> {
    let mut numbers = BTreeSet::new();
    let mut missing = Vec::new();
    for row in rows {
        let number = number(&row.version);
        let by_number = files.iter().find(|file| Some(file.migration.id.number) == number);
        // A version of several parts is none of our numbers: then the name must say which file it is.
        let by_name = || match &row.name {
            Some(name) if number.is_none() => {
                let mut named = files
                    .iter()
                    .filter(|file| same_name(&file.migration.id.name, name));
                named.next().filter(|_| named.next().is_none())
            }
            _ => None,
        };
        match by_number.or_else(by_name) {
            Some(file) if row.and_below => {
                let last = file.migration.id.number;
                let below = files.iter().map(|file| file.migration.id.number);
                numbers.extend(below.filter(|number| *number <= last));
            }
            Some(file) => {
                numbers.insert(file.migration.id.number);
            }
            // A baseline says what needs no file.
            None if row.and_below => match number {
                Some(last) => {
                    let below = files.iter().map(|file| file.migration.id.number);
                    numbers.extend(below.filter(|number| *number <= last));
                }
                None => missing.push(row.version.clone()),
            },
            None => missing.push(row.version.clone()),
        }
    }
    if !missing.is_empty() {
        return Err(unmatched(tool, &missing));
    }
    let applied = files
        .iter()
        .filter(|file| numbers.contains(&file.migration.id.number));
    Ok(applied.cloned().collect())
}

fn changesets(
    rows: &[Changeset],
    files: &[Arc<MigrationFile>],
) -> Result<Vec<Arc<MigrationFile>>, Diagnostic> {
    let mut left: BTreeSet<&Changeset> = rows.iter().collect();
    let mut applied = Vec::new();
    for file in files {
        let declared = declared(&file.up.text);
        let is_of = |row: &Changeset| {
            if declared.is_empty() {
                let stem = row.file.rsplit('/').next().unwrap_or(&row.file);
                let stem = stem.split('.').next().unwrap_or(stem);
                is_called(file, &row.id) || is_called(file, stem)
            } else {
                declared
                    .iter()
                    .any(|(author, id)| *author == row.author && *id == row.id)
            }
        };
        let own: Vec<&Changeset> = rows.iter().filter(|row| is_of(row)).collect();
        if own.is_empty() {
            continue;
        }
        if own.len() < declared.len() {
            return Err(Diagnostic::error(
                "migrate.import-failed",
                format!(
                    "{} of {} changesets of {} are applied",
                    own.len(),
                    declared.len(),
                    file.up.name
                ),
            )
            .note("next", "let Liquibase apply the rest, or give each its own file")
            .help("liquibase update"));
        }
        for row in own {
            left.remove(row);
        }
        applied.push(Arc::clone(file));
    }
    if left.is_empty() {
        return Ok(applied);
    }
    let left: Vec<String> = left
        .iter()
        .map(|row| format!("{}:{}", row.author, row.id))
        .collect();
    Err(unmatched(Tool::Liquibase, &left).note(
        "a file is its changeset's",
        "when it has `--changeset author:id` in it, or its number or name is the changeset's id or file",
    ))
}

/// The `--changeset author:id` lines of a file in Liquibase's own SQL.
fn declared(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("--")?
                .trim_start()
                .strip_prefix("changeset ")
        })
        .filter_map(|rest| rest.split_whitespace().next()?.split_once(':'))
        .collect()
}

fn is_called(file: &MigrationFile, name: &str) -> bool {
    let id = &file.migration.id;
    number(name) == Some(id.number) || same_name(&id.name, name) || same_name(&id.to_string(), name)
}

/// By its name or by what Alembic writes into the statements that it prints.
fn is_revision(file: &MigrationFile, revision: &str) -> bool {
    let said = |line: &str| {
        let Some(comment) = line.trim().strip_prefix("--") else {
            return false;
        };
        let comment = comment.trim();
        let after = comment
            .strip_prefix("Running upgrade")
            .and_then(|rest| rest.split_once("->"))
            .map(|(_, rest)| rest)
            .or_else(|| comment.strip_prefix("Revision ID:"));
        let word = after.and_then(|rest| rest.split([' ', ',']).find(|word| !word.is_empty()));
        word == Some(revision)
    };
    let id = &file.migration.id;
    id.name.split(['_', '-']).any(|word| word == revision)
        || number(revision) == Some(id.number)
        || file.up.text.lines().any(said)
}

/// `2`, `002` and `2.0` are one number; `2.1` is none of ours.
fn number(version: &str) -> Option<u64> {
    let mut parts = version.split(['.', '_']);
    let first = parts.next()?;
    let rest_is_zero = parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte == b'0'));
    let is_digits = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    (is_digits && rest_is_zero).then(|| first.parse().ok()).flatten()
}

/// `Add users` and `add_users`.
fn same_name(ours: &str, theirs: &str) -> bool {
    let plain = |text: &str| {
        let words = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>()
    };
    plain(ours) == plain(theirs)
}

fn unmatched(tool: Tool, versions: &[String]) -> Diagnostic {
    let shown: Vec<&str> = versions.iter().take(10).map(String::as_str).collect();
    let more = match versions.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Diagnostic::error(
        "migrate.import-unmatched",
        format!(
            "{tool} applied {}{more}, and there is no file of it here",
            shown.join(", ")
        ),
    )
    .note(
        "next",
        "add its file, or say yourself up to which number the files are applied",
    )
    .help(format!("cutover migrate baseline --from {tool} --to NUMBER"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_spec::StoredFile;
    use cutover_sql::Dialect;

    fn files(names: &[(&str, &str)]) -> Vec<Arc<MigrationFile>> {
        let mut all = Vec::new();
        for (name, comment) in names {
            let mut add = |way: &str, text: String| {
                all.push(StoredFile {
                    name: format!("{name}.{way}.sql"),
                    text,
                });
            };
            add("up", format!("-- cutover: phase=expand\n{comment}\nSELECT 1"));
            add("down", "SELECT 1".to_owned());
        }
        let read = crate::from_files(&"main".parse().unwrap(), &all, Dialect::Sqlite).unwrap();
        read.into_iter().map(Arc::new).collect()
    }

    fn numbers(tool: Tool, theirs: &Theirs, files: &[Arc<MigrationFile>]) -> Result<Vec<u64>, String> {
        applied(tool, theirs, files)
            .map(|files| files.iter().map(|file| file.migration.id.number).collect())
            .map_err(|error| error.code)
    }

    fn rows(versions: &[(&str, Option<&str>, bool)]) -> Theirs {
        Theirs::Set(
            versions
                .iter()
                .map(|(version, name, and_below)| Applied {
                    version: (*version).to_owned(),
                    name: name.map(str::to_owned),
                    and_below: *and_below,
                })
                .collect(),
        )
    }

    #[test]
    fn versions_are_numbers_or_names() {
        let files = files(&[("001_a", ""), ("002_add_users", ""), ("003_c", "")]);
        let of = |theirs: &Theirs| numbers(Tool::Flyway, theirs, &files);
        assert_eq!(
            of(&rows(&[("1", None, false), ("3.0", None, false)])),
            Ok(vec![1, 3])
        );
        assert_eq!(of(&rows(&[("1.1", Some("Add users"), false)])), Ok(vec![2]));
        assert_eq!(
            of(&rows(&[("2", Some("<< Flyway Baseline >>"), true)])),
            Ok(vec![1, 2])
        );
        let unknown = Err("migrate.import-unmatched".to_owned());
        assert_eq!(of(&rows(&[("7", Some("add users"), false)])), unknown);
        assert_eq!(of(&rows(&[("1.2", Some("gone"), false)])), unknown);
        assert_eq!(
            numbers(Tool::GolangMigrate, &Theirs::UpTo(2), &files),
            Ok(vec![1, 2])
        );
        assert_eq!(numbers(Tool::GolangMigrate, &Theirs::UpTo(9), &files), unknown);
    }

    #[test]
    fn a_head_is_found_in_a_name_or_in_what_alembic_printed() {
        let files = files(&[
            ("001_ae10_users", ""),
            ("002_mail", "-- Running upgrade ae10 -> 1975ea83b712, mail"),
            ("003_c", ""),
        ]);
        let of = |heads: &[&str]| {
            let heads = heads.iter().map(|head| (*head).to_owned()).collect();
            numbers(Tool::Alembic, &Theirs::Heads(heads), &files)
        };
        assert_eq!(of(&["ae10"]), Ok(vec![1]));
        assert_eq!(of(&["1975ea83b712"]), Ok(vec![1, 2]));
        assert_eq!(of(&["ffff"]), Err("migrate.import-unmatched".to_owned()));
        assert_eq!(
            of(&["ae10", "1975ea83b712"]),
            Err("migrate.import-failed".to_owned())
        );
    }

    #[test]
    fn changesets_are_declared_in_a_file_or_named_like_it() {
        let files = files(&[
            (
                "001_a",
                "--changeset ann:one\n--changeset ann:two dbms:postgresql",
            ),
            ("002_add_mail", ""),
            ("003_c", ""),
        ]);
        let of = |rows: &[(&str, &str, &str)]| {
            let rows = rows.iter().map(|(author, id, file)| Changeset {
                id: (*id).to_owned(),
                author: (*author).to_owned(),
                file: (*file).to_owned(),
            });
            numbers(Tool::Liquibase, &Theirs::Changesets(rows.collect()), &files)
        };
        let (one, two) = (("ann", "one", "x.sql"), ("ann", "two", "x.sql"));
        assert_eq!(of(&[one, two, ("bob", "add-mail", "y.xml")]), Ok(vec![1, 2]));
        assert_eq!(of(&[one, two, ("bob", "raw", "db/003_c.up.sql")]), Ok(vec![1, 3]));
        assert_eq!(of(&[one]), Err("migrate.import-failed".to_owned()));
        assert_eq!(
            of(&[one, two, ("bob", "x", "z.xml")]),
            Err("migrate.import-unmatched".to_owned())
        );
    }
}
