//! What somebody makes by hand is seen by `migrate diff`, and where `--autogenerate` has no statements for it, it says so.

use cutover_migrate::autogenerate;
use cutover_model::Version;
use cutover_sql::Dialect;
use cutover_sql::catalog::changes;

use crate::autogenerate::{borrowed, files, go, lines};
use crate::bed::{Kind, bed, main_db};

/// Made by hand, taken back, and the line that tells it; `!` before it: autogenerate writes it.
type Case = (&'static str, &'static str, &'static str);

const POSTGRES: &[Case] = &[
    (
        "COMMENT ON TABLE t IS 'a'",
        "COMMENT ON TABLE t IS NULL",
        "!+ comment on t  a",
    ),
    (
        "COMMENT ON COLUMN t.a IS 'b'",
        "COMMENT ON COLUMN t.a IS NULL",
        "!~ column t.a  integer → integer comment b",
    ),
    (
        "COMMENT ON VIEW v IS 'c'",
        "COMMENT ON VIEW v IS NULL",
        "!+ comment on v  c",
    ),
    (
        "COMMENT ON COLUMN v.a IS 'd'",
        "COMMENT ON COLUMN v.a IS NULL",
        "+ comment on column v.a  d",
    ),
    (
        "COMMENT ON INDEX t_a IS 'e'",
        "COMMENT ON INDEX t_a IS NULL",
        "+ comment on index t_a  e",
    ),
    (
        "COMMENT ON CONSTRAINT t_pkey ON t IS 'f'",
        "COMMENT ON CONSTRAINT t_pkey ON t IS NULL",
        "+ comment on constraint t_pkey on t  f",
    ),
    (
        "COMMENT ON FUNCTION f() IS 'g'",
        "COMMENT ON FUNCTION f() IS NULL",
        "+ comment on function f()  g",
    ),
    (
        "COMMENT ON TYPE mood IS 'h'",
        "COMMENT ON TYPE mood IS NULL",
        "+ comment on type mood  h",
    ),
    (
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        "DROP RULE r ON t",
        "+ rule r on t  CREATE RULE r AS",
    ),
    (
        "CREATE STATISTICS s ON id, a FROM t",
        "DROP STATISTICS s",
        "+ statistics s on t  CREATE STATISTICS",
    ),
    (
        "CREATE TYPE c AS (x int, y text)",
        "DROP TYPE c",
        "+ composite type c  x integer, y text",
    ),
    (
        "CREATE TYPE r AS RANGE (subtype = int)",
        "DROP TYPE r",
        "+ range type r  integer",
    ),
    (
        "CREATE DOMAIN d AS text COLLATE \"C\" NOT NULL CHECK (VALUE <> '')",
        "DROP DOMAIN d",
        "+ domain d  text COLLATE \"C\" NOT NULL d_check CHECK",
    ),
    ("CREATE SCHEMA s", "DROP SCHEMA s", "!+ schema s"),
    (
        "CREATE POLICY p ON t FOR SELECT TO public USING (a > 1)",
        "DROP POLICY p ON t",
        "+ policy p on t  PERMISSIVE FOR r TO public USING ((a > 1))",
    ),
    (
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
        "+ row level security enabled on t",
    ),
    (
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        "ALTER TABLE t NO FORCE ROW LEVEL SECURITY",
        "+ row level security forced on t",
    ),
    (
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "DROP TRIGGER g ON t",
        "+ trigger g on t  CREATE TRIGGER",
    ),
    (
        "ALTER TABLE t DISABLE TRIGGER h",
        "ALTER TABLE t ENABLE TRIGGER h",
        "~ trigger h on t  CREATE TRIGGER",
    ),
    (
        "CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION g()",
        "+ function g()  CREATE OR REPLACE",
    ),
    (
        "CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')",
        "DROP AGGREGATE total (int)",
        "+ aggregate total(integer)  int4pl",
    ),
    (
        "CREATE SEQUENCE q CACHE 5 CYCLE",
        "DROP SEQUENCE q",
        "+ sequence q  bigint",
    ),
    (
        "ALTER SEQUENCE q2 CACHE 7",
        "ALTER SEQUENCE q2 CACHE 1",
        "~ sequence q2  bigint",
    ),
    (
        "ALTER TABLE t ALTER n SET INCREMENT BY 10",
        "ALTER TABLE t ALTER n SET INCREMENT BY 1",
        "+ sequence t_n_seq of a column  integer start 1 by 10",
    ),
    (
        "ALTER TABLE t ALTER w SET (n_distinct = 5)",
        "ALTER TABLE t ALTER w RESET (n_distinct)",
        "+ settings column w on t  n_distinct=5",
    ),
    (
        "ALTER TABLE t ALTER w SET STORAGE EXTERNAL",
        "ALTER TABLE t ALTER w SET STORAGE EXTENDED",
        "+ settings column w on t  STORAGE e",
    ),
    (
        "ALTER TABLE t SET (fillfactor = 70)",
        "ALTER TABLE t RESET (fillfactor)",
        "+ settings storage on t  fillfactor=70",
    ),
    (
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "ALTER TABLE t REPLICA IDENTITY DEFAULT",
        "+ settings replica identity on t  f",
    ),
    (
        "CREATE UNIQUE INDEX m_a ON m (a)",
        "DROP INDEX m_a",
        "+ index m_a on m  CREATE UNIQUE INDEX",
    ),
    (
        "ALTER VIEW v SET (security_barrier = true)",
        "ALTER VIEW v RESET (security_barrier)",
        "!~ view v",
    ),
    (
        "CREATE COLLATION k (provider = libc, locale = 'C')",
        "DROP COLLATION k",
        "+ collation k",
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING btree (a WITH =)",
        "ALTER TABLE t DROP CONSTRAINT x",
        "!+ constraint x of t  EXCLUDE",
    ),
    (
        "ALTER TABLE t ADD z int GENERATED ALWAYS AS (a + 1) STORED",
        "ALTER TABLE t DROP z",
        "!+ column t.z  integer GENERATED ALWAYS AS",
    ),
    (
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
        "DROP TABLE p2",
        "!+ table p2",
    ),
    (
        "ALTER TABLE p DETACH PARTITION p1",
        "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10)",
        "~ options of table p1  PARTITION OF p FOR VALUES FROM (0) TO (10) →",
    ),
];

const BASE_OF_POSTGRES: &str = "CREATE TYPE mood AS ENUM ('a');
CREATE TABLE t (id int PRIMARY KEY, a int, n int GENERATED ALWAYS AS IDENTITY, w text);
CREATE INDEX t_a ON t (a); CREATE VIEW v AS SELECT a FROM t; CREATE MATERIALIZED VIEW m AS SELECT a FROM t; CREATE SEQUENCE q2;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER h BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);";

const SQLITE: &[Case] = &[
    (
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u; END",
        "DROP TRIGGER g",
        "+ trigger g on t  CREATE TRIGGER",
    ),
    (
        "CREATE VIEW w AS SELECT 1 AS one",
        "DROP VIEW w",
        "!+ view w  SELECT 1",
    ),
    (
        "ALTER TABLE t ADD g int AS (id + 1)",
        "ALTER TABLE t DROP g",
        "!+ column t.g  int",
    ),
    (
        "DROP TABLE u; CREATE TABLE u (a int PRIMARY KEY) STRICT",
        "DROP TABLE u; CREATE TABLE u (a int PRIMARY KEY)",
        "~ options of table u   → strict",
    ),
    (
        "DROP TABLE u; CREATE TABLE u (a int PRIMARY KEY) WITHOUT ROWID",
        "DROP TABLE u; CREATE TABLE u (a int PRIMARY KEY)",
        "~ options of table u   → without rowid",
    ),
    (
        "CREATE INDEX part ON t (a) WHERE a > 1",
        "DROP INDEX part",
        "!+ index part of t  create index part on t ( a ) where a > 1",
    ),
    (
        "CREATE UNIQUE INDEX expr ON t (lower(a))",
        "DROP INDEX expr",
        "!+ index expr of t  create unique index expr on t ( lower ( a ) )",
    ),
    (
        "CREATE VIRTUAL TABLE words USING fts5(a)",
        "DROP TABLE words",
        "+ virtual table words  CREATE VIRTUAL TABLE",
    ),
];

const BASE_OF_SQLITE: &str =
    "CREATE TABLE t (id integer PRIMARY KEY, a text); CREATE TABLE u (a int PRIMARY KEY);";

const MARIADB: &[Case] = &[
    (
        "ALTER TABLE t COMMENT 'a'",
        "ALTER TABLE t COMMENT ''",
        "~ options of table t",
    ),
    (
        "ALTER TABLE t MODIFY a int COMMENT 'b'",
        "ALTER TABLE t MODIFY a int",
        "!~ column t.a  int(11) → int(11) COMMENT 'b'",
    ),
    (
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
        "DROP TRIGGER g",
        "+ trigger g on t  BEFORE INSERT",
    ),
    (
        "CREATE PROCEDURE p (IN x int) SELECT x",
        "DROP PROCEDURE p",
        "+ procedure p  IN x int",
    ),
    (
        "CREATE FUNCTION f () RETURNS int DETERMINISTIC RETURN 1",
        "DROP FUNCTION f",
        "+ function f  ",
    ),
    (
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
        "DROP EVENT e",
        "+ event e  RECURRING 1 DAY",
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
        "ALTER TABLE t DROP CONSTRAINT c",
        "!+ constraint c of t  CHECK",
    ),
    (
        "ALTER TABLE t ADD g int AS (a + 1) VIRTUAL",
        "ALTER TABLE t DROP g",
        "!+ column t.g  int(11) GENERATED",
    ),
    (
        "CREATE SEQUENCE s INCREMENT BY 5",
        "DROP SEQUENCE s",
        "+ sequence s  CREATE SEQUENCE",
    ),
    (
        "ALTER SEQUENCE q INCREMENT BY 5",
        "ALTER SEQUENCE q INCREMENT BY 1",
        "~ sequence q  CREATE SEQUENCE",
    ),
    (
        "ALTER TABLE t ADD KEY k (a) COMMENT 'c'",
        "ALTER TABLE t DROP KEY k",
        "!+ index k of t  CREATE INDEX `k` ON `t` (`a`) COMMENT 'c'",
    ),
    (
        "CREATE TABLE h (a int) WITH SYSTEM VERSIONING",
        "DROP TABLE h",
        "!+ table h",
    ),
];

const BASE_OF_MARIADB: &str = "CREATE TABLE t (id int PRIMARY KEY, a int); CREATE SEQUENCE q;";

async fn all_seen(kind: Kind, dialect: Dialect, base: &str, cases: &[Case]) {
    let Some(bed) = bed(kind).await else { return };
    let files = files(base, &[]);
    go(&bed, &files, true).await.unwrap();
    let databases = bed.databases(&borrowed(&files));
    let expected = databases.produced(&main_db()).await.unwrap();
    let mut wrong = Vec::new();
    for (made, taken, line) in cases {
        bed.run(made).await;
        let live = databases.live(&main_db()).await.unwrap();
        let drift = lines(&changes(&expected, &live));
        let (written, line) = match line.strip_prefix('!') {
            Some(line) => (true, line),
            None => (false, *line),
        };
        if !drift.iter().any(|one| one.starts_with(line)) {
            wrong.push(format!("{made}: {drift:#?}"));
        }
        let (drafts, left) = autogenerate(dialect, &expected, &live, &[], &Version::new(1, 1, 0));
        let is_told = lines(&left).iter().any(|one| one.starts_with(line));
        if written == is_told || written != left.is_empty() || written == drafts.is_empty() {
            wrong.push(format!(
                "{made}: written {} files, told {:#?}",
                drafts.len(),
                lines(&left)
            ));
        }
        bed.run(taken).await;
        let live = databases.live(&main_db()).await.unwrap();
        let drift = lines(&changes(&expected, &live));
        if !drift.is_empty() {
            wrong.push(format!("{taken}: {drift:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_made_by_hand_is_seen_on_postgres() {
    all_seen(Kind::Postgres, Dialect::Postgres, BASE_OF_POSTGRES, POSTGRES).await;
}

#[tokio::test]
async fn what_is_made_by_hand_is_seen_on_sqlite() {
    all_seen(Kind::Sqlite, Dialect::Sqlite, BASE_OF_SQLITE, SQLITE).await;
}

#[tokio::test]
async fn what_is_made_by_hand_is_seen_on_mariadb() {
    all_seen(Kind::MariaDb, Dialect::MariaDb, BASE_OF_MARIADB, MARIADB).await;
}

/// What the server has by itself is in nobody's way, and is no difference; what files make is looked for.
#[tokio::test]
async fn an_extension_counts_where_a_file_makes_it() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    bed.run("CREATE EXTENSION citext").await;
    let uses = files("CREATE TABLE t (name citext);", &[]);
    go(&bed, &uses, true).await.unwrap();
    let databases = bed.databases(&borrowed(&uses));
    assert_eq!(databases.drift(&main_db()).await.unwrap(), []);
    let desired = "CREATE EXTENSION citext; CREATE TABLE t (name citext);";
    let from = databases.produced(&main_db()).await.unwrap();
    let to = databases
        .desired(&main_db(), "schema.sql", desired)
        .await
        .unwrap();
    assert_eq!(lines(&changes(&from, &to)), ["+ extension citext  "]);
    let makes = files(&format!("{desired} CREATE EXTENSION IF NOT EXISTS pg_trgm;"), &[]);
    let drift = bed.databases(&borrowed(&makes)).drift(&main_db()).await.unwrap();
    assert_eq!(lines(&drift), ["- extension pg_trgm  "]);
}

/// The triggers of a sync belong to its files: there they are no difference, and missing they are one.
#[tokio::test]
async fn what_a_sync_makes_is_no_drift() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MariaDb] {
        let Some(bed) = bed(kind).await else { return };
        let all = [
            (
                "001_t.up.sql",
                "-- cutover: phase=expand\nCREATE TABLE t (id int PRIMARY KEY, a int);",
            ),
            ("001_t.down.sql", "DROP TABLE t;"),
            (
                "002_b.up.sql",
                "-- cutover: phase=expand\n-- cutover: sync table=t old=a new=b up=\"a\" down=\"b\"\nALTER TABLE t ADD COLUMN b int;",
            ),
            ("002_b.down.sql", "ALTER TABLE t DROP COLUMN b;"),
        ];
        bed.up(&all, 0, 1).await.unwrap();
        bed.up(&all, 1, 1).await.unwrap();
        assert!(bed.leftovers().await > 0);
        let drift = bed.databases(&all).drift(&main_db()).await.unwrap();
        assert_eq!(lines(&drift), Vec::<String>::new(), "{kind:?}");
        let dropped = match kind {
            Kind::Postgres => {
                let sql = "SELECT format('DROP TRIGGER %I ON t', min(tgname)) FROM pg_trigger WHERE NOT tgisinternal";
                bed.text(sql).await
            }
            Kind::Sqlite => {
                bed.text("SELECT 'DROP TRIGGER ' || min(name) FROM sqlite_master WHERE type = 'trigger'")
                    .await
            }
            Kind::MariaDb => {
                let sql = "SELECT CONCAT('DROP TRIGGER ', MIN(trigger_name)) FROM information_schema.triggers
                    WHERE trigger_schema = DATABASE()";
                bed.text(sql).await
            }
        };
        bed.run(&dropped).await;
        let drift = lines(&bed.databases(&all).drift(&main_db()).await.unwrap());
        assert!(
            drift.len() == 1 && drift[0].starts_with("- trigger "),
            "{kind:?}: {drift:?}"
        );
    }
}
