//! Numbers that are given twice, or are missing. Pure.

use std::collections::BTreeMap;

use cutover_model::{Diagnostic, MigrationId};
use cutover_sql::locate;

use super::Pair;

/// The command that gives the files of a migration another number, each that is there.
fn renumbered(pair: &Pair<'_>, number: &str, id: &MigrationId) -> String {
    let (name, extension) = (&id.name, pair.extension());
    let [up, down] = if pair.is_flyway() {
        ["V", "U"].map(|kind| format!("{kind}{number}__{name}.{extension}"))
    } else {
        ["up", "down"].map(|way| format!("{number}_{name}.{way}.{extension}"))
    };
    let moves: Vec<String> = [(pair.up, up), (pair.down, down)]
        .into_iter()
        .filter_map(|(file, new)| Some(format!("mv {} {new}", file?.name)))
        .collect();
    moves.join(" && ")
}

/// A number of a date or a moment (`20261127`, `20261127093000`): such numbers have gaps.
const fn is_timestamp(id: &MigrationId) -> bool {
    id.width >= 8
}

pub(super) fn check_numbers(pairs: &BTreeMap<MigrationId, Pair<'_>>, errors: &mut Vec<Diagnostic>) {
    let numbered: Vec<_> = pairs.iter().filter(|(id, _)| !id.is_repeatable()).collect();
    let next_number = numbered.last().map_or(1, |(id, _)| id.number + 1);
    for ((before, earlier), (after, later)) in numbered.iter().zip(numbered.iter().skip(1)) {
        let width = usize::from(after.width);
        let shown = |number: u64| format!("{number:0width$}");
        let file = || locate(later.name(), "", 0, 0);
        if before.number == after.number {
            errors.push(
                Diagnostic::error(
                    "migrate.duplicate-number",
                    format!("{before} and {after} have the same number"),
                )
                .at(file())
                .note("which", "the one that is applied nowhere gets another number")
                .note(
                    format!("if that is {before}"),
                    renumbered(earlier, &shown(next_number), before),
                )
                .note(
                    format!("if that is {after}"),
                    renumbered(later, &shown(next_number), after),
                )
                .help("cutover migrate status"),
            );
            continue;
        }
        // Flyway's users are used to gaps: its numbers are versions.
        let may_have_gaps =
            [before, after].iter().any(|id| is_timestamp(id)) || earlier.is_flyway() || later.is_flyway();
        if before.number + 1 != after.number && !may_have_gaps {
            let missing = before.number + 1;
            errors.push(
                Diagnostic::error(
                    "migrate.gap",
                    format!(
                        "number {} is missing between {before} and {after}",
                        shown(missing)
                    ),
                )
                .at(file())
                .note("missing", shown(missing))
                .note("why", "a file that was forgotten looks the same as a gap")
                .note(
                    "if it never was",
                    format!(
                        "and {after} is applied nowhere: {}",
                        renumbered(later, &shown(missing), after)
                    ),
                )
                .help(format!(
                    "git log --diff-filter=DR --summary -- '*{}_*'",
                    shown(missing)
                )),
            );
        }
    }
}
