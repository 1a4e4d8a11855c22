//! What the linter says of MariaDB, seen on a server: asked to do it in place while others write, the server refuses exactly
//! what the linter finds.

#![cfg(test)]

use cutover_model::Severity;
use cutover_sql::Dialect;
use cutover_sql::lint::{Family, Input, Prior, lint};
use cutover_testkit::{connect_mariadb, mariadb_database};
use mysql_async::prelude::Queryable as _;

const SETUP: &str = "CREATE TABLE u (id int PRIMARY KEY);
    CREATE TABLE t (id int PRIMARY KEY, n int, d decimal(10,2), a varchar(20), x text, e enum('x','y'), s set('a','b'),
        at datetime, u_id int, KEY by_n (n)) DEFAULT CHARSET=utf8mb4;";

/// Actions of `ALTER TABLE t`.
const ACTIONS: [&str; 39] = [
    "ADD COLUMN b int",
    "ADD COLUMN b int NOT NULL DEFAULT 5 FIRST",
    "ADD COLUMN b datetime DEFAULT now()",
    "ADD COLUMN b char(36) DEFAULT (uuid())",
    "ADD COLUMN b double DEFAULT rand()",
    "ADD COLUMN b bigint unsigned DEFAULT uuid_short()",
    "ADD COLUMN b varchar(32) DEFAULT sys_guid()",
    "ADD COLUMN b varbinary(8) DEFAULT random_bytes(8)",
    "ADD COLUMN b int DEFAULT (n + 1)",
    "ADD COLUMN b datetime DEFAULT (now() + interval 1 day)",
    "ADD COLUMN b int AS (n + 1) VIRTUAL",
    "ADD COLUMN b int AS (n + 1) PERSISTENT",
    "ADD COLUMN b bigint NOT NULL AUTO_INCREMENT UNIQUE",
    "ADD INDEX by_a (a)",
    "DROP INDEX by_n",
    "RENAME INDEX by_n TO n_index",
    "ADD FULLTEXT INDEX words (x)",
    "DROP PRIMARY KEY",
    "ADD CONSTRAINT positive CHECK (n > 0)",
    "ADD CONSTRAINT fk FOREIGN KEY (u_id) REFERENCES u (id)",
    "MODIFY n bigint",
    "MODIFY n int unsigned",
    "MODIFY n int DEFAULT 7 COMMENT 'seven'",
    "MODIFY d decimal(12,2)",
    "MODIFY a varchar(30)",
    "MODIFY a varchar(300)",
    "MODIFY a varchar(10)",
    "MODIFY a text",
    "MODIFY a char(20)",
    "MODIFY x mediumtext",
    "MODIFY e enum('x','y','z')",
    "MODIFY e enum('y','x')",
    "MODIFY s set('a','b','c')",
    "MODIFY s set('b','a')",
    "MODIFY at datetime(6)",
    "ALTER COLUMN n SET DEFAULT 3",
    "CONVERT TO CHARACTER SET latin1",
    "PARTITION BY HASH (id) PARTITIONS 4",
    "COMMENT 'of all'",
];

/// Further ones, each with the table that it is about.
const MORE: [(&str, &str); 30] = [
    ("a varchar(31)", "MODIFY a varchar(3000)"),
    ("a varchar(32)", "MODIFY a varchar(64)"),
    ("a varchar(32)", "MODIFY a varchar(63)"),
    ("a varchar(64)", "MODIFY a varchar(640)"),
    (
        "a varchar(127) CHARACTER SET latin1",
        "MODIFY a varchar(256) CHARACTER SET latin1",
    ),
    (
        "a varchar(128) CHARACTER SET latin1",
        "MODIFY a varchar(256) CHARACTER SET latin1",
    ),
    ("a varbinary(127)", "MODIFY a varbinary(256)"),
    ("a varbinary(128)", "MODIFY a varbinary(256)"),
    (
        "a varchar(20) CHARACTER SET utf8mb3",
        "MODIFY a varchar(20) CHARACTER SET utf8mb4",
    ),
    (
        "a varchar(63) CHARACTER SET utf8mb3",
        "MODIFY a varchar(63) CHARACTER SET utf8mb4",
    ),
    (
        "a varchar(64) CHARACTER SET utf8mb3",
        "MODIFY a varchar(64) CHARACTER SET utf8mb4",
    ),
    (
        "a char(20) CHARACTER SET utf8mb3",
        "MODIFY a char(20) CHARACTER SET utf8mb4",
    ),
    (
        "a text CHARACTER SET utf8mb3",
        "MODIFY a text CHARACTER SET utf8mb4",
    ),
    (
        "a enum('x') CHARACTER SET utf8mb3",
        "MODIFY a enum('x') CHARACTER SET utf8mb4",
    ),
    (
        "a varchar(20) CHARACTER SET latin1",
        "MODIFY a varchar(20) CHARACTER SET utf8mb4",
    ),
    (
        "a varchar(20), n int, KEY (a)",
        "CONVERT TO CHARACTER SET utf8mb4",
    ),
    (
        "a varchar(20) CHARACTER SET latin1",
        "CONVERT TO CHARACTER SET utf8mb4",
    ),
    ("a int", "MODIFY id int AUTO_INCREMENT"),
    ("a int", "MODIFY id int COMMENT 'x'"),
    ("a int", "ADD b datetime DEFAULT utc_timestamp()"),
    ("a int", "ADD b datetime DEFAULT (utc_timestamp)"),
    ("a int", "ADD b datetime DEFAULT sysdate()"),
    ("a int", "ADD b date DEFAULT utc_date()"),
    ("a int", "ADD b int DEFAULT (@x)"),
    ("a int", "ADD b int DEFAULT (@@server_id)"),
    ("a int", "ADD b int CHECK (b > 0)"),
    ("a int", "ADD b int NOT NULL DEFAULT 5 CHECK (b > a)"),
    ("a int", "ADD b int CHECK (b > 0), ADD CONSTRAINT c CHECK (a > 0)"),
    ("a int", "CHECKSUM=1"),
    ("a int", "PACK_KEYS=1"),
];

fn is_found(setup: &str, action: &str) -> bool {
    let prior = Prior::from_text(Dialect::MariaDb, setup);
    let linted = lint(&Input {
        dialect: Dialect::MariaDb,
        version: None,
        prior: &prior,
        file: "t.sql",
        source: &format!("ALTER TABLE t {action}"),
        transaction: None,
    });
    linted
        .findings
        .iter()
        .any(|finding| finding.family == Family::Lock && finding.severity > Severity::Note)
}

#[tokio::test]
async fn what_is_found_cannot_be_done_beside_writes() {
    let Some(url) = mariadb_database().await else {
        return;
    };
    let mut server = connect_mariadb(&url).await.unwrap();
    let mut wrong = Vec::new();
    let more = MORE.map(|(columns, action)| {
        let table = format!("CREATE TABLE t (id int PRIMARY KEY, {columns}) DEFAULT CHARSET=utf8mb4;");
        (table, action)
    });
    let all = ACTIONS.map(|action| (SETUP.to_owned(), action));
    for (setup, action) in all.into_iter().chain(more) {
        server
            .query_drop("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS u")
            .await
            .unwrap();
        server.query_drop(&setup).await.unwrap();
        // Partitions are said behind everything else.
        let wish = if action.starts_with("PARTITION") {
            format!("ALTER TABLE t ALGORITHM=INPLACE, LOCK=NONE {action}")
        } else {
            format!("ALTER TABLE t {action}, ALGORITHM=INPLACE, LOCK=NONE")
        };
        let done = server.query_drop(&wish).await;
        let found = is_found(&setup, action);
        if done.is_ok() == found {
            wrong.push(format!("{action}: found is {found}, the server says {done:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
