//! Files that were written for another tool. Pure.

use cutover_model::{Diagnostic, MigrationId, MigrationPhase};
use cutover_spec::StoredFile;
use cutover_sql::{Dialect, Header, locate};

use super::Parsed;

/// What a file lacks that was never meant to have it.
pub(crate) const IF_THEIRS: (&str, &str) = (
    "if another tool ran it",
    "-- cutover: adopted=yes in the last such file says so for all up to that one",
);

/// What the way back begins with in files that hold both ways, and whose tool that is.
const BACK: [(&str, &str); 3] = [
    ("migrate:down", "dbmate"),
    ("+goose down", "goose"),
    ("+migrate down", "sql-migrate"),
];

/// The highest number up to which all were written for another tool.
pub(super) fn adopted<'a>(all: impl Iterator<Item = (&'a MigrationId, &'a Parsed)>) -> Option<u64> {
    let marked = all.filter(|(id, parsed)| {
        let header = parsed.up.as_ref().map(|(header, _)| header);
        !id.is_repeatable() && header.is_some_and(|header| header.adopted)
    });
    marked.map(|(id, _)| id.number).max()
}

/// No version of the application lives with one half of such files: they run in a new database, or were run long ago. So none
/// has to wait, and none has to have a way back.
pub(super) fn excuse(header: &mut Header, has_down: bool) {
    header.phase.get_or_insert(MigrationPhase::Expand);
    if !has_down {
        header
            .irreversible
            .get_or_insert_with(|| "it was written for another tool, without a way back".to_owned());
    }
}

/// A file that holds the way back behind the way up: run as it stands, it would take away what it has just made.
pub(super) fn both_ways(up: &StoredFile, dialect: Dialect) -> Option<Diagnostic> {
    if dialect == Dialect::MongoDb {
        return None;
    }
    let mut at = 0;
    for line in up.text.split_inclusive('\n') {
        if let Some((mark, tool)) = back(line) {
            let name = &up.name;
            let down = super::down_name(up);
            return Some(
                Diagnostic::error(
                    "migrate.both-ways",
                    format!("{name} holds its way back as well, as files of {tool} do"),
                )
                .at(locate(name, &up.text, at, line.trim_end().len()))
                .label("what follows would be run right after what stands above")
                .note("next", format!("what stands below belongs into {down}"))
                .help(format!(
                    "sed '1,/^{mark}/d' {name} > {down} && sed -i '/^{mark}/,$d' {name}",
                    mark = mark.replace('+', "[+]")
                )),
            );
        }
        at += line.len();
    }
    None
}

/// How a line begins behind which a way back stands, and in whose files it does. What follows in the line may be anything.
fn back(line: &str) -> Option<(&str, &'static str)> {
    let said = line.trim_start().strip_prefix("--")?.trim_start();
    let before = line.len() - said.len();
    BACK.iter().find_map(|(back, tool)| {
        let own = said.get(..back.len())?;
        let mark = line.get(..before + back.len())?;
        own.eq_ignore_ascii_case(back).then_some((mark, *tool))
    })
}

#[cfg(test)]
mod tests {
    use super::super::stored;
    use super::*;
    use crate::from_files;

    fn read(files: &[(&str, &str)]) -> Result<Vec<String>, Vec<Diagnostic>> {
        let found = from_files(&"main".parse().unwrap(), &stored(files), Dialect::Postgres)?;
        Ok(found
            .iter()
            .map(|file| format!("{} {}", file.migration.id, file.migration.phase))
            .collect())
    }

    #[test]
    fn what_another_tool_ran_needs_no_phase_and_no_way_back() {
        let last = "-- cutover: adopted=yes\nUPDATE a SET x = 1; ALTER TABLE a DROP COLUMN y;";
        let own = ("V4__d.sql", "ALTER TABLE a ADD COLUMN z int;");
        let theirs = [
            ("V1__a.sql", "CREATE TABLE a (x int, y int);"),
            ("V2__b.sql", "INSERT INTO b VALUES (1); DROP TABLE b;"),
            ("U2__b.sql", "CREATE TABLE b (x int);"),
            ("V3__c.sql", last),
        ];
        assert_eq!(read(&theirs).unwrap(), ["1_a expand", "2_b expand", "3_c expand"]);
        // Those that come after it are as any other.
        let found = read(&[theirs[0], theirs[1], theirs[2], theirs[3], own]).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].code, "migrate.down-missing");
        assert_eq!(found[0].notes[0].0, IF_THEIRS.0);
        let found = read(&theirs[..3]).unwrap_err();
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_file_with_both_ways_in_it_is_refused() {
        for (text, command) in [
            (
                "-- migrate:up\nCREATE TABLE a (x int);\n\n-- migrate:down transaction:false, don't/won't\nDROP TABLE a;\n",
                "sed '1,/^-- migrate:down/d' 1_a.up.sql > 1_a.down.sql && sed -i '/^-- migrate:down/,$d' 1_a.up.sql",
            ),
            (
                "-- +goose Up\nCREATE TABLE a (x int);\n  -- +goose Down\nDROP TABLE a;\n",
                "sed '1,/^  -- [+]goose Down/d' 1_a.up.sql > 1_a.down.sql && sed -i '/^  -- [+]goose Down/,$d' 1_a.up.sql",
            ),
            (
                "-- cutover: adopted=yes\n-- +migrate Up\nSELECT 1;\n-- +migrate Down\nSELECT 2;\n",
                "sed '1,/^-- [+]migrate Down/d' 1_a.up.sql > 1_a.down.sql && sed -i '/^-- [+]migrate Down/,$d' 1_a.up.sql",
            ),
        ] {
            let found = read(&[("1_a.up.sql", text), ("1_a.down.sql", "SELECT 1;")]).unwrap_err();
            let found = found.iter().find(|one| one.code == "migrate.both-ways").unwrap();
            assert_eq!(found.help.as_deref(), Some(command));
        }
        let prose = "-- What migrate:down does is another matter.\n-- migrate:up\nCREATE TABLE a (x int);";
        read(&[("1_a.up.sql", prose), ("1_a.down.sql", "SELECT 1;")]).unwrap();
    }
}
