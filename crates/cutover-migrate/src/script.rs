//! A dry run as text: what would be run, in order, as files that another program could run. Pure.

use std::fmt::Write as _;
use std::sync::Arc;

use cutover_sql::{Dialect, Statement, ended, has_inner_semicolon};

use crate::job::commits_by_itself;
use crate::weave::RANGE;
use crate::{Direction, MigrationFile, Script};

/// The statements of files one after the other, each file with what it is and whether it is one transaction.
pub(crate) fn text(dialect: Dialect, files: &[Arc<MigrationFile>], direction: Direction) -> String {
    let mut out = String::new();
    for file in files {
        let script = match direction {
            Direction::Up => Some(&file.up),
            Direction::Down => file.down.as_ref(),
        };
        let Some(script) = script else { continue };
        let whole = script.transaction && !commits_by_itself(dialect, script);
        let how = if whole {
            "one transaction"
        } else {
            "statement by statement"
        };
        let phase = file.migration.phase;
        let separator = if out.is_empty() { "" } else { "\n" };
        let (comment, how) = match dialect {
            Dialect::MongoDb => ("//", "command by command"),
            _ => ("--", how),
        };
        // Into a String, this cannot fail.
        let _ = writeln!(out, "{separator}{comment} {} ({phase}, {how})", script.name);
        if dialect == Dialect::MongoDb {
            out.push_str(&statements(dialect, script));
            out.push('\n');
            continue;
        }
        if script.text.contains("${") {
            out.push_str(
                "-- its ${name} stand for the placeholders of cutover.yaml, which are put in when it runs\n",
            );
        }
        if whole {
            out.push_str("BEGIN;\n");
        }
        let directed = !file.syncs.is_empty() || !file.ended.is_empty();
        let body = if file.batched.is_some() && direction == Direction::Up {
            let note = "-- Cutover runs this in batches; here it is one statement\n";
            note.to_owned() + &statements(dialect, script).replace(RANGE, "true")
        } else if directed {
            statements(dialect, script)
        } else {
            written(dialect, script)
        };
        out.push_str(&body);
        // The last line may be a comment.
        out.push_str(if body.ends_with(';') { "\n" } else { "\n;\n" });
        if whole {
            out.push_str("COMMIT;\n");
        }
    }
    out
}

/// With what the header's directives add, but for the statements that only ask whether the expressions hold.
fn statements(dialect: Dialect, script: &Script) -> String {
    let is_written = |one: &Statement| {
        let text = script.text.get(one.byte_offset..);
        text.is_some_and(|text| text.starts_with(&one.text))
    };
    let all = script.statements.iter();
    let text: String = all
        .filter(|one| is_written(one) || !one.text.starts_with("EXPLAIN "))
        .map(|one| match delimited(dialect, &one.text) {
            Some(text) => text + "\n",
            None => ended(dialect, &one.text),
        })
        .collect();
    text.trim_end().to_owned()
}

/// The file as it is, and bodies between delimiters, which the client needs and Cutover does not.
fn written(dialect: Dialect, script: &Script) -> String {
    let text = script.text.trim_start_matches('\u{feff}');
    let own = text.lines().any(|line| {
        let word = line.split_whitespace().next().unwrap_or_default();
        word.eq_ignore_ascii_case("DELIMITER")
    });
    if own {
        return text.trim().to_owned();
    }
    let mut out = String::new();
    let mut rest = script.text.as_str();
    for one in &script.statements {
        let Some((before, after)) = rest.split_once(&one.text) else {
            continue;
        };
        out.push_str(before);
        rest = after;
        match delimited(dialect, &one.text) {
            Some(text) => {
                out.push_str(&text);
                rest = rest.trim_start().strip_prefix(';').unwrap_or(rest);
            }
            None => out.push_str(&one.text),
        }
    }
    out.push_str(rest);
    out.trim_start_matches('\u{feff}').trim().to_owned()
}

/// A statement of MySQL with a body, as its client takes it.
fn delimited(dialect: Dialect, text: &str) -> Option<String> {
    if !dialect.is_mysql() || !has_inner_semicolon(dialect, text) {
        return None;
    }
    let delimiter = ["//", "$$", ";;"].into_iter().find(|one| !text.contains(one))?;
    Some(format!("DELIMITER {delimiter}\n{text}{delimiter}\nDELIMITER ;"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_spec::StoredFile;

    fn shown(dialect: Dialect, files: &[(&str, &str)]) -> String {
        let stored: Vec<StoredFile> = files
            .iter()
            .map(|(name, text)| StoredFile {
                name: (*name).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        let files = crate::from_files(&"main".parse().unwrap(), &stored, dialect).unwrap();
        let files: Vec<_> = files.into_iter().map(Arc::new).collect();
        text(dialect, &files, Direction::Up)
    }

    #[test]
    fn a_body_stands_between_delimiters_and_the_rest_as_it_was_written() {
        let up = "-- cutover: phase=expand\n-- The trigger.\nCREATE TRIGGER t BEFORE INSERT ON u FOR EACH ROW BEGIN\n\
            SET NEW.a = 1; SET NEW.b = 'x//';\nEND;\n-- And one more.\nSELECT 1;\n";
        let files = [("001_t.up.sql", up), ("001_t.down.sql", "DROP TRIGGER t")];
        let found = shown(Dialect::MariaDb, &files);
        let body = "-- The trigger.\nDELIMITER $$\nCREATE TRIGGER t BEFORE INSERT ON u FOR EACH ROW BEGIN\n\
            SET NEW.a = 1; SET NEW.b = 'x//';\nEND$$\nDELIMITER ;\n-- And one more.\nSELECT 1;\n";
        assert!(found.ends_with(body), "{found}");
        let own =
            "-- cutover: phase=expand\nDELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END//\nDELIMITER ;";
        let files = [("001_t.up.sql", own), ("001_t.down.sql", "DROP PROCEDURE p")];
        let found = shown(Dialect::MariaDb, &files);
        assert!(found.ends_with(&format!("{own}\n")), "{found}");
    }

    #[test]
    fn a_sync_asks_nothing_and_a_backfill_is_one_statement() {
        let files = [
            (
                "001_t.up.sql",
                "-- cutover: phase=expand\nCREATE TABLE t (id int PRIMARY KEY, a text);",
            ),
            ("001_t.down.sql", "DROP TABLE t;"),
            (
                "002_b.up.sql",
                "-- cutover: phase=expand\n-- cutover: sync table=t old=a new=b up=\"a\" down=\"b\"\n\
                 ALTER TABLE t ADD COLUMN b text;",
            ),
            ("002_b.down.sql", "ALTER TABLE t DROP COLUMN b;"),
            (
                "003_g.up.sql",
                "-- cutover: phase=backfill\n-- cutover: backfill table=t key=id\nUPDATE t SET a = '${x}' WHERE {batch};",
            ),
            ("003_g.down.sql", "SELECT 1;"),
        ];
        for dialect in [Dialect::Postgres, Dialect::MariaDb, Dialect::Sqlite] {
            let found = shown(dialect, &files);
            assert!(!found.contains("EXPLAIN") && !found.contains(RANGE), "{found}");
            assert!(found.contains("UPDATE t SET a = '${x}' WHERE true;"), "{found}");
            assert_eq!(found.matches("-- Cutover runs this in batches").count(), 1);
            assert!(found.contains("TRIGGER"), "{found}");
            assert_eq!(
                found.contains("DELIMITER //"),
                dialect == Dialect::MariaDb,
                "{found}"
            );
        }
    }
}
