//! Files that are written for a desired schema: applied they make it, and taken back they leave the first one.

use std::path::PathBuf;

use cutover_migrate::{Answers, Draft, Reach, Rename, autogenerate, questions, read_folder};
use cutover_model::Version;
use cutover_sql::Dialect;
use cutover_sql::catalog::{Catalog, Change, changes};

use crate::bed::{Bed, Kind, bed, fence, main_db, options};
use crate::linted::findings;

/// Two schemas, what is renamed and what is dropped.
pub(crate) struct Pair {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) renames: &'static [&'static str],
    pub(crate) drops: &'static [&'static str],
    /// Rules of the linter that hold whatever is written.
    pub(crate) lints: &'static [&'static str],
}

pub(crate) fn pair(from: &str, to: &str) -> Pair {
    Pair {
        from: from.to_owned(),
        to: to.to_owned(),
        renames: &[],
        drops: &[],
        lints: &[],
    }
}

const USERS: &str = "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL, age integer);";

/// What both databases understand.
fn common() -> Vec<Pair> {
    let users = |more: &str| format!("{USERS}\n{more}");
    let orders = "CREATE TABLE orders (id integer PRIMARY KEY, user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE);";
    vec![
        pair(USERS, USERS),
        pair(USERS, ""),
        pair("", USERS),
        pair(
            USERS,
            "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL, age integer, note text);",
        ),
        pair(
            USERS,
            "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL, age integer, n integer NOT NULL DEFAULT 7);",
        ),
        pair(
            USERS,
            "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL);",
        ),
        pair(
            USERS,
            "CREATE TABLE users (id integer PRIMARY KEY, email text, age integer);",
        ),
        pair(
            USERS,
            "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL DEFAULT 'none', age integer DEFAULT 1);",
        ),
        pair(
            USERS,
            "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL, age bigint);",
        ),
        pair(USERS, &users("CREATE INDEX users_age ON users (age);")),
        pair(
            &users("CREATE INDEX users_age ON users (age);"),
            &users("CREATE UNIQUE INDEX users_age ON users (age, email);"),
        ),
        pair(
            USERS,
            "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL UNIQUE, age integer CHECK (age > 0));",
        ),
        pair(USERS, &users(orders)),
        pair(&users(orders), USERS),
        pair(
            &users(orders),
            &users(&orders.replace(" REFERENCES users (id) ON DELETE CASCADE", "")),
        ),
        pair(
            USERS,
            &users("CREATE VIEW adults AS SELECT id, email FROM users WHERE age >= 18;"),
        ),
        pair(
            &users("CREATE VIEW adults AS SELECT id, email FROM users WHERE age >= 18;"),
            "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL, age bigint, note text);
             CREATE VIEW adults AS SELECT id, note FROM users WHERE age >= 21;
             CREATE VIEW noted AS SELECT id FROM adults WHERE note <> '';",
        ),
        pair(
            "CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a (id));",
            "CREATE TABLE b (id integer PRIMARY KEY, a integer); CREATE TABLE c (x text, y text, PRIMARY KEY (x, y));",
        ),
        Pair {
            renames: &["users.email:email_address"],
            ..pair(
                USERS,
                "CREATE TABLE users (id integer PRIMARY KEY, age integer, email_address text NOT NULL);",
            )
        },
        Pair {
            renames: &["users.age:years"],
            ..pair(
                &users("CREATE INDEX users_age ON users (age);"),
                "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL, years integer DEFAULT 3); CREATE INDEX users_age ON users (years);",
            )
        },
        Pair {
            drops: &["users.age"],
            ..pair(
                USERS,
                "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL, level integer);",
            )
        },
        pair(
            "CREATE TABLE \"Odd Name\" (id integer PRIMARY KEY, \"a b\" text DEFAULT 'it''s', \"order\" integer);",
            "CREATE TABLE \"Odd Name\" (id integer PRIMARY KEY, \"a b\" text DEFAULT 'x''y', \"order\" bigint NOT NULL);",
        ),
    ]
}

fn only_postgres() -> Vec<Pair> {
    vec![
        pair(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (id bigserial PRIMARY KEY, m mood DEFAULT 'ok');",
            "CREATE TYPE mood AS ENUM ('awful', 'sad', 'ok', 'great'); CREATE TABLE t (id bigserial PRIMARY KEY, m mood DEFAULT 'great');",
        ),
        pair(
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE TABLE t (m mood NOT NULL DEFAULT 'ok', ms mood[]);",
            "CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TABLE t (m mood NOT NULL DEFAULT 'ok', ms mood[]);",
        ),
        pair("CREATE TYPE mood AS ENUM ('a');", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v numeric(10,2));"),
        pair(
            "CREATE TABLE t (id int NOT NULL, v numeric(10,2), w varchar(20) COLLATE \"C\");",
            "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY, v numeric(12,3), w varchar(40) COLLATE \"C\", at timestamptz NOT NULL DEFAULT now());",
        ),
        pair(
            "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY);",
            "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, b int); CREATE INDEX t_b ON app.t (b) WHERE b > 0;
             CREATE TABLE app.u (t int REFERENCES app.t (id));",
        ),
        pair(
            "CREATE TABLE t (a int, b int, EXCLUDE USING btree (a WITH =)); CREATE MATERIALIZED VIEW m AS SELECT a FROM t;",
            "CREATE TABLE t (a int, b int, c int GENERATED ALWAYS AS (a + b) STORED, CONSTRAINT ab UNIQUE (a, b));
             CREATE MATERIALIZED VIEW m AS SELECT a, b FROM t;",
        ),
        // What is stricter than before.
        pair(
            "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE t (id int, u int, n int, code text);
             CREATE INDEX t_u ON t (u);",
            "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL REFERENCES u (id) ON DELETE CASCADE,
                n int NOT NULL CONSTRAINT positive CHECK (n > 0), code text UNIQUE DEFERRABLE INITIALLY DEFERRED, state text NOT NULL,
                CONSTRAINT twins UNIQUE NULLS NOT DISTINCT (n, code), CONSTRAINT known CHECK (code <> 'x') NOT VALID);
             CREATE INDEX t_u ON t (u); CREATE UNIQUE INDEX t_once ON t (lower(code)) WHERE n > 1;",
        ),
        pair(
            "CREATE TABLE t (a int CONSTRAINT c CHECK (a > 0), b int NOT NULL, CONSTRAINT k UNIQUE (a)); CREATE INDEX i ON t (a);
             CREATE UNIQUE INDEX once ON t (b);",
            "CREATE TABLE t (a int CONSTRAINT c CHECK (a > 1), b int NOT NULL, CONSTRAINT k UNIQUE (a, b)); CREATE INDEX i ON t (b, a);",
        ),
        pair(
            "CREATE TABLE t (id int PRIMARY KEY, age int CHECK (age > 0), at int); CREATE INDEX t_age ON t (age);",
            "CREATE TABLE t (id int PRIMARY KEY, age bigint NOT NULL CHECK (age > 1), at int UNIQUE); CREATE INDEX t_age ON t (age, at);",
        ),
        pair(
            "CREATE TABLE t (id int PRIMARY KEY);",
            "CREATE TABLE t (id int PRIMARY KEY, key uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(), at timestamptz DEFAULT clock_timestamp());",
        ),
        pair(
            "CREATE TABLE t (a int);",
            "CREATE TABLE t (a int, id bigserial PRIMARY KEY, k int GENERATED ALWAYS AS IDENTITY);",
        ),
        // A key in the place of an index, the other way round, and names that others had.
        pair(
            "CREATE TABLE t (a int, b int, c int, CONSTRAINT c_once UNIQUE (c)); CREATE UNIQUE INDEX a_once ON t (a); CREATE INDEX k ON t (b);
             CREATE UNIQUE INDEX b_once ON t (b, a);",
            "CREATE TABLE t (a int, b int, c int, CONSTRAINT a_key UNIQUE (a), CONSTRAINT k UNIQUE (c, b), CONSTRAINT b_once UNIQUE (b));
             CREATE UNIQUE INDEX c_unique ON t (c);",
        ),
        // What is said of things, what they are made in, and what brings their types.
        Pair {
            renames: &["t.a:b"],
            ..pair(
                "CREATE TABLE t (id int PRIMARY KEY, a text, c int); COMMENT ON TABLE t IS 'old'; COMMENT ON COLUMN t.a IS 'it''s a';
                 COMMENT ON COLUMN t.c IS 'goes'; CREATE VIEW v AS SELECT id, c FROM t; COMMENT ON VIEW v IS 'view';
                 CREATE MATERIALIZED VIEW m AS SELECT c FROM t; CREATE UNIQUE INDEX m_c ON m (c);",
                "CREATE TABLE t (id int PRIMARY KEY, b text, c bigint, d int); COMMENT ON TABLE t IS 'new'; COMMENT ON COLUMN t.b IS 'it''s a';
                 COMMENT ON COLUMN t.d IS 'comes'; CREATE VIEW v WITH (security_barrier=true) AS SELECT id, c FROM t; COMMENT ON VIEW v IS 'seen';
                 CREATE MATERIALIZED VIEW m AS SELECT c FROM t; CREATE UNIQUE INDEX m_c ON m (c);",
            )
        },
        pair(
            "CREATE TABLE t (id int PRIMARY KEY);",
            "CREATE SCHEMA public; CREATE SCHEMA app; CREATE EXTENSION citext; CREATE TABLE t (id int PRIMARY KEY, name citext);
             CREATE UNLOGGED TABLE app.t (id int PRIMARY KEY); COMMENT ON TABLE app.t IS 'of the app';
             CREATE TABLE app.u (n int) INHERITS (t);",
        ),
        pair(
            "CREATE TABLE a (id int, at date NOT NULL) PARTITION BY RANGE (at); CREATE TABLE b PARTITION OF a FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');",
            "CREATE TABLE a (id int, at date NOT NULL, n int) PARTITION BY RANGE (at);
             CREATE TABLE b PARTITION OF a FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
             CREATE TABLE \"0\" PARTITION OF a FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (id);
             CREATE TABLE \"00\" PARTITION OF \"0\" (CHECK (id > 1)) DEFAULT; CREATE INDEX a_at ON a (at);",
        ),
        Pair {
            renames: &["t.mail:address", "t.team:team_id"],
            ..pair(
                "CREATE TABLE teams (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, mail text NOT NULL UNIQUE,
                    team int NOT NULL REFERENCES teams (id)); CREATE INDEX t_team ON t (team); CREATE UNIQUE INDEX t_lower ON t (lower(mail));",
                "CREATE TABLE teams (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, address text NOT NULL UNIQUE,
                    team_id int NOT NULL REFERENCES teams (id)); CREATE INDEX t_team ON t (team_id);
                 CREATE UNIQUE INDEX t_lower ON t (lower(address));",
            )
        },
    ]
}

/// What PostgreSQL does not change where it stands.
fn stubborn() -> Vec<Pair> {
    let even = "CREATE FUNCTION even(i int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT i % 2 = 0';";
    vec![
        pair(
            "CREATE TABLE t (id serial PRIMARY KEY, a int, b bigserial); CREATE MATERIALIZED VIEW v AS SELECT id FROM t;",
            "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int GENERATED BY DEFAULT AS IDENTITY, b bigint NOT NULL);
             CREATE MATERIALIZED VIEW v AS SELECT id FROM t;",
        ),
        pair(
            "CREATE TABLE t (id serial PRIMARY KEY); CREATE TABLE u (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n smallint);",
            "CREATE TABLE t (id bigserial PRIMARY KEY); CREATE TABLE u (id serial PRIMARY KEY, n smallserial);",
        ),
        Pair {
            // The table is locked and written anew for the column already.
            lints: &["narrow-type", "create-index"],
            ..pair(
            "CREATE TABLE t (id int PRIMARY KEY, a text, b text GENERATED ALWAYS AS (lower(a)) STORED); CREATE INDEX t_b ON t (b);",
            "CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b text GENERATED ALWAYS AS (upper(a)) STORED, c int GENERATED ALWAYS AS (length(a)) STORED);
             CREATE INDEX t_b ON t (b);",
        )
        },
        pair(
            &format!("{even} CREATE TABLE t (id int PRIMARY KEY, a int CHECK (even(a)));"),
            &format!("{even} CREATE TABLE t (id int PRIMARY KEY, a bigint CHECK (even(a::int)));"),
        ),
        Pair {
            lints: &["drop-index", "check-constraint", "create-index"],
            ..pair(
            "CREATE TYPE m AS ENUM ('a', 'b'); CREATE TABLE t (id int PRIMARY KEY, x m DEFAULT 'b', y m[] DEFAULT '{a,b}', CHECK (x <> 'a'));
             CREATE INDEX t_x ON t (id) WHERE x = 'a';",
            "CREATE TYPE m AS ENUM ('a', 'c'); CREATE TABLE t (id int PRIMARY KEY, x m DEFAULT 'c', y m[] DEFAULT '{a}', CHECK (x <> 'a'));
             CREATE INDEX t_x ON t (id) WHERE x = 'a';",
        )
        },
        pair(
            "CREATE TABLE t (id int PRIMARY KEY, a text COLLATE \"C\", b text);",
            "CREATE TABLE t (id int PRIMARY KEY, a text COLLATE \"POSIX\", b text COLLATE \"C\");",
        ),
    ]
}

#[tokio::test]
async fn what_is_not_changed_where_it_stands_there_and_back_on_postgres() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    for (at, pair) in stubborn().iter().enumerate() {
        there_and_back(&bed, Kind::Postgres, at, pair).await;
        bed.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    }
}

/// A sequence that takes the place of another one gives no number a second time.
#[tokio::test]
async fn numbers_go_on_where_a_serial_becomes_an_identity() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    let base = files("CREATE TABLE t (id serial PRIMARY KEY, n int NOT NULL);", &[]);
    go(&bed, &base, true).await.unwrap();
    bed.run("INSERT INTO t (n) VALUES (40), (41); DELETE FROM t WHERE id = 2")
        .await;
    let databases = bed.databases(&borrowed(&base));
    let from = databases.produced(&main_db()).await.unwrap();
    let desired = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int GENERATED BY DEFAULT AS IDENTITY);";
    let to = databases
        .desired(&main_db(), "schema.sql", desired)
        .await
        .unwrap();
    let (drafts, _) = autogenerate(Dialect::Postgres, &from, &to, &[], &Version::new(1, 1, 0));
    let all = files("CREATE TABLE t (id serial PRIMARY KEY, n int NOT NULL);", &drafts);
    go(&bed, &all, true).await.unwrap();
    bed.run("INSERT INTO t DEFAULT VALUES").await;
    assert_eq!(
        bed.text("SELECT id || '/' || n FROM t ORDER BY id DESC LIMIT 1")
            .await,
        "3/41"
    );
    go(&bed, &all, false).await.unwrap();
    bed.run("INSERT INTO t (n) VALUES (7)").await;
    assert_eq!(bed.text("SELECT CAST(max(id) AS text) FROM t").await, "4");
}

fn only_sqlite() -> Vec<Pair> {
    vec![
        pair(
            "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at text DEFAULT (datetime('now')), n text COLLATE NOCASE);
             CREATE INDEX t_n ON t (n);",
            "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at text DEFAULT CURRENT_TIMESTAMP NOT NULL, n text, g int AS (id * 2));
             CREATE INDEX t_n ON t (n);",
        ),
        pair(
            "CREATE TABLE t (a text, b text, PRIMARY KEY (a)) WITHOUT ROWID;",
            "CREATE TABLE t (a text, b text, c int, PRIMARY KEY (a), CHECK (c <> 3)) WITHOUT ROWID;",
        ),
        // Names that are none without quotes.
        pair(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, \"select\" int, \"i\"\"d\" text); CREATE INDEX i ON t (\"i\"\"d\") WHERE \"select\" > 1;",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, \"select\" int CHECK (\"select\" > 0), \"i\"\"d\" text NOT NULL DEFAULT 'x');
             CREATE INDEX i ON t (lower(\"i\"\"d\")) WHERE \"select\" > 2;",
        ),
    ]
}

/// The shop's two schemas, as its own migrations make them.
fn shop(kind: Kind) -> [Pair; 2] {
    let engine = match kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
        Kind::MariaDb => {
            panic!("the shop has no files for MariaDB; its schemas in MariaDB's words are elsewhere")
        }
    };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/shop/releases/1.1.0/migrations")
        .join(engine);
    let text = |files: &[&str]| -> String {
        let all = read_folder(&folder).unwrap();
        files
            .iter()
            .map(|name| all.iter().find(|file| file.name == *name).unwrap().text.clone())
            .collect()
    };
    let old = text(&["001_create_users.up.sql"]);
    let new = text(&[
        "001_create_users.up.sql",
        "002_full_name.up.sql",
        "004_drop_old_names.up.sql",
    ]);
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

/// The files of the first schema, and of the drafts.
pub(crate) fn files(from: &str, drafts: &[Draft]) -> Vec<(String, String)> {
    let base = if from.trim().is_empty() { "SELECT 1;" } else { from };
    let mut out = vec![
        (
            "001_base.up.sql".to_owned(),
            format!("-- cutover: phase=expand\n{base}"),
        ),
        ("001_base.down.sql".to_owned(), "SELECT 1;".to_owned()),
    ];
    for (at, draft) in drafts.iter().enumerate() {
        let stem = format!(
            "{:03}_next{}{}",
            at + 2,
            if draft.suffix.is_empty() { "" } else { "_" },
            draft.suffix
        );
        out.push((
            format!("{stem}.up.sql"),
            draft.up_text().replace("reviewed=no", "reviewed=yes"),
        ));
        out.push((format!("{stem}.down.sql"), draft.down_text()));
    }
    out
}

fn answers(pair: &Pair) -> Answers {
    Answers {
        renames: pair
            .renames
            .iter()
            .map(|text| text.parse::<Rename>().unwrap())
            .collect(),
        drops: pair.drops.iter().map(|text| (*text).to_owned()).collect(),
    }
}

/// The shop's own files hold directives above their statements; as a schema they are statements.
fn plain(text: &str) -> String {
    text.replace("-- cutover:", "-- was:")
        .replace("/* cutover:", "/* was:")
}

pub(crate) async fn there_and_back(bed: &Bed, kind: Kind, at: usize, pair: &Pair) {
    let dialect = match kind {
        Kind::Sqlite => Dialect::Sqlite,
        Kind::Postgres => Dialect::Postgres,
        Kind::MariaDb => Dialect::MariaDb,
    };
    let shown = |text: String| format!("{kind:?} pair {at}: {text}");
    let base = files(&plain(&pair.from), &[]);
    let databases = bed.databases(&borrowed(&base));
    let from: Catalog = databases.produced(&main_db()).await.unwrap();
    let to = databases
        .desired(&main_db(), "schema.sql", &plain(&pair.to))
        .await
        .unwrap();
    let answers = answers(pair);
    assert_eq!(questions(&from, &to, &answers), [], "{}", shown(String::new()));
    let (drafts, left) = autogenerate(dialect, &from, &to, &answers.renames, &Version::new(1, 1, 0));
    assert_eq!(left, [], "{}", shown(String::new()));
    let all = files(&plain(&pair.from), &drafts);
    let texts = || {
        all.iter()
            .map(|(name, text)| format!("== {name}\n{text}\n"))
            .collect::<String>()
    };
    let mut found = findings(dialect, &all);
    found.retain(|one| !pair.lints.iter().any(|rule| one.contains(&format!(": {rule}: "))));
    assert_eq!(found, Vec::<String>::new(), "{}", shown(texts()));
    go(bed, &all, true)
        .await
        .unwrap_or_else(|error| panic!("{}", shown(format!("{error}\n{}", texts()))));
    let databases = bed.databases(&borrowed(&all));
    // On PostgreSQL each look takes a database of its own.
    if !matches!(kind, Kind::Postgres) || at.is_multiple_of(5) {
        let drift = databases.drift(&main_db()).await.unwrap();
        assert_eq!(lines(&drift), Vec::<String>::new(), "{}", shown(texts()));
    }
    let live = databases.live(&main_db()).await.unwrap();
    assert_eq!(
        lines(&changes(&to, &live)),
        Vec::<String>::new(),
        "{}",
        shown(texts())
    );

    go(bed, &all, false)
        .await
        .unwrap_or_else(|error| panic!("{}", shown(format!("down: {error}\n{}", texts()))));
    let live = databases.live(&main_db()).await.unwrap();
    assert_eq!(
        lines(&changes(&from, &live)),
        Vec::<String>::new(),
        "{}",
        shown(texts())
    );
}

pub(crate) fn lines(all: &[Change]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

pub(crate) fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect()
}

pub(crate) async fn go(bed: &Bed, all: &[(String, String)], up: bool) -> Result<(), String> {
    let databases = bed.databases(&borrowed(all));
    let mut done = Vec::new();
    let result = if up {
        databases
            .migrate_up(&fence(1), &main_db(), Reach::All, true, &options(), &mut done)
            .await
    } else {
        databases
            .migrate_down(&fence(1), &main_db(), Reach::To(1), &options(), &mut done)
            .await
    };
    result.map_err(|error| error.to_string())
}

#[tokio::test]
async fn all_pairs_there_and_back_on_sqlite() {
    let pairs: Vec<Pair> = common()
        .into_iter()
        .chain(only_sqlite())
        .chain(shop(Kind::Sqlite))
        .collect();
    assert!(pairs.len() >= 20);
    for (at, pair) in pairs.iter().enumerate() {
        let Some(bed) = bed(Kind::Sqlite).await else {
            return;
        };
        there_and_back(&bed, Kind::Sqlite, at, pair).await;
    }
}

/// Twenty pairs; each look takes a database of its own there, so that they are divided.
async fn a_quarter_on_postgres(quarter: usize) {
    let common = common().into_iter().enumerate();
    let pairs: Vec<Pair> = common
        .filter(|(at, pair)| at % 2 == 0 || !pair.renames.is_empty())
        .map(|(_, pair)| pair)
        .chain(only_postgres())
        .chain(shop(Kind::Postgres))
        .collect();
    assert!(pairs.len() >= 20, "{}", pairs.len());
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    for (at, pair) in pairs.iter().enumerate().filter(|(at, _)| at % 4 == quarter) {
        there_and_back(&bed, Kind::Postgres, at, pair).await;
        bed.run("DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA public")
            .await;
    }
}

#[tokio::test]
async fn pairs_there_and_back_on_postgres() {
    a_quarter_on_postgres(0).await;
}

#[tokio::test]
async fn more_pairs_there_and_back_on_postgres() {
    a_quarter_on_postgres(1).await;
}

#[tokio::test]
async fn still_more_pairs_there_and_back_on_postgres() {
    a_quarter_on_postgres(2).await;
}

#[tokio::test]
async fn the_last_pairs_there_and_back_on_postgres() {
    a_quarter_on_postgres(3).await;
}

/// Rows go along: a renamed column is filled from the old one, on the way and on the way back.
#[tokio::test]
async fn a_renamed_column_takes_its_values_along_both_ways() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let Some(bed) = bed(kind).await else { return };
        let dialect = if matches!(kind, Kind::Sqlite) {
            Dialect::Sqlite
        } else {
            Dialect::Postgres
        };
        let base = files(USERS, &[]);
        go(&bed, &base, true).await.unwrap();
        bed.run("INSERT INTO users (id, email, age) VALUES (1, 'a@x', 1), (2, 'b@x', NULL)")
            .await;
        let databases = bed.databases(&borrowed(&base));
        let from = databases.produced(&main_db()).await.unwrap();
        let desired = "CREATE TABLE users (id integer PRIMARY KEY, age integer, address text NOT NULL);";
        let to = databases
            .desired(&main_db(), "schema.sql", desired)
            .await
            .unwrap();
        assert_eq!(
            questions(&from, &to, &Answers::default()).len(),
            1,
            "it is asked, never guessed"
        );
        let renames = ["users.email:address".parse().unwrap()];
        let (drafts, _) = autogenerate(dialect, &from, &to, &renames, &Version::new(1, 1, 0));
        let all = files(USERS, &drafts);
        go(&bed, &all, true).await.unwrap();
        assert_eq!(bed.text("SELECT address FROM users WHERE id = 2").await, "b@x");
        bed.run("UPDATE users SET address = 'new@x' WHERE id = 1").await;
        go(&bed, &all, false).await.unwrap();
        assert_eq!(bed.text("SELECT email FROM users WHERE id = 1").await, "new@x");
        assert_eq!(bed.leftovers().await, 0);
    }
}

/// What somebody changed by hand is seen, in both directions.
#[tokio::test]
async fn what_was_changed_by_hand_is_drift() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let Some(bed) = bed(kind).await else { return };
        let base = files(&format!("{USERS} CREATE INDEX users_age ON users (age);"), &[]);
        go(&bed, &base, true).await.unwrap();
        let databases = bed.databases(&borrowed(&base));
        assert_eq!(databases.drift(&main_db()).await.unwrap(), []);
        bed.run(
            "DROP INDEX users_age; ALTER TABLE users ADD COLUMN extra text; CREATE TABLE rogue (id integer)",
        )
        .await;
        let drift = lines(&databases.drift(&main_db()).await.unwrap());
        assert_eq!(drift.len(), 3, "{drift:?}");
        assert!(
            drift
                .iter()
                .any(|line| line.starts_with("+ column users.extra  text")),
            "{drift:?}"
        );
        assert!(
            drift
                .iter()
                .any(|line| line.starts_with("- index users_age of users")),
            "{drift:?}"
        );
        assert!(
            drift.iter().any(|line| line.starts_with("+ table rogue")),
            "{drift:?}"
        );
    }
}

/// Said of MongoDB itself, and before anybody connects to it.
#[tokio::test]
async fn collections_of_mongodb_have_no_schema_to_compare() {
    let bed = Bed::at("mongodb://127.0.0.1:1/shop".to_owned());
    let error = bed.databases(&[]).produced(&main_db()).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.scratch", "{error}");
    let said = error.to_string();
    assert!(said.contains("MongoDB") && !said.contains("MySQL"), "{said}");
}

#[tokio::test]
async fn a_file_that_nobody_reviewed_is_refused() {
    let Some(bed) = bed(Kind::Sqlite).await else {
        return;
    };
    let files = [
        (
            "001_a.up.sql",
            "-- cutover: phase=expand reviewed=no\nCREATE TABLE a (x int);",
        ),
        ("001_a.down.sql", "DROP TABLE a;"),
    ];
    let errors = bed.try_files(&files).unwrap_err();
    assert_eq!(errors[0].code, "migrate.unreviewed");
    let reviewed = [
        (
            "001_a.up.sql",
            "-- cutover: phase=expand reviewed=yes\nCREATE TABLE a (x int);",
        ),
        files[1],
    ];
    assert!(bed.try_files(&reviewed).is_ok());
}
