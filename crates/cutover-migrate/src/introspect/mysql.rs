//! MySQL and MariaDB: `information_schema` says what there is, and `SHOW CREATE` what it is.

use cutover_sql::catalog::{Catalog, OtherName, View, read_shown_table, read_shown_view, without_database};
use cutover_sql::{TableName, ticked};

use super::{OWN, rows};
use crate::failure::Failure;
use crate::session::SqlSession;

/// Names are quoted, and by backticks, whatever the server is set to.
const SHOWN_PLAINLY: &str = "SET SESSION sql_quote_show_create = 1, sql_mode = ''";

pub(super) async fn catalog<S: SqlSession>(session: &mut S) -> Result<Catalog, Failure> {
    session.execute(SHOWN_PLAINLY).await?;
    let mut own = rows(session, "SELECT DATABASE()").await?;
    let own = own.pop().map(|mut row| row.text()).unwrap_or_default();
    let mut out = Catalog::default();
    let sql = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()
        ORDER BY table_name";
    let mut views = Vec::new();
    for mut row in rows(session, sql).await? {
        let (name, kind) = (row.text(), row.text());
        if name.starts_with(OWN) {
            continue;
        }
        let of_view = kind.ends_with("VIEW");
        let word = match kind.as_str() {
            "SEQUENCE" => "SEQUENCE",
            _ if of_view => "VIEW",
            _ => "TABLE",
        };
        let text = shown(session, word, &name).await?;
        let table = bare(&name);
        if of_view {
            views.extend(view(table, &text, &own));
            continue;
        }
        let text = without_database(&text, &own);
        match read_shown_table(&table, &text) {
            Some(read) if kind != "SEQUENCE" => drop(out.tables.insert(table, read)),
            _ => drop(out.others.insert(other(&kind.to_lowercase(), name), text)),
        }
    }
    out.views = ordered(views);
    others(session, &mut out).await?;
    Ok(out)
}

fn bare(name: &str) -> TableName {
    TableName {
        schema: None,
        name: name.to_owned(),
    }
}

fn other(kind: &str, name: String) -> OtherName {
    OtherName {
        kind: kind.to_owned(),
        name,
    }
}

async fn shown<S: SqlSession>(session: &mut S, kind: &str, name: &str) -> Result<String, Failure> {
    let sql = format!("SHOW CREATE {kind} {}", ticked(name));
    let mut row = rows(session, &sql).await?.pop();
    Ok(row
        .as_mut()
        .map(|row| {
            row.text();
            row.text()
        })
        .unwrap_or_default())
}

/// One that reads only tables of its own database is said without the database's name; else all names have theirs.
fn view(name: TableName, text: &str, own: &str) -> Option<View> {
    let (options, query) = read_shown_view(text)?;
    let whole = format!("VIEW {}.", ticked(own));
    let query = if text.contains(&whole) {
        without_database(&query, own)
    } else {
        query
    };
    Some(View {
        name,
        materialized: false,
        query,
        options,
        comment: None,
    })
}

/// Each after those that it reads.
fn ordered(mut views: Vec<View>) -> Vec<View> {
    let mut out = Vec::new();
    while !views.is_empty() {
        let waits = |view: &View| {
            views
                .iter()
                .any(|other| other.name != view.name && view.query.contains(&other.name.ticked()))
        };
        let (later, now): (Vec<View>, Vec<View>) = views.iter().cloned().partition(waits);
        // Two whose names stand in each other, as columns perhaps: in any order.
        views = if now.is_empty() { Vec::new() } else { later.clone() };
        out.extend(if now.is_empty() { later } else { now });
    }
    out
}

async fn others<S: SqlSession>(session: &mut S, out: &mut Catalog) -> Result<(), Failure> {
    let triggers =
        "SELECT 'trigger', CONCAT(trigger_name, ' on ', event_object_table), CONCAT_WS(' ', action_timing,
            event_manipulation, action_statement) FROM information_schema.triggers
        WHERE trigger_schema = DATABASE() AND LEFT(event_object_table, 8) <> 'cutover_'";
    let routines = "SELECT LOWER(r.routine_type), r.routine_name, CONCAT_WS(' ',
            (SELECT GROUP_CONCAT(CONCAT_WS(' ', p.parameter_mode, p.parameter_name, p.dtd_identifier)
                ORDER BY p.ordinal_position SEPARATOR ', ')
             FROM information_schema.parameters p WHERE p.specific_schema = r.routine_schema
                AND p.specific_name = r.specific_name AND p.routine_type = r.routine_type),
            r.is_deterministic, r.sql_data_access, r.security_type, r.routine_definition)
        FROM information_schema.routines r WHERE r.routine_schema = DATABASE()";
    let events = "SELECT 'event', event_name, CONCAT_WS(' ', event_type, interval_value, interval_field, status, on_completion,
            event_definition) FROM information_schema.events WHERE event_schema = DATABASE()";
    for sql in [triggers, routines, events] {
        for mut row in rows(session, sql).await? {
            let (kind, name) = (row.text(), row.text());
            out.others.insert(other(&kind, name), row.text());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, query: &str) -> View {
        View {
            name: bare(name),
            materialized: false,
            query: query.to_owned(),
            options: String::new(),
            comment: None,
        }
    }

    #[test]
    fn views_come_after_those_that_they_read() {
        let all = vec![
            named("a", "select 1 from `b`"),
            named("b", "select 1 from `c`"),
            named("c", "select 1"),
        ];
        let names: Vec<String> = ordered(all).into_iter().map(|view| view.name.name).collect();
        assert_eq!(names, ["c", "b", "a"]);
        let each_other = vec![named("a", "select `b` from t"), named("b", "select `a` from t")];
        assert_eq!(ordered(each_other).len(), 2);
    }

    #[test]
    fn a_view_across_databases_loses_the_name_of_its_own() {
        let text = "CREATE ALGORITHM=UNDEFINED DEFINER=`r`@`%` SQL SECURITY DEFINER VIEW `d`.`v` AS select `d`.`t`.`a` AS `a` from (`d`.`t` join `e`.`t`)";
        let read = view(bare("v"), text, "d").unwrap();
        assert_eq!(read.query, "select `t`.`a` AS `a` from (`t` join `e`.`t`)");
        let text = "CREATE ALGORITHM=UNDEFINED DEFINER=`r`@`%` SQL SECURITY DEFINER VIEW `v` AS select `d`.`a` AS `a` from `d`";
        let read = view(bare("v"), text, "d").unwrap();
        assert_eq!(read.query, "select `d`.`a` AS `a` from `d`");
    }
}
