//! When a statement may run: the phase that it makes its file, where that is certain.
//!
//! Expand is a list of what is known to leave the old version unharmed; what is not on it is not certain. A contract is what a
//! rule finds that only a contract makes right. Whoever counts on a phase must treat "not certain" as "may be any".

use std::ops::Range;

use cutover_model::MigrationPhase;

use super::finding::Family;
use super::rule::{Lifted, Report};
use super::state::State;
use crate::command::Command;
use crate::ddl::{Alter, AlterTable, Column, Ddl, Kind, Name};

/// What one statement makes of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementPhase {
    /// None: it may be any.
    pub phase: Option<MigrationPhase>,
    /// Which bytes of the file.
    pub span: Range<usize>,
}

/// The phase of a statement, before it is applied to `state`. None: it has none, and goes into any file; `Some(None)`: not
/// certain.
pub(super) fn of(text: &str, ddl: &Ddl, state: &State, reports: &[Report]) -> Option<Option<MigrationPhase>> {
    let serious = || reports.iter().filter(|report| report.is_serious());
    if serious().any(|report| report.rule().lifted == Lifted::Contract) {
        return Some(Some(MigrationPhase::Contract));
    }
    match ddl {
        Ddl::Set(_) | Ddl::Transaction(_) => return None,
        Ddl::Command(command) if **command == Command::Read => return None,
        Ddl::Harmless if changes_nothing(text) => return None,
        _ => {}
    }
    // What no contract makes right is nobody's phase.
    let is_harm = |report: &Report| matches!(report.rule().family, Family::Compat | Family::DataLoss);
    let expands = !serious().any(is_harm) && is_expand(ddl, state);
    Some(expands.then_some(MigrationPhase::Expand))
}

/// Rules have no interest in many more, such as `ALTER VIEW … AS`, `ALTER SEQUENCE` or `ALTER SYSTEM`, but these do change
/// something.
fn changes_nothing(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["COMMENT", "GRANT", "ANALYZE", "SHOW", "EXPLAIN"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word))
}

fn is_expand(ddl: &Ddl, state: &State) -> bool {
    match ddl {
        // A copy of rows grows old while the old version writes.
        Ddl::CreateTable(create) => !create.replace && !create.from_query && create.partition_of.is_none(),
        Ddl::AlterTable(alter) => state.is_mine(&alter.table) || only_adds(alter),
        Ddl::CreateIndex { index, table, .. } => !index.unique || state.is_mine(table),
        Ddl::Create {
            kind, replace, table, ..
        } => match kind {
            Kind::View
            | Kind::MaterializedView
            | Kind::Sequence
            | Kind::Type
            | Kind::Schema
            | Kind::Function
            | Kind::Procedure => !replace,
            // They run for the old version too, unless nobody knows the table yet.
            Kind::Trigger | Kind::Policy | Kind::Rule => {
                !replace && table.as_ref().is_some_and(|table| state.is_mine(table))
            }
            _ => false,
        },
        Ddl::CreateFunction { replace, .. } => !replace,
        Ddl::Command(command) => is_expanding(command, state),
        Ddl::CreateEnum { .. } | Ddl::CreateDomain { .. } | Ddl::AddEnumValue { .. } => true,
        // Rows of a table that others use may be anything; the first ones of a new table are a part of it.
        Ddl::Insert(write) | Ddl::Update(write) | Ddl::Delete(write) => {
            state.is_mine(&write.table) && write.from.iter().all(|table| state.is_mine(table))
        }
        _ => false,
    }
}

fn is_expanding(command: &Command, state: &State) -> bool {
    let is_mine = |collection: &str| state.is_mine(&Name::plain(collection));
    match command {
        Command::Create { .. } => true,
        // Others bind the old version's writes, or forget its documents.
        Command::CreateIndexes { collection, indexes } => {
            is_mine(collection) || indexes.iter().all(|index| !index.unique && !index.expires)
        }
        Command::Insert { collection, .. }
        | Command::Update { collection, .. }
        | Command::Delete { collection, .. }
        | Command::CollMod { collection, .. }
        | Command::DropIndexes { collection } => is_mine(collection),
        _ => false,
    }
}

fn only_adds(alter: &AlterTable) -> bool {
    alter.actions.iter().all(|action| match &action.what {
        Alter::AddColumn { column, .. } => binds_nobody(column),
        Alter::AddIndex(index) => !index.unique,
        Alter::Validate(_) | Alter::ColumnSetting(_) => true,
        _ => false,
    })
}

/// Whether rows of those who do not know the column are as good as before.
fn binds_nobody(column: &Column) -> bool {
    let has_key = column.unique || column.primary_key;
    (!column.not_null || column.has_value()) && !has_key && column.check.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;
    use crate::lint::{Input, Prior, lint};

    fn phases(dialect: Dialect, sql: &str) -> Vec<Option<MigrationPhase>> {
        let prior = Prior::from_text(dialect, "CREATE TABLE t (a int, b text);");
        let linted = lint(&Input {
            dialect,
            version: None,
            prior: &prior,
            file: "test.sql",
            source: sql,
            transaction: None,
        });
        linted.phases.into_iter().map(|one| one.phase).collect()
    }

    #[test]
    fn each_statement_says_its_own() {
        use MigrationPhase::{Contract, Expand};
        for dialect in [
            Dialect::Postgres,
            Dialect::Mysql,
            Dialect::MariaDb,
            Dialect::Sqlite,
        ] {
            let sql = "ALTER TABLE t ADD COLUMN c int;\nUPDATE t SET b = 'x';\nALTER TABLE t DROP COLUMN b;\n\
                CREATE TABLE n (a int);\nINSERT INTO n VALUES (1);\nDROP TABLE t;\nNONSENSE;";
            let expected = [
                Some(Expand),
                None,
                Some(Contract),
                Some(Expand),
                Some(Expand),
                Some(Contract),
                None,
            ];
            assert_eq!(phases(dialect, sql), expected, "{dialect:?}");
        }
    }

    #[test]
    fn commands_say_their_own() {
        use MigrationPhase::{Contract, Expand};
        let text = r#"[{"create": "n"}, {"insert": "n", "documents": [{"_id": 1}]}, {"ping": 1},
            {"createIndexes": "t", "indexes": [{"key": {"x": 1}, "name": "x"}]},
            {"createIndexes": "t", "indexes": [{"key": {"y": 1}, "name": "y", "unique": true}]},
            {"update": "t", "updates": [{"q": {}, "u": {"$set": {"x": 1}}, "multi": true}]},
            {"update": "t", "updates": [{"q": {}, "u": {"$unset": {"x": 1}}, "multi": true}]},
            {"drop": "t"}, {"renameCollection": "t", "to": "u"}, {"frobnicate": 1}]"#;
        let expected = [
            Some(Expand),
            Some(Expand),
            Some(Expand),
            None,
            None,
            Some(Contract),
            Some(Contract),
            Some(Contract),
            None,
        ];
        assert_eq!(phases(Dialect::MongoDb, text), expected);
    }

    #[test]
    fn what_binds_the_old_version_is_not_certain() {
        for sql in [
            "ALTER TABLE t ADD COLUMN c int UNIQUE",
            "ALTER TABLE t ADD COLUMN c int CHECK (a > 0)",
            "ALTER TABLE t ADD COLUMN c int NOT NULL",
            "ALTER TABLE t ADD COLUMN c int, ALTER COLUMN b SET DEFAULT 'x'",
            "CREATE OR REPLACE VIEW v AS SELECT a FROM t",
            "DELETE FROM t WHERE a = 1",
            "CREATE TABLE n AS SELECT a FROM t",
            "ALTER SEQUENCE t_id RESTART WITH 1",
            "SELECT setval('t_id', 1)",
        ] {
            assert_eq!(phases(Dialect::Postgres, sql), [None], "{sql}");
        }
        let view = "ALTER ALGORITHM=MERGE VIEW v AS SELECT a FROM t";
        assert_eq!(phases(Dialect::Mysql, view), [None]);
        let copied = "CREATE TABLE n (a int); INSERT INTO n SELECT a FROM t";
        assert_eq!(
            phases(Dialect::Sqlite, copied),
            [Some(MigrationPhase::Expand), None]
        );
        let beside =
            "COMMENT ON TABLE t IS 'x'; GRANT SELECT ON t TO reader; SET lock_timeout = '1s'; ANALYZE t";
        assert_eq!(phases(Dialect::Postgres, beside), []);
    }
}
