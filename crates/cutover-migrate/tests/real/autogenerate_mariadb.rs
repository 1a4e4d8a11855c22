//! Schemas of MariaDB: read, compared, written for, and left as they were. MySQL is written for and was not run here.

use cutover_migrate::{Answers, autogenerate, questions};
use cutover_model::Version;
use cutover_sql::Dialect;
use cutover_testkit::MariaDbServer;

use crate::autogenerate::{Pair, borrowed, files, go, lines, pair, there_and_back};
use crate::bed::{Bed, Kind, bed, main_db};

const USERS: &str = "CREATE TABLE users (id int PRIMARY KEY, email varchar(100) NOT NULL, age int);";

fn users(more: &str) -> String {
    format!("{USERS}\n{more}")
}

fn plain_pairs() -> Vec<Pair> {
    let orders = "CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL,
        CONSTRAINT buyer FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);";
    vec![
        pair(USERS, USERS),
        pair(USERS, ""),
        pair("", USERS),
        pair(
            USERS,
            "CREATE TABLE users (id int PRIMARY KEY, email varchar(100) NOT NULL, age int, note text, n int NOT NULL DEFAULT 7);",
        ),
        pair(USERS, "CREATE TABLE users (id int PRIMARY KEY, email varchar(100));"),
        pair(
            USERS,
            "CREATE TABLE users (id int PRIMARY KEY, email varchar(100) NOT NULL DEFAULT 'it''s', age int DEFAULT 1);",
        ),
        pair(
            "CREATE TABLE users (id int PRIMARY KEY, email varchar(100) NOT NULL DEFAULT 'x', age int DEFAULT -1);",
            USERS,
        ),
        pair(
            USERS,
            "CREATE TABLE users (id int PRIMARY KEY, email varchar(200) NOT NULL, age bigint unsigned);",
        ),
        pair(
            USERS,
            &users("CREATE INDEX by_age ON users (age DESC, email(10)); CREATE FULLTEXT INDEX words ON users (email);"),
        ),
        pair(
            &users("CREATE INDEX by_age ON users (age);"),
            &users("CREATE UNIQUE INDEX by_age ON users (age, email);"),
        ),
        pair(
            USERS,
            "CREATE TABLE users (id int PRIMARY KEY, email varchar(100) NOT NULL UNIQUE, age int CHECK (age > 0), CHECK (age < 200));",
        ),
        pair(USERS, &users(orders)),
        pair(&users(orders), USERS),
        pair(
            &users(orders),
            &users(&orders.replace(" ON DELETE CASCADE", " ON DELETE RESTRICT ON UPDATE CASCADE")),
        ),
        pair(
            &users("CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL);"),
            &users(orders),
        ),
        pair(
            USERS,
            &users("CREATE VIEW adults AS SELECT id, email FROM users WHERE age >= 18 WITH CHECK OPTION;"),
        ),
        pair(
            &users("CREATE VIEW adults AS SELECT id, email FROM users WHERE age >= 18;"),
            "CREATE TABLE users (id int PRIMARY KEY, email varchar(100) NOT NULL, age bigint, note text);
             CREATE SQL SECURITY INVOKER VIEW adults AS SELECT id, note FROM users WHERE age >= 21;
             CREATE VIEW noted AS SELECT id FROM adults WHERE note <> '';",
        ),
        pair(
            "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a (id));
             ALTER TABLE a ADD b int REFERENCES b (id);",
            "CREATE TABLE b (id int PRIMARY KEY, a int); CREATE TABLE c (x varchar(9), y varchar(9), PRIMARY KEY (x, y));",
        ),
    ]
}

fn own_pairs() -> Vec<Pair> {
    vec![
        // Foreign keys in a ring step aside for the types of their columns.
        pair(
            "CREATE TABLE a (id int PRIMARY KEY, b_id int); CREATE TABLE b (id int PRIMARY KEY, a_id int, CONSTRAINT f1 FOREIGN KEY (a_id) REFERENCES a (id));
             ALTER TABLE a ADD CONSTRAINT f2 FOREIGN KEY (b_id) REFERENCES b (id);",
            "CREATE TABLE a (id bigint PRIMARY KEY, b_id bigint);
             CREATE TABLE b (id bigint PRIMARY KEY, a_id bigint, CONSTRAINT f1 FOREIGN KEY (a_id) REFERENCES a (id) ON DELETE CASCADE);
             ALTER TABLE a ADD CONSTRAINT f2 FOREIGN KEY (b_id) REFERENCES b (id);",
        ),
        pair(
            "CREATE TABLE t (id int PRIMARY KEY, g point);",
            "CREATE TABLE t (id int PRIMARY KEY, g point NOT NULL, SPATIAL INDEX g (g));",
        ),
        pair(
            "CREATE TABLE t (id int PRIMARY KEY, e enum('a','it''s') NOT NULL DEFAULT 'a', s set('x','y'));",
            "CREATE TABLE t (id int PRIMARY KEY, e enum('a','it''s','c') NOT NULL DEFAULT 'a', s set('y'));",
        ),
        pair(
            "CREATE TABLE t (id int PRIMARY KEY, a varchar(20) CHARACTER SET latin1, b text COLLATE utf8mb4_bin) CHARACTER SET utf8mb4;",
            "CREATE TABLE t (id int PRIMARY KEY, a varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, b text) CHARACTER SET utf8mb4;",
        ),
        // Numbers of rows come and go with their keys.
        pair(
            "CREATE TABLE t (a int NOT NULL, b int, PRIMARY KEY (a));",
            "CREATE TABLE t (id bigint unsigned NOT NULL AUTO_INCREMENT, a int NOT NULL, b int, PRIMARY KEY (id), UNIQUE KEY a (a));",
        ),
        pair(
            "CREATE TABLE t (id int NOT NULL AUTO_INCREMENT, a int, PRIMARY KEY (id), KEY k (a)) AUTO_INCREMENT=9;",
            "CREATE TABLE t (id bigint NOT NULL, a int, PRIMARY KEY (id, a));",
        ),
        Pair {
            drops: &["t.id"],
            ..pair(
                "CREATE TABLE t (id int AUTO_INCREMENT, a int, KEY by_id (id));",
                "CREATE TABLE t (a int, n int NOT NULL AUTO_INCREMENT, KEY by_n (n));",
            )
        },
        pair(
            "CREATE TABLE t (id int PRIMARY KEY, a int, g int AS (a + 1) STORED, v int AS (a * 2) VIRTUAL, w int);",
            "CREATE TABLE t (id int PRIMARY KEY, a int, g int AS (a + 2) STORED, v int AS (a * 3) VIRTUAL COMMENT 'three times',
                w int AS (a - 1) VIRTUAL, x varchar(9) AS (concat(a, ';')) STORED, KEY by_x (x));",
        ),
        pair(
            "CREATE TABLE t (id int PRIMARY KEY, at timestamp NULL, made datetime);",
            "CREATE TABLE t (id int PRIMARY KEY, at timestamp(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
                made datetime DEFAULT (now() + interval 1 day), u char(36) DEFAULT uuid());",
        ),
        pair(
            "CREATE TABLE t (id int PRIMARY KEY, j json, n int COMMENT 'it''s; one', b bit(3) DEFAULT b'101', d decimal(10,2) DEFAULT 1.5);",
            "CREATE TABLE t (id int PRIMARY KEY, n int COMMENT 'two', i int INVISIBLE DEFAULT 3, d decimal(12,3), j json NOT NULL DEFAULT '{}',
                bo boolean NOT NULL DEFAULT true, big bigint unsigned zerofill, bytes varbinary(10) DEFAULT x'00ff');",
        ),
        Pair {
            renames: &["users.email:email_address"],
            ..pair(
                USERS,
                "CREATE TABLE users (id int PRIMARY KEY, age int, email_address varchar(100) NOT NULL);",
            )
        },
        Pair {
            renames: &["users.age:years"],
            ..pair(
                &users("CREATE INDEX age ON users (age);"),
                "CREATE TABLE users (id int PRIMARY KEY, email varchar(100) NOT NULL, years int DEFAULT 3); CREATE UNIQUE INDEX age ON users (years);",
            )
        },
        Pair {
            renames: &["t.kind:sort"],
            ..pair(
                "CREATE TABLE t (id int PRIMARY KEY, kind enum('a','b') NOT NULL);",
                "CREATE TABLE t (id int PRIMARY KEY, sort enum('a','b') NOT NULL);",
            )
        },
        Pair {
            drops: &["users.age"],
            ..pair(
                USERS,
                "CREATE TABLE users (id int PRIMARY KEY, email varchar(100) NOT NULL, level int);",
            )
        },
        pair(
            "CREATE TABLE `Odd ``Name` (id int PRIMARY KEY, `a b` varchar(20) DEFAULT 'it''s', `order` int);",
            "CREATE TABLE `Odd ``Name` (id int PRIMARY KEY, `a b` varchar(20) DEFAULT 'x\\\\y', `order` bigint NOT NULL, KEY `by (order)` (`order`));",
        ),
        pair(
            "CREATE TABLE p (a int NOT NULL, b date) PARTITION BY RANGE (a) (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE);",
            "CREATE TABLE p (a int NOT NULL, b date, c int) PARTITION BY RANGE (a) (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE);
             CREATE TABLE q (a int PRIMARY KEY) ENGINE=Aria COMMENT='beside' PARTITION BY HASH (a) PARTITIONS 2;",
        ),
    ]
}

/// The schemas of `examples/shop` in MariaDB's words: the shop itself runs on PostgreSQL and SQLite.
fn shop() -> [Pair; 2] {
    let users = |names: &str| {
        format!(
            "CREATE TABLE users (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, email text, {names}) ENGINE=InnoDB;"
        )
    };
    let (old, new) = (users("first_name text, last_name text"), users("full_name text"));
    let there = Pair {
        drops: &["users.first_name", "users.last_name"],
        ..pair(&old, &new)
    };
    let back = Pair {
        drops: &["users.full_name"],
        ..pair(&new, &old)
    };
    [there, back]
}

async fn all(pairs: Vec<Pair>) {
    for (at, pair) in pairs.iter().enumerate() {
        let Some(bed) = bed(Kind::MariaDb).await else {
            return;
        };
        there_and_back(&bed, Kind::MariaDb, at, pair).await;
    }
}

#[tokio::test]
async fn plain_pairs_there_and_back_on_mariadb() {
    all(plain_pairs()).await;
}

#[tokio::test]
async fn pairs_of_its_own_there_and_back_on_mariadb() {
    all(own_pairs()).await;
}

#[tokio::test]
async fn the_shops_schemas_there_and_back_on_mariadb() {
    all(shop().into()).await;
}

/// A set of files in front of rows, and of a question.
#[tokio::test]
async fn a_renamed_column_takes_its_values_along_both_ways_on_mariadb() {
    let Some(bed) = bed(Kind::MariaDb).await else {
        return;
    };
    let base = files(USERS, &[]);
    go(&bed, &base, true).await.unwrap();
    bed.run("INSERT INTO users (id, email, age) VALUES (1, 'a@x', 1), (2, 'b@x', NULL)")
        .await;
    let databases = bed.databases(&borrowed(&base));
    let from = databases.produced(&main_db()).await.unwrap();
    let desired = "CREATE TABLE users (id int PRIMARY KEY, age int, address varchar(100) NOT NULL);";
    let to = databases
        .desired(&main_db(), "schema.sql", desired)
        .await
        .unwrap();
    let asked = questions(&from, &to, &Answers::default());
    assert_eq!(asked.len(), 1, "it is asked, never guessed");
    let renames = ["users.email:address".parse().unwrap()];
    let (drafts, _) = autogenerate(Dialect::MariaDb, &from, &to, &renames, &Version::new(1, 1, 0));
    let all = files(USERS, &drafts);
    go(&bed, &all, true).await.unwrap();
    assert_eq!(bed.text("SELECT address FROM users WHERE id = 2").await, "b@x");
    bed.run("UPDATE users SET address = 'new@x' WHERE id = 1").await;
    go(&bed, &all, false).await.unwrap();
    assert_eq!(bed.text("SELECT email FROM users WHERE id = 1").await, "new@x");
    assert_eq!(bed.leftovers().await, 0);
}

#[tokio::test]
async fn what_was_changed_by_hand_is_drift_on_mariadb() {
    let Some(bed) = bed(Kind::MariaDb).await else {
        return;
    };
    let text = users(
        "CREATE INDEX by_age ON users (age); CREATE SEQUENCE s;
         CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW SET NEW.age = 1;
         CREATE FUNCTION f(a int) RETURNS int DETERMINISTIC RETURN a + 1;",
    );
    let base = files(&text, &[]);
    go(&bed, &base, true).await.unwrap();
    let databases = bed.databases(&borrowed(&base));
    assert_eq!(databases.drift(&main_db()).await.unwrap(), []);
    for statement in [
        "DROP INDEX by_age ON users",
        "ALTER TABLE users ADD COLUMN extra text COMMENT 'by hand'",
        "CREATE TABLE rogue (id int)",
        "DROP TRIGGER t",
        "DROP FUNCTION f",
        "CREATE FUNCTION f(a int) RETURNS int DETERMINISTIC RETURN a + 2",
        "DROP SEQUENCE s",
        "ALTER TABLE users COMMENT = 'ours'",
        "CREATE VIEW v AS SELECT id FROM users",
    ] {
        bed.run(statement).await;
    }
    let drift = lines(&databases.drift(&main_db()).await.unwrap());
    for begins in [
        "- index by_age of users",
        "+ column users.extra  text COMMENT 'by hand'",
        "+ table rogue  1 columns",
        "- trigger t on users",
        "~ function f",
        "- sequence s",
        "~ options of table users",
        "+ view v",
    ] {
        assert!(
            drift.iter().any(|line| line.starts_with(begins)),
            "{begins}: {drift:#?}"
        );
    }
    assert_eq!(drift.len(), 8, "{drift:#?}");
}

/// The scratch database stands on a server that others use.
#[tokio::test]
async fn a_file_that_names_a_database_in_use_is_not_tried() {
    let Some(bed) = bed(Kind::MariaDb).await else {
        return;
    };
    let name = bed.url.rsplit('/').next().unwrap();
    let drop = format!("DROP TABLE {name}.users");
    let base = files(USERS, &[]);
    go(&bed, &base, true).await.unwrap();
    let databases = bed.databases(&borrowed(&base));
    let error = databases
        .desired(&main_db(), "schema.sql", &drop)
        .await
        .unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.scratch", "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("it names the database {name}")),
        "{error}"
    );
    assert!(bed.has_table("users").await);
}

/// A server of its own: nobody else makes databases there.
#[tokio::test]
async fn a_scratch_database_is_never_left_behind() {
    if bed(Kind::MariaDb).await.is_none() {
        return;
    }
    let server = tokio::task::spawn_blocking(MariaDbServer::start)
        .await
        .unwrap()
        .unwrap();
    let bed = Bed::at(server.create_database().await);
    let left =
        "SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE 'cutover\\_scratch\\_%'";
    // What a run that was killed has left, and what only looks like it.
    bed.run("CREATE DATABASE cutover_scratch_7_1700000000000").await;
    bed.run("CREATE DATABASE cutover_scratch_notes").await;
    let base = files(USERS, &[]);
    let databases = bed.databases(&borrowed(&base));
    databases.produced(&main_db()).await.unwrap();
    assert_eq!(bed.number(left).await, 1, "the notes");
    let error = databases
        .desired(&main_db(), "schema.sql", "CREATE TABLE t (x int, x int)")
        .await
        .unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.scratch", "{error}");
    assert_eq!(bed.number(left).await, 1);
    // One that is at work is let alone.
    bed.run("CREATE DATABASE cutover_scratch_8_1700000000000").await;
    let mut holder = cutover_testkit::connect_mariadb(&bed.url).await.unwrap();
    mysql_async::prelude::Queryable::query_drop(
        &mut holder,
        "DO GET_LOCK('cutover_scratch_8_1700000000000', 0)",
    )
    .await
    .unwrap();
    databases.produced(&main_db()).await.unwrap();
    assert_eq!(bed.number(left).await, 2);
    // Looking makes nothing in the database itself.
    assert_eq!(databases.live(&main_db()).await.unwrap().tables.len(), 0);
    assert!(!bed.has_table("cutover_history").await);
}
