//! MODIFY and CHANGE: what InnoDB cannot do in place.

use super::prelude::*;
use crate::lint::mysql::{self, Cost};

pub(crate) const RULE: Rule = Rule {
    id: "mysql-change-column",
    family: Family::Lock,
    severity: Severity::Error,
    dialects: MY,
    lifted: Lifted::Never,
    summary: "a column is defined anew in a way that copies the table",
    why: "Another type, a shorter length, another character set, AUTO_INCREMENT, or an ENUM whose values are not only added at its \
          end: the table is copied, and nobody writes to it meanwhile. A VARCHAR grows in place only while its length needs as many \
          bytes as before (up to 255 bytes one, then two); in MariaDB one of up to 127 bytes grows in place to any length, and an \
          unindexed one goes in place from utf8mb3 to utf8mb4.",
    safe: "gh-ost or pt-online-schema-change; or a second column, filled in a backfill",
    effect: None,
    bad: &[
        Example::my("CREATE TABLE t (a int);", "ALTER TABLE t MODIFY a bigint"),
        Example::my(
            "CREATE TABLE t (a varchar(20)) CHARSET=utf8mb4;",
            "ALTER TABLE t MODIFY a varchar(64)",
        ),
        Example::my(
            "CREATE TABLE t (e enum('a','b'));",
            "ALTER TABLE t MODIFY e enum('b','a')",
        ),
        Example::my(
            "CREATE TABLE t (s set('a','b','c','d','e','f','g','h'));",
            "ALTER TABLE t MODIFY s set('a','b','c','d','e','f','g','h','i')",
        ),
        Example::my("", "ALTER TABLE t MODIFY a bigint"),
        Example::maria("CREATE TABLE t (a int);", "ALTER TABLE t CHANGE a b bigint"),
        Example::maria(
            "CREATE TABLE t (a varchar(32)) CHARSET=utf8mb4;",
            "ALTER TABLE t MODIFY a varchar(64)",
        ),
        Example::my(
            "CREATE TABLE t (id int PRIMARY KEY);",
            "ALTER TABLE t MODIFY id int NOT NULL AUTO_INCREMENT",
        ),
    ],
    good: &[
        Example::my(
            "CREATE TABLE t (a varchar(20)) CHARSET=utf8mb4;",
            "ALTER TABLE t MODIFY a varchar(63)",
        ),
        Example::my(
            "CREATE TABLE t (a int);",
            "ALTER TABLE t MODIFY a int DEFAULT 5 COMMENT 'x'",
        ),
        Example::my(
            "CREATE TABLE t (e enum('a','b'));",
            "ALTER TABLE t MODIFY e enum('a','b','c')",
        ),
        Example::maria(
            "CREATE TABLE t (a varchar(20)) CHARSET=utf8mb4;",
            "ALTER TABLE t MODIFY a varchar(256)",
        ),
        Example::maria(
            "CREATE TABLE t (a varchar(20)) CHARSET=utf8mb3;",
            "ALTER TABLE t MODIFY a varchar(20) CHARACTER SET utf8mb4",
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    for (table, action) in look.actions() {
        let Alter::Modify { old, column, .. } = &action.what else {
            continue;
        };
        if let Cost::Copy(why) = mysql::modify(look, table, old, column) {
            report.add(
                action.span.clone(),
                format!("{table} is copied, and nobody writes to it meanwhile: {why}"),
            );
        }
    }
}
