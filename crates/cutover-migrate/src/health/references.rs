//! Foreign keys of MySQL and MariaDB: rows that were written with `foreign_key_checks = 0`, as dumps and files are, may point to
//! rows that are not there, and the server never looks again.
//!
//! One query for each key, which ends with the first such row and after a time; all together have a time, too, so that a look
//! over a large database is no load. What was not seen to its end is told.

use std::time::Duration;

use cutover_model::{Diagnostic, Severity};
use cutover_sql::{Dialect, TableName, catalog::renamed, ticked};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::session::{SqlSession, TextRow};

/// One query: a key of some million rows is looked through by then.
const EACH: Duration = Duration::from_secs(2);

/// All of them.
const ALL: Duration = Duration::from_secs(10);

/// As many keys are named that were not looked through.
const NAMED: usize = 5;

/// A foreign key, with its pairs of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference {
    name: String,
    table: String,
    /// With its database, where that is another one.
    target: TableName,
    columns: Vec<(String, String)>,
}

/// What is violated of the keys whose tables are named in these texts; none: of all keys.
pub(super) async fn look<S: SqlSession>(
    session: &mut S,
    texts: Option<&[String]>,
) -> Result<Vec<Diagnostic>, Failure> {
    let sql = "SELECT constraint_name, table_name, nullif(referenced_table_schema, DATABASE()), referenced_table_name, column_name,
            referenced_column_name
        FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL
        ORDER BY table_name, constraint_name, ordinal_position";
    let mut all = references(session.rows_as_written(sql).await?);
    all.retain(|one| texts.is_none_or(|texts| one.is_named_in(texts)));
    if all.is_empty() {
        return Ok(Vec::new());
    }
    limit(session).await?;
    let begun = Instant::now();
    let (mut out, mut unseen) = (Vec::new(), Vec::new());
    for one in &all {
        if begun.elapsed() >= ALL {
            unseen.push(one);
            continue;
        }
        match session.rows_as_written(&one.query()).await {
            Ok(rows) if rows.is_empty() => {}
            Ok(_) => out.push(one.violated()),
            Err(Failure::Lost(said)) => return Err(Failure::Lost(said)),
            // Too slow, behind somebody's lock, or of a table that this user may not read.
            Err(_) => unseen.push(one),
        }
    }
    out.extend(untold(&unseen));
    Ok(out)
}

/// Each of the session's queries ends after a while.
async fn limit<S: SqlSession>(session: &mut S) -> Result<(), Failure> {
    let rows = session.rows_as_written("SELECT VERSION()").await?;
    let version = rows.into_iter().flatten().flatten().next().unwrap_or_default();
    let sql = if version.contains("MariaDB") {
        format!("SET SESSION max_statement_time = {}", EACH.as_secs())
    } else {
        format!("SET SESSION max_execution_time = {}", EACH.as_millis())
    };
    session.execute(&sql).await.map(drop)
}

fn references(rows: Vec<TextRow>) -> Vec<Reference> {
    let mut out: Vec<Reference> = Vec::new();
    for row in rows {
        let mut row = row.into_iter();
        let mut next = || row.next().flatten();
        let (name, table) = (next().unwrap_or_default(), next().unwrap_or_default());
        let target = TableName {
            schema: next(),
            name: next().unwrap_or_default(),
        };
        let pair = (next().unwrap_or_default(), next().unwrap_or_default());
        match out
            .last_mut()
            .filter(|last| last.name == name && last.table == table)
        {
            Some(last) => last.columns.push(pair),
            None => out.push(Reference {
                name,
                table,
                target,
                columns: vec![pair],
            }),
        }
    }
    out
}

impl Reference {
    fn is_named_in(&self, texts: &[String]) -> bool {
        let names = |text: &String, name: &str| renamed(Dialect::MariaDb, text, name, "").is_some();
        texts
            .iter()
            .any(|text| names(text, &self.table) || names(text, &self.target.name))
    }

    /// A row that points to nothing: a row is bound only where all of its columns are given.
    fn query(&self) -> String {
        let pairs: Vec<String> = self
            .columns
            .iter()
            .map(|(own, theirs)| format!("target.{} = own.{}", ticked(theirs), ticked(own)))
            .collect();
        let given: Vec<String> = self
            .columns
            .iter()
            .map(|(own, _)| format!("own.{} IS NOT NULL", ticked(own)))
            .collect();
        let missing = self.columns.first().map_or("", |(_, theirs)| theirs.as_str());
        format!(
            "SELECT 1 FROM {} AS own LEFT JOIN {} AS target ON {} WHERE target.{} IS NULL AND {} LIMIT 1",
            ticked(&self.table),
            self.target.ticked(),
            pairs.join(" AND "),
            ticked(missing),
            given.join(" AND ")
        )
    }

    fn violated(&self) -> Diagnostic {
        let every = self.query().replacen("SELECT 1", "SELECT own.*", 1);
        Diagnostic::warning(
            "migrate.violated",
            format!(
                "rows of {} point to rows of {} that are not there, against its foreign key {}",
                self.table, self.target, self.name
            ),
        )
        .note("find", every.trim_end_matches(" LIMIT 1"))
        .help("cutover migrate new repair_references --release VERSION")
    }
}

/// What nobody knows is not told as well.
fn untold(unseen: &[&Reference]) -> Option<Diagnostic> {
    let first = unseen.first()?;
    let mut names: Vec<String> = unseen
        .iter()
        .take(NAMED)
        .map(|one| format!("{} of {}", one.name, one.table))
        .collect();
    if unseen.len() > NAMED {
        names.push(format!("{} more", unseen.len() - NAMED));
    }
    let found = Diagnostic::warning(
        "migrate.not-looked-through",
        format!(
            "whether all rows fulfil these foreign keys is not known: {}",
            names.join(", ")
        ),
    )
    .note("find", first.query())
    .help("cutover migrate validate");
    Some(Diagnostic {
        severity: Severity::Note,
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(all: [&str; 6]) -> TextRow {
        all.iter()
            .map(|one| (!one.is_empty()).then(|| (*one).to_owned()))
            .collect()
    }

    #[test]
    fn a_key_of_several_columns_is_one_query() {
        let found = references(vec![
            row(["fk", "a", "", "b", "x", "y"]),
            row(["fk", "a", "", "b", "x2", "y2"]),
            row(["fk", "c", "d", "b", "z", "y"]),
        ]);
        let queries: Vec<String> = found.iter().map(Reference::query).collect();
        assert_eq!(
            queries,
            [
                "SELECT 1 FROM `a` AS own LEFT JOIN `b` AS target ON target.`y` = own.`x` AND target.`y2` = own.`x2` \
                 WHERE target.`y` IS NULL AND own.`x` IS NOT NULL AND own.`x2` IS NOT NULL LIMIT 1",
                "SELECT 1 FROM `c` AS own LEFT JOIN `d`.`b` AS target ON target.`y` = own.`z` \
                 WHERE target.`y` IS NULL AND own.`z` IS NOT NULL LIMIT 1",
            ]
        );
    }

    #[test]
    fn only_keys_of_tables_that_a_text_names_are_looked_at() {
        let one = &references(vec![row(["fk", "a", "", "b", "x", "y"])])[0];
        for (text, expected) in [
            ("ALTER TABLE `a` ADD n int", true),
            ("DELETE FROM b WHERE y = 1", true),
            ("UPDATE c SET n = 'a b'", false),
        ] {
            assert_eq!(one.is_named_in(&[text.to_owned()]), expected, "{text}");
        }
    }

    #[test]
    fn what_was_not_seen_to_its_end_is_a_note() {
        let all: Vec<Reference> = (0..7)
            .map(|n| references(vec![row([&format!("fk{n}"), "a", "", "b", "x", "y"])]).remove(0))
            .collect();
        assert_eq!(untold(&[]), None);
        let found = untold(&all.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(found.severity, Severity::Note);
        assert!(found.message.ends_with("fk4 of a, 2 more"), "{}", found.message);
    }
}
