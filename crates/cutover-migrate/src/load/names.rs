//! What the name of a file says of it. Pure.

use std::collections::BTreeSet;

use cutover_model::{Diagnostic, MigrationId};
use cutover_sql::{Dialect, locate};

use crate::folder::SETTINGS;

/// `004_full_name.up.sql`, or Flyway's `V4__full_name.sql`, `U4__full_name.sql` and `R__views.sql` → its identity and
/// whether it is the up file. Commands have names of the first kind: `004_full_name.up.json`.
pub(crate) fn file_name(name: &str, dialect: Dialect) -> Option<(MigrationId, bool)> {
    let (stem, extension) = name.rsplit_once('.')?;
    if extension != dialect.extension() {
        return None;
    }
    let is_flyways = dialect != Dialect::MongoDb;
    let (digits, rest, is_up) = if let Some(rest) = stem.strip_prefix("R__").filter(|_| is_flyways) {
        return is_name(rest).then(|| {
            let id = MigrationId {
                number: MigrationId::REPEATABLE,
                name: rest.to_owned(),
                width: 0,
            };
            (id, true)
        });
    } else if let Some(version) = stem.strip_prefix(['V', 'U']).filter(|_| is_flyways) {
        let (digits, rest) = version.split_once("__")?;
        (digits, rest, stem.starts_with('V'))
    } else {
        let (stem, is_up) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
            (Some(stem), _) => (stem, true),
            (None, Some(stem)) => (stem, false),
            (None, None) => return None,
        };
        let (digits, rest) = stem.split_once('_')?;
        (digits, rest, is_up)
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || !is_name(rest) {
        return None;
    }
    let id = MigrationId {
        number: digits.parse().ok()?,
        name: rest.to_owned(),
        width: u8::try_from(digits.len()).ok()?,
    };
    // Numbers are kept as 64-bit integers by both databases, and the largest is taken.
    (id.number < MigrationId::REPEATABLE).then_some((id, is_up))
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.chars().all(is_part)
}

/// Which names a folder has, to tell what a file may be called that is called wrongly.
pub(super) struct Taken {
    names: BTreeSet<String>,
    /// Those that were named as to be renamed, too: each is named once.
    told: BTreeSet<String>,
    /// How many parts the longest of Flyway's versions has.
    parts: usize,
}

impl Taken {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: BTreeSet<String> = names.map(str::to_owned).collect();
        let versions = names.iter().filter_map(|name| flyway(name));
        let parts = versions.map(|found| found.parts.len()).max();
        Self {
            parts: parts.unwrap_or(1),
            told: BTreeSet::new(),
            names,
        }
    }

    /// Those of Flyway's with a whole number that a version of several parts would come before, were it one number: it, and what the
    /// file is called in the same order.
    fn out_of_order(&mut self, version: &[u64]) -> Vec<(String, String)> {
        let named = self.names.iter().filter(|name| !self.told.contains(*name));
        let named = named.filter_map(|name| Some((name.as_str(), flyway(name)?)));
        let found: Vec<(String, String)> = named
            .filter(|(_, found)| found.kind != 'B' && found.parts.len() == 1)
            .filter(|(_, found)| found.parts.first() > version.first())
            .filter_map(|(name, found)| Some((name.to_owned(), found.renamed(self.parts)?)))
            .collect();
        self.told.extend(found.iter().map(|(name, _)| name.clone()));
        found
    }
}

/// A name of Flyway's, or one that was meant to be.
struct Flyway<'a> {
    /// `V`, `U`, or `B` for a baseline.
    kind: char,
    version: &'a str,
    parts: Vec<u64>,
    about: &'a str,
}

/// `V1.2__about.sql`, whatever the case of its ends and the underscores in it.
fn flyway(name: &str) -> Option<Flyway<'_>> {
    let (stem, extension) = name.rsplit_once('.')?;
    if !extension.eq_ignore_ascii_case(Dialect::Sqlite.extension()) {
        return None;
    }
    let kind = stem.chars().next()?.to_ascii_uppercase();
    let rest = stem.get(1..)?;
    if !matches!(kind, 'V' | 'U' | 'B') {
        return None;
    }
    let (version, about) = match rest.split_once("__") {
        Some(both) => both,
        None => rest.split_once('_')?,
    };
    let parts = version.split(['.', '_']).map(|part| part.parse().ok());
    Some(Flyway {
        kind,
        version,
        parts: parts.collect::<Option<Vec<u64>>>()?,
        about,
    })
}

impl Flyway<'_> {
    /// As it would be called here. Each further part of a version is three digits of one number, so that the order stays.
    fn renamed(&self, parts: usize) -> Option<String> {
        let kind = if self.kind == 'U' { 'U' } else { 'V' };
        let about = tidied(self.about)?;
        if parts == 1 {
            return Some(format!("{kind}{}__{about}.sql", self.version));
        }
        let mut number: u64 = 0;
        for at in 0..parts {
            let part = self.parts.get(at).copied().unwrap_or(0);
            if at > 0 && part > 999 {
                return None;
            }
            number = number.checked_mul(1_000)?.checked_add(part)?;
        }
        Some(format!("{kind}{number}__{about}.sql"))
    }
}

/// What a description becomes in a name.
fn tidied(about: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let plain: String = about.chars().map(|c| if is_part(c) { c } else { '_' }).collect();
    let plain = plain.trim_matches('_');
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// What a file that is called wrongly was meant to be called, where that is clear.
fn meant(name: &str, dialect: Dialect, taken: &Taken) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    if !extension.eq_ignore_ascii_case(dialect.extension()) {
        return None;
    }
    let is_flyways = dialect != Dialect::MongoDb;
    if let Some(found) = flyway(name).filter(|_| is_flyways) {
        return found.renamed(taken.parts);
    }
    if let Some(about) = stem.strip_prefix(['R', 'r']).filter(|_| is_flyways)
        && about.starts_with('_')
    {
        return Some(format!("R__{}.sql", tidied(about)?));
    }
    let digits = stem.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = stem.split_at(digits);
    let (rest, way) = match rest.rsplit_once('.') {
        Some((rest, way)) if way.eq_ignore_ascii_case("down") => (rest, "down"),
        Some((rest, way)) if way.eq_ignore_ascii_case("up") => (rest, "up"),
        // Said by nobody: most are.
        _ => (rest, "up"),
    };
    let about = tidied(rest.trim_start_matches(['-', '.', ' ']))?;
    Some(format!("{number}_{about}.{way}.{}", dialect.extension()))
}

/// A file that is no migration by its name: with the command that mends it, and the migration that it is then, where that is clear.
pub(super) fn bad_name(name: &str, dialect: Dialect, taken: &mut Taken) -> (Diagnostic, Option<MigrationId>) {
    let such = match dialect {
        Dialect::MongoDb => "004_full_name.up.json, which holds commands of MongoDB",
        _ => "004_full_name.up.sql or V4__full_name.sql",
    };
    let mut found = Diagnostic::error(
        "migrate.bad-name",
        format!("`{name}` is not the name of a migration file such as {such}"),
    )
    .at(locate(name, "", 0, 0));
    let out = || format!("mv {} ..", shell(name));
    if let Some((key, note)) = passed_over(name, taken) {
        return (found.note(key, note).help(out()), None);
    }
    if let Some(version) = flyway(name).filter(|found| found.parts.len() > 1) {
        found = found.note(
            "version",
            format!(
                "{} has several parts; a number here is a whole one: with each further part as three digits the order stays",
                version.version
            ),
        );
        for (other, renamed) in taken.out_of_order(&version.parts) {
            found = found.note("also", format!("mv {} {renamed}", shell(&other)));
        }
    }
    let meant = meant(name, dialect, taken).filter(|meant| meant != name);
    let id = meant
        .as_ref()
        .and_then(|meant| Some(file_name(meant, dialect)?.0));
    match meant.filter(|meant| id.is_some() && !taken.names.contains(meant)) {
        Some(meant) => {
            let found = found.help(format!("mv {} {meant}", shell(name)));
            // It is what this one will be called, and needs no other name.
            taken.told.insert(meant.clone());
            taken.names.insert(meant);
            (found, id)
        }
        None => (found.help("cutover migrate new NAME --release VERSION"), None),
    }
}

/// What Flyway reads in such a folder and Cutover does not.
fn passed_over(name: &str, taken: &Taken) -> Option<(&'static str, String)> {
    if name.to_ascii_lowercase().ends_with(SETTINGS) {
        let note = "the settings of a script are not read: `-- cutover: transaction=none` in the script itself says that it is no \
                    transaction";
        return Some(("Flyway", note.to_owned()));
    }
    let called = |begin: &str| {
        let rest = name.strip_prefix(begin);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    if called("before") || called("after") {
        return Some(("Flyway", "callbacks are not run".to_owned()));
    }
    let baseline = flyway(name).filter(|found| found.kind == 'B')?;
    let is_before =
        |other: &str| flyway(other).is_some_and(|other| other.kind == 'V' && other.parts <= baseline.parts);
    // Without any before it, it is where new databases begin: the first migration.
    taken.names.iter().any(|other| is_before(other)).then(|| {
        let note = format!(
            "a baseline makes at once what the versions up to {} make, which are here too and run on new databases",
            baseline.version
        );
        ("Flyway", note)
    })
}

/// A name as a shell takes it.
fn shell(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.chars().all(is_plain) && !name.starts_with('-') {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, others: &[&str], dialect: Dialect) -> (Diagnostic, Option<MigrationId>) {
        let names = std::iter::once(name).chain(others.iter().copied());
        bad_name(name, dialect, &mut Taken::of(names))
    }

    #[test]
    fn what_a_name_was_meant_to_be_is_a_command() {
        for (name, meant) in [
            ("v1__x.sql", "V1__x.sql"),
            ("V1_x.sql", "V1__x.sql"),
            ("u2__x.SQL", "U2__x.sql"),
            ("V1__add e-mail.sql", "V1__add_e-mail.sql"),
            ("V1.2__x.sql", "V1002__x.sql"),
            ("V1_2__x.sql", "V1002__x.sql"),
            ("V1.2_x.sql", "V1002__x.sql"),
            ("U2.0.1__x.sql", "U2000001__x.sql"),
            ("B5__x.sql", "V5__x.sql"),
            ("R_views.sql", "R__views.sql"),
            ("r__views.sql", "R__views.sql"),
            ("001_a.up.SQL", "001_a.up.sql"),
            ("001_a.Down.sql", "001_a.down.sql"),
            ("001-a.up.sql", "001_a.up.sql"),
            ("001_a.sql", "001_a.up.sql"),
            ("20261127093000_a b.sql", "20261127093000_a_b.up.sql"),
        ] {
            let (found, id) = told(name, &[], Dialect::Postgres);
            let from = if name.contains(' ') {
                format!("'{name}'")
            } else {
                name.to_owned()
            };
            assert_eq!(found.help, Some(format!("mv {from} {meant}")));
            assert!(file_name(meant, Dialect::Postgres).is_some_and(|(meant, _)| Some(meant) == id));
        }
        let (found, _) = told("001_a.up.JSON", &[], Dialect::MongoDb);
        assert_eq!(found.help.as_deref(), Some("mv 001_a.up.JSON 001_a.up.json"));
    }

    #[test]
    fn what_is_not_clear_or_taken_is_no_command() {
        for (name, others) in [
            ("a.up.sql", &[][..]),
            ("1.sql", &[]),
            ("views.sql", &[]),
            ("v1__x.sql", &["V1__x.sql"]),
            ("001_a.sql", &["001_a.up.sql"]),
            ("V1.2000__x.sql", &[]),
            ("V1.2.3.4.5.6.7.8__x.sql", &[]),
        ] {
            let (found, id) = told(name, others, Dialect::Sqlite);
            assert_eq!(
                found.help.as_deref(),
                Some("cutover migrate new NAME --release VERSION"),
                "{name}"
            );
            assert_eq!(id, None);
        }
        let (found, _) = told("001_a.up.sql", &[], Dialect::MongoDb);
        assert_eq!(
            found.help.as_deref(),
            Some("cutover migrate new NAME --release VERSION")
        );
    }

    #[test]
    fn versions_of_several_parts_keep_their_order() {
        let others = [
            "V1.2.3__a.sql",
            "V1__b.sql",
            "V2__c.sql",
            "U2__c.sql",
            "B2__all.sql",
        ];
        let (found, _) = told("V1.3__d.sql", &others, Dialect::Postgres);
        assert_eq!(found.help.as_deref(), Some("mv V1.3__d.sql V1003000__d.sql"));
        let also: Vec<&str> = found
            .notes
            .iter()
            .filter(|(key, _)| key == "also")
            .map(|(_, note)| note.as_str())
            .collect();
        assert_eq!(
            also,
            ["mv U2__c.sql U2000000__c.sql", "mv V2__c.sql V2000000__c.sql"]
        );
    }

    /// What is named once is not named again, nor under the name that it is to get.
    #[test]
    fn each_file_that_is_renamed_along_is_named_once() {
        let names: Vec<String> = (1..=30)
            .map(|at| format!("V{at}__a.sql"))
            .chain(["V1.1__b.sql".to_owned(), "V2.1__c.sql".to_owned()])
            .collect();
        let mut taken = Taken::of(names.iter().map(String::as_str));
        let mut also = |name: &str| {
            let (found, _) = bad_name(name, Dialect::Postgres, &mut taken);
            let notes = found.notes.into_iter().filter(|(key, _)| key == "also");
            notes.map(|(_, note)| note).collect::<Vec<_>>()
        };
        let first = also("V1.1__b.sql");
        assert_eq!(first.len(), 29);
        assert!(
            first.contains(&"mv V30__a.sql V30000__a.sql".to_owned()),
            "{first:?}"
        );
        assert_eq!(also("V2.1__c.sql"), Vec::<String>::new());
    }

    #[test]
    fn what_flyway_reads_beside_migrations_is_named() {
        for (name, others, said) in [
            ("B5__x.sql", &["V3__a.sql"][..], "a baseline makes at once"),
            ("afterMigrate.sql", &[], "callbacks are not run"),
            ("beforeEachMigrate__x.sql", &[], "callbacks are not run"),
            ("V1__x.sql.conf", &[], "settings of a script"),
        ] {
            let (found, id) = told(name, others, Dialect::Postgres);
            assert_eq!(found.help, Some(format!("mv {name} ..")));
            assert!(found.notes[0].1.contains(said), "{found}");
            assert_eq!(id, None);
        }
    }
}
