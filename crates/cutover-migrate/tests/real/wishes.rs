//! `migrate new --rename`, `--split`, `--retype` and `--not-null` on PostgreSQL and SQLite: whole sets of files, which the linter
//! finds clean, which make what they should, and which leave the first schema when they are taken back. Of MariaDB elsewhere.

use cutover_migrate::{Reach, Wish, drafts_for, renamable};
use cutover_model::{MigrationPhase, Version};
use cutover_sql::Dialect;
use cutover_sql::catalog::{Catalog, changes};

use crate::autogenerate::{borrowed, files, go, lines};
use crate::bed::{Bed, Kind, bed, fence, main_db, options, up_all};
use crate::linted::findings;

const BASE: &str = "CREATE TABLE teams (id integer PRIMARY KEY, name text);
CREATE TABLE users (
    id integer PRIMARY KEY, email text NOT NULL UNIQUE, full_name text, age integer CHECK (age > 0), nick text NOT NULL DEFAULT 'n',
    code text NOT NULL, team integer NOT NULL REFERENCES teams (id), size integer
);
CREATE INDEX users_age ON users (age);
CREATE INDEX users_team ON users (team);
CREATE UNIQUE INDEX users_code ON users (code, nick);";

const ROWS: &str = "INSERT INTO teams VALUES (1, 'one');
INSERT INTO users (id, email, full_name, age, code, team) VALUES (1, 'a@x', 'Ada Lovelace', 36, '7', 1), (2, 'b@x', NULL, NULL, '8', 1);";

fn rename(text: &str) -> Wish {
    Wish::Rename(vec![text.parse().unwrap()])
}

/// What is wished for, and a query of a row with what it says afterwards.
fn wishes() -> Vec<(Wish, &'static str, &'static str)> {
    vec![
        (rename("users.email:email_address"), "email_address", "a@x"),
        (rename("users.code:sign"), "sign || nick", "7n"),
        (rename("users.team:team_id"), "CAST(team_id AS text)", "1"),
        (rename("users.age:years"), "CAST(years AS text)", "36"),
        (rename("users.nick:alias"), "alias", "n"),
        (
            Wish::Split("users.full_name:first,last".parse().unwrap()),
            "first || '/' || last",
            "Ada/Lovelace",
        ),
        (
            Wish::Retype("users.code:number:integer".parse().unwrap()),
            "CAST(number + 1 AS text)",
            "8",
        ),
        (
            Wish::Retype("users.age:age_years:bigint".parse().unwrap()),
            "CAST(age_years AS text)",
            "36",
        ),
        (
            Wish::NotNull("users.full_name".parse().unwrap()),
            "full_name",
            "Ada Lovelace",
        ),
    ]
}

async fn there_and_back(bed: &Bed, kind: Kind, wish: &Wish, query: &str, expected: &str) {
    let dialect = match kind {
        Kind::Sqlite => Dialect::Sqlite,
        Kind::Postgres => Dialect::Postgres,
        Kind::MariaDb => Dialect::MariaDb,
    };
    let base = files(BASE, &[]);
    go(bed, &base, true).await.unwrap();
    bed.run(ROWS).await;
    let databases = bed.databases(&borrowed(&base));
    let from: Catalog = databases.produced(&main_db()).await.unwrap();
    let drafts = drafts_for(dialect, &from, wish, &Version::new(1, 1, 0)).unwrap();
    let all = files(BASE, &drafts);
    let texts: String = all
        .iter()
        .map(|(name, text)| format!("== {name}\n{text}\n"))
        .collect();
    let shown = |text: String| format!("{kind:?} {wish:?}: {text}\n{texts}");
    assert_eq!(
        findings(dialect, &all),
        Vec::<String>::new(),
        "{}",
        shown(String::new())
    );
    assert_eq!(drafts.last().unwrap().phase, MigrationPhase::Contract);

    // As long as both versions run, each column has what the other has.
    let databases = bed.databases(&borrowed(&all));
    let (_, ended) = up_all(&databases).await;
    ended.unwrap_or_else(|error| panic!("{}", shown(error.to_string())));
    let sql = format!("SELECT {query} FROM users WHERE id = 1");
    assert_eq!(bed.text(&sql).await, expected, "{}", shown(String::new()));
    go(bed, &all, true)
        .await
        .unwrap_or_else(|error| panic!("{}", shown(error)));
    assert_eq!(bed.text(&sql).await, expected, "{}", shown(String::new()));
    assert_eq!(bed.leftovers().await, 0, "{}", shown(String::new()));
    let drift = databases.drift(&main_db()).await.unwrap();
    assert_eq!(lines(&drift), Vec::<String>::new(), "{}", shown(String::new()));

    go(bed, &all, false)
        .await
        .unwrap_or_else(|error| panic!("{}", shown(format!("down: {error}"))));
    let live = databases.live(&main_db()).await.unwrap();
    assert_eq!(
        lines(&changes(&from, &live)),
        Vec::<String>::new(),
        "{}",
        shown(String::new())
    );
    assert_eq!(bed.number("SELECT count(*) FROM users").await, 2);
}

#[tokio::test]
async fn wishes_there_and_back_on_sqlite() {
    for (wish, query, expected) in wishes() {
        let Some(bed) = bed(Kind::Sqlite).await else {
            return;
        };
        there_and_back(&bed, Kind::Sqlite, &wish, query, expected).await;
    }
}

async fn on_postgres(of: impl Fn(usize) -> bool) {
    for (at, (wish, query, expected)) in wishes().into_iter().enumerate() {
        if !of(at) {
            continue;
        }
        let Some(bed) = bed(Kind::Postgres).await else {
            return;
        };
        there_and_back(&bed, Kind::Postgres, &wish, query, expected).await;
    }
}

#[tokio::test]
async fn wishes_there_and_back_on_postgres() {
    on_postgres(|at| at % 2 == 0).await;
}

#[tokio::test]
async fn more_wishes_there_and_back_on_postgres() {
    on_postgres(|at| at % 2 == 1).await;
}

/// Each would be found by the contract only, when the old version is gone.
#[tokio::test]
async fn a_column_that_cannot_go_is_refused_before_anything_is_written() {
    let common = "CREATE TABLE g (id integer PRIMARY KEY, a integer, b integer GENERATED ALWAYS AS (a + 1) STORED, n text UNIQUE, m integer);
         CREATE TABLE h (n text REFERENCES g (n)); CREATE VIEW adults AS SELECT id FROM users WHERE age > 17;";
    let own = [
        (
            Kind::Sqlite,
            Dialect::Sqlite,
            "CREATE TRIGGER r AFTER UPDATE OF m ON g BEGIN DELETE FROM h; END;",
        ),
        (
            Kind::Postgres,
            Dialect::Postgres,
            "CREATE POLICY r ON g USING (m > 1); CREATE TABLE s (id bigserial, k int GENERATED ALWAYS AS IDENTITY);",
        ),
    ];
    for (kind, dialect, more) in own {
        let Some(bed) = bed(kind).await else { return };
        let base = files(&format!("{BASE} {common} {more}"), &[]);
        let databases = bed.databases(&borrowed(&base));
        let from = databases.produced(&main_db()).await.unwrap();
        let mut all = vec![
            ("g.b:c", "the server itself gives it its values"),
            ("g.a:c", "column b is computed from it"),
            ("g.n:c", "a foreign key of h points to it"),
            ("g.m:c", "r on g names it"),
            ("users.age:years", "view adults reads it"),
        ];
        if dialect == Dialect::Postgres {
            let by_server = "the server itself gives it its values";
            all.extend([("s.id:c", by_server), ("s.k:c", by_server)]);
        }
        for (text, why) in all {
            let error = drafts_for(dialect, &from, &rename(text), &Version::new(1, 1, 0)).unwrap_err();
            assert_eq!(error.code, "migrate.no-such-column");
            assert!(error.message.contains(why), "{kind:?} {text}: {}", error.message);
        }
        let renames = ["g.b:c", "users.age:years"].map(|text| text.parse().unwrap());
        assert!(renamable(dialect, &from, &renames[..1]).is_err());
        assert_eq!(renamable(dialect, &from, &renames[1..]), Ok(()));
    }
}

/// From the expand on the new version looks for rows by what the old one did, and `ON CONFLICT` finds its key.
#[tokio::test]
async fn a_renamed_column_of_postgres_has_its_key_before_the_new_version_runs() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    let base = files(BASE, &[]);
    go(&bed, &base, true).await.unwrap();
    bed.run(ROWS).await;
    let databases = bed.databases(&borrowed(&base));
    let from = databases.produced(&main_db()).await.unwrap();
    let wish = rename("users.email:email_address");
    let drafts = drafts_for(Dialect::Postgres, &from, &wish, &Version::new(1, 1, 0)).unwrap();
    let all = files(BASE, &drafts);
    let databases = bed.databases(&borrowed(&all));
    databases
        .migrate_up(
            &fence(1),
            &main_db(),
            Reach::All,
            false,
            &options(),
            &mut Vec::new(),
        )
        .await
        .unwrap();
    let upsert = |column: &str, id: i32| {
        format!(
            "INSERT INTO users (id, {column}, code, team) VALUES ({id}, 'a@x', '{id}', 1) ON CONFLICT ({column}) DO UPDATE SET nick = '{column}'"
        )
    };
    bed.run(&upsert("email", 11)).await;
    bed.run(&upsert("email_address", 12)).await;
    assert_eq!(
        bed.text("SELECT nick FROM users WHERE id = 1").await,
        "email_address"
    );
    assert_eq!(bed.number("SELECT count(*) FROM users").await, 2);
    go(&bed, &all, true).await.unwrap();
    bed.run(&upsert("email_address", 13)).await;
    assert_eq!(bed.number("SELECT count(*) FROM users").await, 2);
}

/// Names with blanks, and a table without a `rowid`.
#[tokio::test]
async fn names_that_need_quotes_get_other_names() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MariaDb] {
        let Some(bed) = bed(kind).await else { continue };
        let (dialect, rowless) = match kind {
            Kind::Sqlite => (Dialect::Sqlite, " WITHOUT ROWID"),
            Kind::Postgres => (Dialect::Postgres, ""),
            Kind::MariaDb => (Dialect::MariaDb, ""),
        };
        let own = |text: &str| text.replace(['<', '>'], if dialect == Dialect::MariaDb { "`" } else { "\"" });
        let made = own(&format!(
            "CREATE TABLE <T x> (<the id> integer PRIMARY KEY, <a b> varchar(20)){rowless};"
        ));
        let base = files(&made, &[]);
        go(&bed, &base, true).await.unwrap();
        bed.run(&own("INSERT INTO <T x> (<the id>, <a b>) VALUES (1, 'one')"))
            .await;
        let databases = bed.databases(&borrowed(&base));
        let from: Catalog = databases.produced(&main_db()).await.unwrap();
        let drafts = drafts_for(dialect, &from, &rename("T x.a b:c d"), &Version::new(1, 1, 0)).unwrap();
        let all = files(&made, &drafts);
        go(&bed, &all, true)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{all:#?}"));
        assert_eq!(bed.text(&own("SELECT <c d> FROM <T x>")).await, "one");
        let refused = drafts_for(dialect, &from, &rename("T x.a b:A B"), &Version::new(1, 1, 0));
        assert_eq!(
            refused.is_err(),
            dialect != Dialect::Postgres,
            "{dialect:?}: names differ in case only"
        );
    }
}

/// What only the contract would find, when the old version is gone.
#[tokio::test]
async fn a_column_that_cannot_go_is_refused_before_files_are_written() {
    let Some(bed) = bed(Kind::Postgres).await else {
        return;
    };
    let made = "CREATE TABLE p (id int, d date NOT NULL, j json, n text, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);";
    let base = files(made, &[]);
    let from: Catalog = bed
        .databases(&borrowed(&base))
        .produced(&main_db())
        .await
        .unwrap();
    for (wish, said) in [
        (rename("p.d:day"), "partitioned by RANGE (d)"),
        (rename("p.j:k"), "no two values of json"),
        (
            Wish::Retype("p.n:k:json".parse().unwrap()),
            "no two values of json",
        ),
        (rename("p.n:a,b"), "no name that a directive can hold"),
    ] {
        let found = drafts_for(Dialect::Postgres, &from, &wish, &Version::new(1, 1, 0)).unwrap_err();
        assert!(found.message.contains(said), "{found}");
    }
}
