//! A file of which some statements are applied, or taken back, and others not: which way, how far, and whether it may go
//! on. Pure.
//!
//! A file runs statement by statement where it says `transaction=none`, or where its database commits each by itself. What
//! decides whether such a file may be changed in the middle is the statements that ran: those after them never did.

use cutover_model::{Diagnostic, Digest};
use cutover_sql::{Dialect, Statement, locate, normalised};

use crate::history::Step;
use crate::{Direction, HistoryRow, MigrationFile, Script};

/// How far a file came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Half {
    pub(crate) direction: Direction,
    /// Statements that are finished.
    pub(crate) done: usize,
    /// All that there are that way; none without the file.
    pub(crate) total: Option<usize>,
}

impl HistoryRow {
    /// Whether it is neither whole nor gone, with the way that it was run last. What was applied whole and must run once
    /// more is none of these.
    pub(crate) fn half(&self, file: Option<&MigrationFile>) -> Option<Half> {
        if self.complete {
            return None;
        }
        let direction = self.way();
        if direction == Direction::Up && self.reopened_at.is_some() {
            return None;
        }
        let script = file.and_then(|file| match direction {
            Direction::Up => Some(&file.up),
            Direction::Down => file.down.as_ref(),
        });
        let finished = self.steps_of(direction).filter(|step| step.finished);
        Some(Half {
            direction,
            done: finished.count(),
            total: script.map(|script| script.statements.len()),
        })
    }

    /// Which way it is under way.
    fn way(&self) -> Direction {
        // Records of earlier versions say it by the statements alone.
        let mut back = self.steps_of(Direction::Down);
        if back.next().is_some() {
            Direction::Down
        } else {
            self.direction
        }
    }

    fn steps_of(&self, direction: Direction) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.direction == direction)
    }
}

/// Over a statement's normalised text.
pub(crate) fn checksum(dialect: Dialect, statement: &Statement) -> Digest {
    let text = normalised(dialect, &statement.text).unwrap_or_else(|_| statement.text.clone());
    Digest::of(text.as_bytes())
}

/// The first of the statements that ran which is not in the file as it ran.
pub(crate) fn changed(
    dialect: Dialect,
    row: &HistoryRow,
    script: &Script,
    direction: Direction,
) -> Option<Diagnostic> {
    let mut steps = row.steps_of(direction);
    let step = steps.find(|step| {
        let statement = script.statements.get(step.ordinal);
        statement.is_none_or(|found| checksum(dialect, found) != step.checksum)
    })?;
    let (number, name) = (step.ordinal + 1, &script.name);
    let ran = match (step.finished, direction) {
        (true, Direction::Up) => "applied",
        (true, Direction::Down) => "run",
        (false, _) => "begun",
    };
    let (said, place) = match script.statements.get(step.ordinal) {
        Some(found) => {
            let length = found.text.lines().next().map_or(1, str::len);
            let place = locate(name, &script.text, found.byte_offset, length);
            (
                format!("statement {number} of {name} was changed after it was {ran}"),
                place,
            )
        }
        None => {
            let place = locate(name, &script.text, script.text.len(), 0);
            (
                format!("statement {number}, which was {ran}, is not in {name} any more"),
                place,
            )
        }
    };
    let done = row.steps_of(direction).count();
    Some(
        Diagnostic::error("migrate.changed", said)
            .at(place)
            .note(
                "next",
                format!("bring the first {done} back as they were: only those after them may change"),
            )
            .help("cutover migrate status"),
    )
}

/// Why a file that is being taken back is not applied on top of what is left of it.
pub(crate) fn taken_back(row: &HistoryRow, half: Half) -> Diagnostic {
    let (id, done) = (&row.id, half.done);
    let total = half
        .total
        .map_or_else(String::new, |total| format!(" of {total}"));
    Diagnostic::error(
        "migrate.half-taken-back",
        format!("{id} is being taken back: {done}{total} statements of its way down are done"),
    )
    .note(
        "next",
        "let the way down finish; or finish or undo it by hand, and say which",
    )
    .help(format!(
        "cutover migrate down, or cutover migrate repair --only {id} --as applied, or cutover migrate repair --only {id} --as \
         not-applied"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_model::{MigrationPhase, Span, Timestamp};
    use cutover_spec::StoredFile;

    fn file(up: &str) -> MigrationFile {
        let stored = |name: &str, text: &str| StoredFile {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let files = [
            stored(
                "001_a.up.sql",
                &format!("-- cutover: phase=expand transaction=none\n{up}"),
            ),
            stored(
                "001_a.down.sql",
                "-- cutover: transaction=none\nDROP TABLE b; DROP TABLE a;",
            ),
        ];
        let found = crate::from_files(&"main".parse().unwrap(), &files, Dialect::Postgres);
        found.unwrap().remove(0)
    }

    const UP: &str = "CREATE TABLE a (x int);\nCREATE TABLE b (x int);\nCREATE TABLE c (x intt);";

    /// A record of so many statements that ran.
    fn row(file: &MigrationFile, up: usize, down: usize) -> HistoryRow {
        let steps = |direction, script: &Script, count: usize| {
            let all = script.statements.iter().take(count).enumerate();
            let steps = all.map(move |(ordinal, statement)| Step {
                direction,
                ordinal,
                checksum: checksum(Dialect::Postgres, statement),
                finished: true,
                before: None,
            });
            steps.collect::<Vec<_>>()
        };
        let mut all = steps(Direction::Up, &file.up, up);
        all.extend(steps(Direction::Down, file.down.as_ref().unwrap(), down));
        HistoryRow {
            id: file.migration.id.clone(),
            phase: MigrationPhase::Expand,
            checksum: file.migration.checksum.clone(),
            raw_checksum: file.raw_checksum.clone(),
            applied_at: Timestamp::UNIX_EPOCH,
            applied_by: "tester".to_owned(),
            took: Span::ZERO,
            release: None,
            upgrade: None,
            complete: false,
            direction: Direction::Up,
            reopened_at: None,
            steps: all,
        }
    }

    #[test]
    fn only_statements_that_ran_must_stay_as_they_were() {
        let old = file(UP);
        let row = row(&old, 2, 0);
        let is_changed = |up: &str| {
            let found = changed(Dialect::Postgres, &row, &file(up).up, Direction::Up);
            found.map(|found| found.message)
        };
        assert_eq!(is_changed(&UP.replace("intt", "int")), None);
        assert_eq!(
            is_changed("CREATE TABLE a (x int); CREATE  TABLE b (x int); SELECT 1"),
            None
        );
        let second = is_changed(&UP.replace("b (x int)", "b (y int)")).unwrap();
        assert_eq!(
            second,
            "statement 2 of 001_a.up.sql was changed after it was applied"
        );
        let gone = is_changed("CREATE TABLE a (x int)").unwrap();
        assert_eq!(
            gone,
            "statement 2, which was applied, is not in 001_a.up.sql any more"
        );
    }

    #[test]
    fn the_way_is_told_by_the_record_and_by_its_statements() {
        let file = file(UP);
        let up = row(&file, 2, 0).half(Some(&file)).unwrap();
        assert_eq!((up.direction, up.done, up.total), (Direction::Up, 2, Some(3)));
        let down = row(&file, 3, 1).half(Some(&file)).unwrap();
        assert_eq!(
            (down.direction, down.done, down.total),
            (Direction::Down, 1, Some(2))
        );
        let mut begun = row(&file, 3, 0);
        begun.direction = Direction::Down;
        let half = begun.half(None).unwrap();
        assert_eq!(
            (half.direction, half.done, half.total),
            (Direction::Down, 0, None)
        );
        begun.complete = true;
        assert_eq!(begun.half(None), None);
        let reopened = HistoryRow {
            reopened_at: Some(Timestamp::UNIX_EPOCH),
            ..row(&file, 0, 0)
        };
        assert_eq!(reopened.half(Some(&file)), None);
    }
}
