//! What statements do is seen on a server, and nothing of it is left there.

#![cfg(test)]

use cutover_migrate::{Went, live_schema, trace};
use cutover_sql::{Dialect, split};
use tokio_postgres::NoTls;

#[tokio::test]
async fn locks_are_seen_in_order_and_rolled_back() {
    let Some(text) = cutover_testkit::postgres_database().await else {
        return;
    };
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE \"Orders\" (id int, user_id int);
             INSERT INTO users SELECT n, 'x' FROM generate_series(1, 500) n; ANALYZE users",
        )
        .await
        .unwrap();
    let url = text.parse().unwrap();
    let source = "ALTER TABLE users ADD COLUMN mail text;
        ALTER TABLE users ALTER COLUMN id TYPE bigint;
        ALTER TABLE \"Orders\" ADD FOREIGN KEY (user_id) REFERENCES users;
        CREATE INDEX CONCURRENTLY i ON users (name);
        ALTER TABLE nowhere ADD COLUMN a int;
        SELECT 1";
    let statements = split(Dialect::Postgres, source).unwrap();
    let traced = trace(&url, &statements).await.unwrap();
    let locks = |at: usize| -> Vec<(&str, &str)> {
        let locks = &traced[at].locks;
        locks
            .iter()
            .map(|lock| (lock.table.as_str(), lock.mode.as_str()))
            .collect()
    };
    assert_eq!(locks(0), [("users", "AccessExclusiveLock")]);
    assert_eq!(locks(1), [], "it is held already");
    assert!(
        traced[1].rewritten.iter().any(|table| table == "users"),
        "{:?}",
        traced[1]
    );
    assert_eq!(locks(2), [("\"Orders\"", "ShareRowExclusiveLock")]);
    assert!(
        traced[2].read.iter().any(|table| table == "\"Orders\""),
        "{:?}",
        traced[2]
    );
    assert!(matches!(traced[3].went, Went::NotTried(_)));
    assert!(
        matches!(&traced[4].went, Went::Failed(why) if why.contains("nowhere")),
        "{:?}",
        traced[4]
    );
    assert!(matches!(traced[5].went, Went::NotTried(_)));
    assert!(traced[0].held >= traced[1].took);
    let columns: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(columns, 2, "rolled back");
    let live = live_schema(&url).await.unwrap();
    assert!(
        live.statements.contains("users") && live.statements.contains("PRIMARY KEY"),
        "{}",
        live.statements
    );
    assert!(live.rows.contains(&("users".to_owned(), 500)), "{:?}", live.rows);
}
