//! Which files are recorded under another name. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Digest, Migration, MigrationId};

/// Of each migration without a record, the record that is its own under another name: one without a file, with the same
/// number or, where there is none, with the same text. Run again it would fail, or do its work twice.
#[must_use]
pub fn renamed<'a>(
    files: impl IntoIterator<Item = &'a Migration>,
    applied: impl IntoIterator<Item = (&'a MigrationId, &'a Digest)>,
) -> BTreeMap<&'a MigrationId, &'a MigrationId> {
    // What is repeatable, or another tool's, runs again by design.
    let has_number = |id: &MigrationId| id.number < MigrationId::RUNNER;
    let files: Vec<&Migration> = files.into_iter().filter(|file| has_number(&file.id)).collect();
    let named: BTreeSet<&MigrationId> = files.iter().map(|file| &file.id).collect();
    let mut recorded = BTreeSet::new();
    let mut strangers: BTreeMap<&MigrationId, &Digest> = BTreeMap::new();
    for (id, checksum) in applied {
        recorded.insert(id);
        if has_number(id) && !named.contains(id) {
            strangers.insert(id, checksum);
        }
    }
    let mut out = BTreeMap::new();
    if strangers.is_empty() {
        return out;
    }
    let mut by_number: BTreeMap<u64, &MigrationId> = strangers.keys().map(|id| (id.number, *id)).collect();
    let new: Vec<&Migration> = files
        .into_iter()
        .filter(|file| !recorded.contains(&file.id))
        .collect();
    for file in &new {
        if let Some(id) = by_number.remove(&file.id.number) {
            strangers.remove(id);
            out.insert(&file.id, id);
        }
    }
    let mut by_text: BTreeMap<&Digest, &MigrationId> = strangers
        .into_iter()
        .map(|(id, checksum)| (checksum, id))
        .collect();
    for file in new {
        if !out.contains_key(&file.id)
            && let Some(id) = by_text.remove(&file.checksum)
        {
            out.insert(&file.id, id);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MigrationPhase;

    fn file(number: u64, width: u8, name: &str, text: &str) -> Migration {
        Migration {
            id: MigrationId {
                number,
                name: name.to_owned(),
                width,
            },
            database: "main".parse().unwrap(),
            phase: MigrationPhase::Expand,
            retires: None,
            transaction: true,
            checksum: Digest::of(text.as_bytes()),
            verify: None,
            irreversible: None,
            summary: None,
            reshapes: false,
            runner: None,
        }
    }

    fn found(files: &[Migration], applied: &[Migration]) -> Vec<String> {
        let applied = applied.iter().map(|one| (&one.id, &one.checksum));
        renamed(files, applied)
            .into_iter()
            .map(|(new, old)| format!("{old} > {new}"))
            .collect()
    }

    #[test]
    fn number_or_text_make_a_file_the_one_that_is_recorded() {
        let a = file(1, 3, "a", "A");
        let b = file(2, 3, "b", "B");
        let both = [a.clone(), b];
        assert_eq!(found(&both, &both), [""; 0]);
        let of = |new: Migration| found(&[a.clone(), new], &both);
        assert_eq!(of(file(2, 3, "bb", "B")), ["002_b > 002_bb"]);
        assert_eq!(of(file(2, 4, "b", "B")), ["002_b > 0002_b"]);
        assert_eq!(of(file(2, 3, "c", "C")), ["002_b > 002_c"]);
        assert_eq!(of(file(7, 3, "b", "B")), ["002_b > 007_b"]);
        assert_eq!(of(file(7, 3, "c", "C")), [""; 0]);
    }

    #[test]
    fn a_record_with_a_file_is_its_own_and_what_runs_again_is_let_alone() {
        let a = file(1, 3, "a", "A");
        let same = file(2, 3, "again", "A");
        assert_eq!(found(&[a.clone(), same], std::slice::from_ref(&a)), [""; 0]);
        let view = |name: &str| file(MigrationId::REPEATABLE, 0, name, "V");
        assert_eq!(found(&[view("w.1")], &[view("v.1")]), [""; 0]);
        // The number counts before the text.
        let files = [file(3, 3, "x", "B"), file(2, 3, "y", "Y")];
        assert_eq!(found(&files, &[file(2, 3, "b", "B")]), ["002_b > 002_y"]);
    }
}
