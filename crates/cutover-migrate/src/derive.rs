//! The phase of a file that does not say it: what its statements make it, where that is certain. Pure.
//!
//! Certain means that each statement has one phase, and all have the same. Anything else is an error that says how to split
//! the file, or to write the phase: a phase that is guessed wrong breaks the version that still runs.

use std::collections::BTreeSet;

use cutover_model::{Diagnostic, MigrationPhase};
use cutover_spec::StoredFile;
use cutover_sql::lint::{Input, Linted, Prior, StatementPhase, fix, lint};
use cutover_sql::{Dialect, Header, locate};

use crate::load::{IF_THEIRS, retires_missing};

/// As many statements are named in an error.
const NAMED: usize = 8;

/// As many characters of a statement are shown.
const SHOWN: usize = 60;

/// The files before one, folded into a schema only when somebody asks: most files say their phase.
pub(crate) struct Before<'a> {
    dialect: Dialect,
    prior: Prior,
    waiting: Vec<&'a str>,
}

impl<'a> Before<'a> {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            prior: Prior::default(),
            waiting: Vec::new(),
        }
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// A further file, for those that come after it.
    pub(crate) fn push(&mut self, text: &'a str) {
        self.waiting.push(text);
    }

    /// The phase of the next file, whose header does not say it.
    ///
    /// # Errors
    /// When it is not certain, or there are several, or it is a contract that does not say what it retires.
    pub(crate) fn phase(
        &mut self,
        up: &StoredFile,
        header: &Header,
    ) -> Result<MigrationPhase, Box<Diagnostic>> {
        // What is run in batches has one statement, and is nothing else.
        if header.batches.is_some() {
            return Ok(MigrationPhase::Backfill);
        }
        for text in self.waiting.drain(..) {
            self.prior.fold(self.dialect, text);
        }
        let input = Input {
            dialect: self.dialect,
            version: None,
            prior: &self.prior,
            file: &up.name,
            source: &up.text,
            transaction: Some(header.transaction),
        };
        let Linted { phases, .. } = lint(&input);
        let begins = header.syncs.iter().map(|_| MigrationPhase::Expand);
        let ends = header.ended.iter().map(|_| MigrationPhase::Contract);
        let stated = phases.iter().filter_map(|one| one.phase);
        let distinct: BTreeSet<MigrationPhase> = stated.chain(begins).chain(ends).collect();
        let certain = phases.iter().all(|one| one.phase.is_some());
        let mut all = distinct.into_iter();
        match (all.next(), all.next()) {
            (Some(MigrationPhase::Contract), None) if certain && header.retires.is_none() => Err(Box::new(
                named(retires_missing(self.dialect, up), &up.text, &phases),
            )),
            (Some(phase), None) if certain => Ok(phase),
            (Some(first), Some(second)) => Err(Box::new(mixed(&input, header, &phases, first, second))),
            _ => Err(Box::new(missing(&input, header, &phases))),
        }
    }
}

fn mixed(
    input: &Input<'_>,
    header: &Header,
    phases: &[StatementPhase],
    first: MigrationPhase,
    second: MigrationPhase,
) -> Diagnostic {
    let (name, text) = (input.file, input.source);
    let place = phases.iter().find(|one| one.phase == Some(second));
    let span = place.map_or(0..1, |one| one.span.clone());
    let found = Diagnostic::error(
        "migrate.mixed-phase",
        format!("{name} mixes phases: a part of it is {first}, another is {second}"),
    )
    .at(locate(name, text, span.start, span.len()))
    .label("write a file for each phase: the earlier one runs while the old version still does");
    let found = named(found, text, phases);
    found
        .note(
            "or",
            format!(
                "say that all of it waits for the old version to be gone: {}",
                match input.dialect {
                    Dialect::MongoDb => "\"phase\": \"contract\", \"retires\": \"VERSION\"",
                    _ => "-- cutover: phase=contract retires=VERSION",
                }
            ),
        )
        .help(split_by(input, header).unwrap_or_else(|| {
            "cutover migrate new NAME --release VERSION --phase contract --retires VERSION".to_owned()
        }))
}

fn missing(input: &Input<'_>, header: &Header, phases: &[StatementPhase]) -> Diagnostic {
    let (name, text) = (input.file, input.source);
    let found = Diagnostic::error(
        "migrate.phase-missing",
        format!("{name} does not say its phase, and its statements do not make it certain"),
    )
    .at(locate(name, text, 0, text.len()))
    .label(match input.dialect {
        Dialect::MongoDb => "write {\"phase\": \"expand|backfill|contract\", \"commands\": […]}",
        _ => "write above: -- cutover: phase=expand|backfill|contract",
    })
    .note("expand", "the old version is unharmed")
    .note("backfill", "data that the new version needs")
    .note(
        "contract",
        "the old version must be gone: retires=VERSION says which",
    );
    let found = if input.dialect == Dialect::MongoDb {
        found
    } else {
        found.note(IF_THEIRS.0, IF_THEIRS.1)
    };
    let found = named(found, text, phases);
    found.help(split_by(input, header).unwrap_or_else(|| "cutover migrate validate".to_owned()))
}

/// Which statement is what.
fn named(mut found: Diagnostic, text: &str, phases: &[StatementPhase]) -> Diagnostic {
    for one in phases.iter().take(NAMED) {
        let statement = text.get(one.span.clone()).unwrap_or_default();
        let words: Vec<&str> = statement.split_whitespace().collect();
        let mut shown: String = words.join(" ");
        if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
            shown.truncate(end);
            shown.push('…');
        }
        let line = locate("", text, one.span.start, 1).line;
        let phase = one.phase.map_or("may be any", MigrationPhase::word);
        found = found.note(format!("line {line}"), format!("{phase}: {shown}"));
    }
    match phases.len().saturating_sub(NAMED) {
        0 => found,
        more => found.note("and", format!("{more} more")),
    }
}

/// The command that writes the files of each phase; none where it would refuse.
fn split_by(input: &Input<'_>, header: &Header) -> Option<String> {
    let fixed = fix(input, &[]).ok().filter(|fixed| !fixed.files.is_empty())?;
    let waits = fixed
        .files
        .iter()
        .any(|file| file.phase == MigrationPhase::Contract);
    let retires = match &header.retires {
        _ if !waits => String::new(),
        Some(version) => format!(" --retires {version}"),
        None => " --retires VERSION".to_owned(),
    };
    Some(format!(
        "cutover migrate lint --fix FOLDER{retires} {}",
        input.file
    ))
}

#[cfg(test)]
mod tests {
    use crate::{MigrationFile, from_files};

    use super::*;

    const USERS: &str = "-- cutover: phase=expand\nCREATE TABLE users (id int, name text);";

    /// After a file that makes `users`.
    fn read(dialect: Dialect, text: &str) -> Result<MigrationFile, Diagnostic> {
        let file = |name: &str, text: &str| StoredFile {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let files = [
            file("001_users.up.sql", USERS),
            file("001_users.down.sql", "DROP TABLE users;"),
            file("002_next.up.sql", text),
            file("002_next.down.sql", "SELECT 1;"),
        ];
        from_files(&"main".parse().unwrap(), &files, dialect)
            .map(|mut all| all.remove(1))
            .map_err(|mut found| found.remove(0))
    }

    fn phase(text: &str) -> Result<MigrationPhase, String> {
        read(Dialect::Postgres, text)
            .map(|file| file.migration.phase)
            .map_err(|found| found.code)
    }

    #[test]
    fn what_is_certain_is_derived() {
        use MigrationPhase::{Backfill, Contract, Expand};
        for (text, expected) in [
            ("ALTER TABLE users ADD COLUMN full_name text;", Expand),
            (
                "CREATE TABLE a (x int); INSERT INTO a VALUES (1); COMMENT ON TABLE a IS 'b';",
                Expand,
            ),
            (
                "SET lock_timeout = '2s'; CREATE INDEX by_name ON users (name);",
                Expand,
            ),
            (
                "-- cutover: retires=2.0.0\nALTER TABLE users DROP COLUMN name;",
                Contract,
            ),
            ("-- cutover: retires=2.0.0\nDROP TABLE users;", Contract),
            (
                "-- cutover: sync table=users old=name new=nick up=\"name\" down=\"nick\"\nALTER TABLE users ADD COLUMN nick text;",
                Expand,
            ),
            (
                "-- cutover: backfill table=users key=id batch=100\nUPDATE users SET name = '' WHERE name IS NULL AND {batch};",
                Backfill,
            ),
        ] {
            assert_eq!(phase(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_certain_stays_an_error() {
        let code = |code: &str| Err(code.to_owned());
        for text in [
            "SELECT 1;",
            "UPDATE users SET name = 'x';",
            "INSERT INTO users VALUES (1, 'x');",
            "MAKE users GREAT;",
            "DO $$ BEGIN EXECUTE 'DROP TABLE users'; END $$;",
            "DO $$ BEGIN ALTER TABLE users DROP COLUMN name; END $$;",
            "ALTER TABLE users ADD COLUMN a int NOT NULL;",
            "ALTER TABLE users ALTER COLUMN name SET NOT NULL;",
            "ALTER TABLE users ADD CONSTRAINT c CHECK (id > 0) NOT VALID;",
            "CREATE UNIQUE INDEX once ON users (name);",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();",
            "ALTER TABLE users ADD COLUMN a text; UPDATE users SET a = name;",
            "TRUNCATE users;",
        ] {
            assert_eq!(phase(text), code("migrate.phase-missing"), "{text}");
        }
        // A reason to suppress it does not make it harmless.
        for text in [
            "ALTER TABLE users DROP COLUMN name;",
            "-- cutover-lint: ignore-file drop-column reason=x\nALTER TABLE users DROP COLUMN name;",
        ] {
            let found = read(Dialect::Postgres, text).unwrap_err();
            assert_eq!(found.code, "migrate.retires-missing", "{text}");
            assert!(found.notes[0].1.starts_with("contract: ALTER TABLE"), "{text}");
        }
        let expand = "-- cutover: retires=2.0.0\nALTER TABLE users ADD COLUMN a int;";
        assert_eq!(phase(expand), code("migrate.retires-without-contract"));
    }

    #[test]
    fn a_mixed_file_shows_how_to_split_it() {
        let text = "ALTER TABLE users ADD COLUMN a text;\nALTER TABLE users DROP COLUMN name;";
        let found = read(Dialect::Postgres, text).unwrap_err();
        assert_eq!(found.code, "migrate.mixed-phase");
        assert_eq!(found.location.unwrap().line, 2);
        let lines: Vec<&str> = found.notes.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(lines[0], "expand: ALTER TABLE users ADD COLUMN a text");
        assert_eq!(lines[1], "contract: ALTER TABLE users DROP COLUMN name");
        let help = found.help.unwrap();
        assert_eq!(
            help,
            "cutover migrate lint --fix FOLDER --retires VERSION 002_next.up.sql"
        );
        let found = read(Dialect::Sqlite, text).unwrap_err();
        assert!(found.help.unwrap().starts_with("cutover migrate new"));
    }

    #[test]
    fn rows_of_others_are_named_with_the_command_that_makes_a_backfill() {
        let found = read(
            Dialect::Postgres,
            "UPDATE users SET name = 'x' WHERE name IS NULL;",
        )
        .unwrap_err();
        let (key, value) = found.notes.last().unwrap();
        assert_eq!(key, "line 1");
        assert!(value.starts_with("may be any: UPDATE users"), "{value}");
        assert_eq!(
            found.help.unwrap(),
            "cutover migrate lint --fix FOLDER 002_next.up.sql"
        );
    }

    #[test]
    fn a_derived_phase_changes_no_checksum() {
        let statement = "ALTER TABLE users ADD COLUMN a text;";
        let written = read(
            Dialect::Postgres,
            &format!("-- cutover: phase=expand\n{statement}"),
        )
        .unwrap();
        let derived = read(Dialect::Postgres, statement).unwrap();
        assert_eq!(derived.migration.checksum, written.migration.checksum);
        assert_eq!(derived.migration.phase, written.migration.phase);
    }
}
