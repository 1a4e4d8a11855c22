//! What reading a set of files came to: those that are sound, and what is wrong with the others. Pure.

use std::collections::BTreeMap;

use cutover_model::{Diagnostic, MigrationId, MigrationPhase};
use cutover_sql::{Header, Sync};

use crate::{MigrationFile, missing_placeholders};

/// The files of a database, each judged by itself.
#[derive(Debug, Clone, Default)]
pub struct Sifted {
    /// Those that can be run, in order.
    pub sound: Vec<MigrationFile>,
    /// Those that cannot, in order.
    pub faulty: Vec<Faulty>,
    /// What is wrong with no migration alone: names that are none, numbers that are missing or taken.
    pub wrong: Vec<Diagnostic>,
}

/// A migration whose files have a fault: neither is run, and what they say is compared with nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faulty {
    /// Which, by the names of its files.
    pub id: MigrationId,
    /// The phase that its header says, if it could be read and says one.
    pub phase: Option<MigrationPhase>,
    /// What it does, if its header could be read.
    pub summary: Option<String>,
    /// What is wrong; at least one.
    pub wrong: Vec<Diagnostic>,
    /// The two-way triggers that it declares: no file may leave one without its columns, whatever else is wrong with this one.
    pub(crate) syncs: Vec<Sync>,
}

impl Faulty {
    pub(super) fn of(id: MigrationId, header: Option<&Header>) -> Self {
        let syncs = header.map(|header| header.syncs.iter().map(|placed| placed.value.clone()).collect());
        Self {
            id,
            phase: header.and_then(|header| header.phase),
            summary: header.and_then(|header| header.summary.clone()),
            wrong: Vec::new(),
            syncs: syncs.unwrap_or_default(),
        }
    }

    /// Whether it is what is on record so. Of one that is repeatable the record has a checksum in its name.
    pub(crate) fn is(&self, recorded: &MigrationId) -> bool {
        match self.id.is_repeatable() {
            true => recorded.is_repeatable() && recorded.base() == self.id.base(),
            false => *recorded == self.id,
        }
    }
}

impl Sifted {
    /// Nothing but this to say, of a folder that could not be looked into.
    #[must_use]
    pub fn none(wrong: Diagnostic) -> Self {
        Self {
            wrong: vec![wrong],
            ..Self::default()
        }
    }

    /// All migrations, if nothing is wrong.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn whole(self) -> Result<Vec<MigrationFile>, Vec<Diagnostic>> {
        if self.wrong.is_empty() && self.faulty.is_empty() {
            Ok(self.sound)
        } else {
            Err(self.all_wrong())
        }
    }

    /// Everything that is wrong, in order.
    #[must_use]
    pub fn all_wrong(&self) -> Vec<Diagnostic> {
        let own = self.faulty.iter().flat_map(|faulty| &faulty.wrong);
        self.wrong.iter().chain(own).cloned().collect()
    }

    /// The same, to say more of each: the folder that its file lies in, say.
    pub fn each_wrong(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        let own = self.faulty.iter_mut().flat_map(|faulty| &mut faulty.wrong);
        self.wrong.iter_mut().chain(own)
    }

    /// A file whose placeholders have no value is not sound.
    #[must_use]
    pub fn with_values(mut self, values: &BTreeMap<String, String>) -> Self {
        let (sound, without): (Vec<_>, Vec<_>) = self
            .sound
            .into_iter()
            .map(|file| (missing_placeholders(std::slice::from_ref(&file), values), file))
            .partition(|(missing, _)| missing.is_empty());
        self.sound = sound.into_iter().map(|(_, file)| file).collect();
        self.faulty
            .extend(without.into_iter().map(|(wrong, file)| Faulty {
                id: file.migration.id,
                phase: Some(file.migration.phase),
                summary: file.migration.summary,
                wrong,
                syncs: file.syncs,
            }));
        self.faulty.sort_by(|a, b| a.id.cmp(&b.id));
        self
    }
}

#[cfg(test)]
mod tests {
    use cutover_spec::StoredFile;
    use cutover_sql::Dialect;

    use super::*;
    use crate::{Unread, sift};

    const UP: &str = "-- cutover: phase=expand\nSELECT 1";

    fn file(name: &str, text: &str) -> StoredFile {
        StoredFile {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    fn sifted(files: &[(&str, &str)], unread: &[&str]) -> Sifted {
        let files: Vec<_> = files.iter().map(|(name, text)| file(name, text)).collect();
        let unread: Vec<_> = unread
            .iter()
            .map(|name| Unread {
                name: (*name).to_owned(),
                wrong: Diagnostic::error("migrate.unreadable", format!("cannot read {name}")),
            })
            .collect();
        sift(&"main".parse().unwrap(), &files, &unread, Dialect::Sqlite)
    }

    fn ids<'a>(all: impl Iterator<Item = &'a MigrationId>) -> Vec<String> {
        all.map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_with_one_is_no_matter_of_the_others() {
        let found = sifted(
            &[
                ("001_a.up.sql", UP),
                ("001_a.down.sql", "SELECT 1"),
                (
                    "002_b.up.sql",
                    "-- Makes b.\n-- cutover: phase=backfill\nBEGIN; SELECT 1",
                ),
                ("002_b.down.sql", "SELECT '"),
                ("003_c.up.sql", UP),
                ("003_c.down.sql", "SELECT 1"),
                ("004_d.down.sql", "SELECT 1"),
                ("five.up.sql", UP),
                ("R__v.sql", "-- cutover: phase=contract retires=1.0.0\nSELECT 1"),
            ],
            &[],
        );
        assert_eq!(
            ids(found.sound.iter().map(|file| &file.migration.id)),
            ["001_a", "003_c"]
        );
        assert_eq!(
            ids(found.faulty.iter().map(|one| &one.id)),
            ["002_b", "004_d", "R__v"]
        );
        let b = &found.faulty[0];
        assert_eq!(b.phase, Some(MigrationPhase::Backfill));
        assert_eq!(b.summary.as_deref(), Some("Makes b."));
        let codes: Vec<&str> = b.wrong.iter().map(|wrong| wrong.code.as_str()).collect();
        assert_eq!(codes, ["migrate.transaction-control", "migrate.unparsable"]);
        assert_eq!(found.wrong[0].code, "migrate.bad-name");
        assert_eq!(found.all_wrong().len(), 5);
        assert_eq!(found.whole().unwrap_err().len(), 5);
    }

    /// A file that cannot be read is there: it leaves no gap, and its other half is no half.
    #[test]
    fn what_cannot_be_read_is_not_missing() {
        let found = sifted(
            &[
                ("001_a.up.sql", UP),
                ("001_a.down.sql", "SELECT 1"),
                ("002_b.down.sql", "SELECT 1"),
                ("004_d.up.sql", UP),
                ("004_d.down.sql", "SELECT 1"),
            ],
            &["002_b.up.sql", "003_c.down.sql", "003_c.up.sql", "x.sql"],
        );
        let codes: Vec<String> = found.all_wrong().into_iter().map(|wrong| wrong.code).collect();
        assert_eq!(codes, ["migrate.unreadable"; 4]);
        assert_eq!(
            ids(found.sound.iter().map(|file| &file.migration.id)),
            ["001_a", "004_d"]
        );
    }

    /// So is one whose name says clearly what was meant.
    #[test]
    fn what_is_called_wrongly_is_not_missing() {
        let found = sifted(
            &[
                ("001_a.up.sql", UP),
                ("001_a.down.sql", "SELECT 1"),
                ("002-b.up.sql", UP),
                ("002_b.down.sql", "SELECT 1"),
                ("003_c.up.sql", UP),
                ("003_c.down.SQL", "SELECT 1"),
                ("004_d.up.sql", UP),
                ("004_d.down.sql", "SELECT 1"),
            ],
            &[],
        );
        let helps: Vec<Option<String>> = found.all_wrong().into_iter().map(|one| one.help).collect();
        assert_eq!(
            helps,
            [
                Some("mv 002-b.up.sql 002_b.up.sql".to_owned()),
                Some("mv 003_c.down.SQL 003_c.down.sql".to_owned())
            ]
        );
        assert_eq!(ids(found.faulty.iter().map(|one| &one.id)), ["002_b", "003_c"]);
        assert_eq!(
            ids(found.sound.iter().map(|file| &file.migration.id)),
            ["001_a", "004_d"]
        );
    }

    #[test]
    fn a_file_without_a_value_for_its_placeholder_is_not_sound() {
        let found = sifted(
            &[
                ("001_a.up.sql", "-- cutover: phase=expand\nSELECT '${x}'"),
                ("001_a.down.sql", "SELECT 1"),
                ("002_b.up.sql", "-- cutover: phase=expand\nSELECT '${y}'"),
                ("002_b.down.sql", "SELECT 1"),
            ],
            &[],
        );
        let values = BTreeMap::from([("x".to_owned(), "1".to_owned())]);
        let found = found.with_values(&values);
        assert_eq!(ids(found.sound.iter().map(|file| &file.migration.id)), ["001_a"]);
        assert_eq!(found.faulty[0].wrong[0].code, "migrate.placeholder-missing");
    }
}
