//! What the linter says of PostgreSQL, seen on a server: each rule's first example is run in a transaction, and the locks that
//! it holds, the files that it replaces and the tables that it reads are compared with what the rule claims.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use cutover_sql::ddl::Ddl;
use cutover_sql::lint::{Effect, Example, RULES, Rule};
use cutover_sql::{Dialect, read, split};
use tokio_postgres::{Client, NoTls};

/// From weak to strong (PostgreSQL manual, 13.3.1).
const LOCKS: [&str; 9] = [
    "",
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The files of the relations that are there, by their oid.
async fn files(client: &Client) -> BTreeMap<u32, u32> {
    let rows = client
        .query(
            "SELECT oid, relfilenode FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i', 'm', 'p')",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

struct Seen {
    lock: String,
    rewrite: bool,
    scan: bool,
}

async fn run(url: &str, example: &Example) -> Seen {
    let fresh = format!(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; {}",
        example.setup
    );
    connect(url).await.batch_execute(&fresh).await.unwrap();
    // Another session, because the counts of scans are those of a session.
    let client = connect(url).await;
    let before = files(&client).await;
    client.batch_execute("BEGIN").await.unwrap();
    for statement in split(Dialect::Postgres, example.sql).unwrap() {
        if !matches!(read(Dialect::Postgres, &statement.text), Ddl::Transaction(_)) {
            let done = client.batch_execute(&statement.text).await;
            assert!(done.is_ok(), "{}: {done:?}", statement.text);
        }
    }
    let after = files(&client).await;
    let oids: Vec<u32> = before.keys().copied().collect();
    let locks = client
        .query(
            "SELECT mode FROM pg_locks JOIN pg_class c ON c.oid = relation
             WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation = ANY($1) AND c.relkind <> 'i'
             UNION ALL
             SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation = ANY($1)
             AND NOT EXISTS (SELECT FROM pg_class WHERE oid = relation)",
            &[&oids],
        )
        .await
        .unwrap();
    let strongest = locks
        .iter()
        .map(|row| row.get::<_, String>(0))
        .max_by_key(|mode| LOCKS.iter().position(|known| known == mode));
    let scans: i64 = client
        .query_one(
            "SELECT coalesce(sum(pg_stat_get_xact_numscans(oid)), 0)::bigint FROM pg_class
             WHERE oid = ANY($1) AND relkind IN ('r', 'm')",
            &[&oids],
        )
        .await
        .unwrap()
        .get(0);
    client.batch_execute("ROLLBACK").await.unwrap();
    let rewrite = before
        .iter()
        .any(|(oid, file)| after.get(oid).is_some_and(|now| now != file));
    Seen {
        lock: strongest.unwrap_or_default(),
        rewrite,
        scan: scans > 0,
    }
}

fn proved() -> impl Iterator<Item = (&'static Rule, &'static Example, Effect)> {
    RULES.iter().filter_map(|rule| {
        let effect = rule.effect?;
        let example = rule
            .bad
            .iter()
            .find(|example| example.dialect == Dialect::Postgres)?;
        Some((*rule, example, effect))
    })
}

#[tokio::test]
async fn every_rule_is_right_about_its_first_example() {
    let Some(url) = cutover_testkit::postgres_database().await else {
        return;
    };
    let mut wrong = Vec::new();
    let mut proofs = 0;
    for (rule, example, effect) in proved() {
        let seen = run(&url, example).await;
        proofs += 1;
        let claimed = (effect.lock, effect.rewrite, effect.scan);
        let found = (seen.lock.as_str(), seen.rewrite, seen.scan);
        if claimed != found {
            wrong.push(format!("{}: says {claimed:?}, did {found:?}", rule.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(proofs >= 20, "{proofs} rules are proved");
}

/// What the linter leaves alone takes no strong lock for longer than a moment: nothing is rewritten and no table is read.
#[tokio::test]
async fn what_is_not_found_costs_nothing() {
    let Some(url) = cutover_testkit::postgres_database().await else {
        return;
    };
    let types = [
        ("varchar(10)", "varchar(20)"),
        ("varchar(10)", "varchar"),
        ("varchar(10)", "text"),
        ("text", "varchar"),
        ("varbit(4)", "varbit(8)"),
        ("numeric(10, 2)", "numeric(12, 2)"),
        ("numeric(10, 2)", "numeric"),
        ("timestamp(0)", "timestamp(3)"),
        ("timestamp(3)", "timestamp"),
        ("timestamptz(0)", "timestamptz"),
        ("time(0)", "time(6)"),
        ("interval(0)", "interval(3)"),
        ("cidr", "inet"),
        ("xml", "text"),
        ("integer", "oid"),
        ("integer", "regnamespace"),
        ("oid", "regclass"),
        ("regclass", "oid"),
        ("regclass", "integer"),
        ("text", "bpchar"),
        ("varchar(10)", "bpchar"),
        ("char(4)", "bpchar"),
        ("bit(4)", "varbit"),
        ("xml", "varchar"),
        ("varchar(10)[]", "varchar[]"),
        ("char(4)[]", "bpchar[]"),
        ("numeric(10, 2)[]", "numeric[]"),
        ("interval year", "interval"),
        ("interval year", "interval day"),
        ("interval year to month", "interval(3)"),
        ("interval", "interval day to second"),
        ("interval second(3)", "interval"),
        ("short", "text"),
        ("short", "varchar"),
        ("varchar(5)", "short"),
        ("varchar(5)", "shorter"),
    ];
    let costly = [
        ("int", "bigint"),
        ("varchar(20)", "varchar(10)"),
        ("varchar", "varchar(10)"),
        ("text", "varchar(10)"),
        ("char(4)", "char(8)"),
        ("char(4)", "text"),
        ("numeric(10, 2)", "numeric(12, 3)"),
        ("numeric", "numeric(12, 3)"),
        ("timestamp", "timestamp(0)"),
        ("timestamp", "date"),
        ("inet", "cidr"),
        ("bigint", "int"),
        ("json", "jsonb"),
        ("varchar(10)[]", "varchar(20)[]"),
        ("varchar(10)[]", "text[]"),
        ("bpchar", "text"),
        ("bpchar", "char(4)"),
        ("\"char\"", "bpchar"),
        ("char", "\"char\""),
        ("bit(4)", "varbit(4)"),
        ("regclass", "bigint"),
        ("interval", "interval year"),
        ("interval day", "interval month"),
        ("interval", "interval second(3)"),
        ("short", "varchar(20)"),
        ("varchar(20)", "short"),
        ("text", "full_text"),
        ("text", "fuller_text"),
    ];
    let domains = "CREATE DOMAIN short AS varchar(10); CREATE DOMAIN shorter AS short;
        CREATE DOMAIN full_text AS text CHECK (value <> ''); CREATE DOMAIN fuller_text AS full_text;";
    let cases = types
        .iter()
        .map(|pair| (pair, false))
        .chain(costly.iter().map(|pair| (pair, true)));
    for ((from, to), rewrites) in cases {
        let setup = format!("{domains} CREATE TABLE t (c {from}); INSERT INTO t VALUES (NULL)");
        // Said in words, which changes nothing, because not every cast is tried without.
        let sql = format!("ALTER TABLE t ALTER COLUMN c TYPE {to} USING c::{to}");
        let prior = cutover_sql::lint::Prior::from_text(Dialect::Postgres, &setup);
        let linted = cutover_sql::lint::lint(&cutover_sql::lint::Input {
            dialect: Dialect::Postgres,
            version: None,
            prior: &prior,
            file: "t.sql",
            source: &sql,
            transaction: None,
        });
        let found = linted
            .findings
            .iter()
            .any(|finding| finding.rule == "change-type");
        assert_eq!(found, rewrites, "{from} → {to}");
        let example = Example::pg_after(Box::leak(setup.into_boxed_str()), Box::leak(sql.into_boxed_str()));
        let seen = run(&url, &example).await;
        assert_eq!(seen.rewrite || seen.scan, rewrites, "{from} → {to}");
    }
}

/// Every function that the linter takes for steady is volatile in no overload, and it knows all of this version's.
#[tokio::test]
async fn functions_are_as_steady_as_the_catalogue_says() {
    let Some(url) = cutover_testkit::postgres_database().await else {
        return;
    };
    let known: BTreeSet<&str> = include_str!("../../cutover-sql/src/lint/steady.txt")
        .split_whitespace()
        .collect();
    let client = connect(&url).await;
    let rows = client
        .query(
            "SELECT proname::text, bool_and(provolatile <> 'v'), current_setting('server_version_num')::int / 10000
             FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND proname !~ '[A-Z]'
             GROUP BY 1",
            &[],
        )
        .await
        .unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let (name, steady, version): (String, bool, i32) = (row.get(0), row.get(1), row.get(2));
        let is_known = known.contains(name.as_str());
        if (is_known && !steady) || (steady && !is_known && version == 15) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(rows.len() > 2_000, "{}", rows.len());
}
