//! `migrate new --rename`, `--split`, `--retype` and `--not-null` on MariaDB: whole sets of files, which the linter finds
//! clean, which carry over what versions of both kinds write, and which leave nothing when they are taken back.

use cutover_migrate::{Draft, Reach, Wish, drafts_for, renamable};
use cutover_model::{MigrationPhase, Version};
use cutover_sql::Dialect;
use cutover_sql::catalog::{Catalog, changes};

use crate::autogenerate::{borrowed, files, go, lines};
use crate::bed::{Bed, Kind, bed, fence, main_db, options};
use crate::linted::findings;

const BASE: &str = "CREATE TABLE teams (id int PRIMARY KEY, name varchar(20));
CREATE TABLE users (
    id int AUTO_INCREMENT PRIMARY KEY,
    email varchar(100) NOT NULL,
    full_name varchar(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    age int, zip varchar(10) NOT NULL, nick varchar(20) CHARACTER SET utf8mb4, level int, kind enum('a','b') NOT NULL, team int, prefs json,
    UNIQUE KEY email (email), KEY age (age), KEY by_team (team),
    CONSTRAINT of_team FOREIGN KEY (team) REFERENCES teams (id) ON DELETE SET NULL
);";

struct Set {
    bed: Bed,
    files: Vec<(String, String)>,
    from: Catalog,
}

async fn produced(bed: &Bed, files: &[(String, String)]) -> Catalog {
    let databases = bed.databases(&borrowed(files));
    databases.produced(&main_db()).await.unwrap()
}

/// The set for a wish, on a database with two rows; each of its files lints clean.
async fn set(wish: Wish) -> Option<Set> {
    let bed = bed(Kind::MariaDb).await?;
    let base = files(BASE, &[]);
    go(&bed, &base, true).await.unwrap();
    bed.run("INSERT INTO teams VALUES (1, 'one'), (2, 'two')").await;
    bed.run(
        "INSERT INTO users (id, email, full_name, age, zip, nick, kind, team) VALUES
            (1, 'a@x', 'Ada Lovelace', 36, '01234', 'ada', 'a', 1), (2, 'b@x', NULL, NULL, '99', NULL, 'b', NULL)",
    )
    .await;
    let from = produced(&bed, &base).await;
    let drafts: Vec<Draft> = drafts_for(Dialect::MariaDb, &from, &wish, &Version::new(1, 1, 0)).unwrap();
    let phases: Vec<MigrationPhase> = drafts.iter().map(|draft| draft.phase).collect();
    let last = phases.last().copied();
    assert_eq!(last, Some(MigrationPhase::Contract), "{phases:?}");
    let files = files(BASE, &drafts);
    assert_eq!(findings(Dialect::MariaDb, &files), Vec::<String>::new());
    Some(Set { bed, files, from })
}

impl Set {
    async fn up(&self, reach: Reach, contracts: bool) -> Result<(), String> {
        let mut done = Vec::new();
        let databases = self.bed.databases(&borrowed(&self.files));
        databases
            .migrate_up(&fence(1), &main_db(), reach, contracts, &options(), &mut done)
            .await
            .map(drop)
            .map_err(|error| format!("{error:?}\n{:#?}", self.files))
    }

    /// All but the contract.
    async fn begin(&self) {
        self.up(Reach::All, false).await.unwrap();
    }

    /// The contract; then nothing is left but what the files produce.
    async fn finish(&self) {
        self.up(Reach::All, true).await.unwrap();
        assert_eq!(self.bed.leftovers().await, 0, "triggers");
        let databases = self.bed.databases(&borrowed(&self.files));
        let drift = databases.drift(&main_db()).await.unwrap();
        assert_eq!(lines(&drift), Vec::<String>::new());
    }

    /// All taken back: the schema is the first one again.
    async fn back(&self) {
        go(&self.bed, &self.files, false).await.unwrap();
        assert_eq!(self.bed.leftovers().await, 0, "triggers");
        let databases = self.bed.databases(&borrowed(&self.files));
        let live = databases.live(&main_db()).await.unwrap();
        assert_eq!(lines(&changes(&self.from, &live)), Vec::<String>::new());
    }

    async fn run(&self, sql: &str) {
        self.bed.run(sql).await;
    }

    async fn text(&self, what: &str, id: i32) -> String {
        let sql = format!("SELECT coalesce({what}, '-') FROM users WHERE id = {id}");
        self.bed.text(&sql).await
    }

    async fn refuses(&self, sql: &str) -> bool {
        let mut connection = cutover_testkit::connect_mariadb(&self.bed.url).await.unwrap();
        mysql_async::prelude::Queryable::query_drop(&mut connection, sql)
            .await
            .is_err()
    }
}

#[tokio::test]
async fn a_column_gets_another_name() {
    let Some(set) = set(Wish::Rename(vec!["users.email:email_address".parse().unwrap()])).await else {
        return;
    };
    set.begin().await;
    assert_eq!(set.text("email_address", 2).await, "b@x");
    set.run("INSERT INTO users (id, email, zip, kind) VALUES (3, 'old@x', '1', 'a')")
        .await;
    set.run("INSERT INTO users (id, email_address, zip, kind) VALUES (4, 'new@x', '1', 'a')")
        .await;
    set.run("UPDATE users SET email = 'A@x' WHERE id = 1").await;
    assert_eq!(set.text("email_address", 1).await, "A@x");
    assert_eq!(set.text("email_address", 3).await, "old@x");
    assert_eq!(set.text("email", 4).await, "new@x");
    // Back from there, and there again.
    set.back().await;
    set.begin().await;
    set.finish().await;
    assert_eq!(set.text("email_address", 4).await, "new@x");
    let twice = "INSERT INTO users (email_address, zip, kind) VALUES ('a@x', '1', 'a')";
    assert!(set.refuses(twice).await, "it is unique, as the old one was");
    assert!(
        set.refuses("INSERT INTO users (zip, kind) VALUES ('1', 'a')")
            .await,
        "it is NOT NULL"
    );
    set.run("UPDATE users SET email_address = 'last@x' WHERE id = 3")
        .await;
    set.back().await;
    assert_eq!(set.text("email", 3).await, "last@x");
}

#[tokio::test]
async fn columns_with_a_foreign_key_a_check_and_values_of_their_own_get_other_names() {
    let all = ["users.team:team_id", "users.kind:sort", "users.prefs:settings"];
    let all = all.map(|text| text.parse().unwrap());
    let Some(set) = set(Wish::Rename(all.into())).await else {
        return;
    };
    set.begin().await;
    set.run("INSERT INTO users (email, zip, sort, team_id) VALUES ('n@x', '1', 'b', 2)")
        .await;
    assert_eq!(
        set.bed
            .number("SELECT team FROM users WHERE kind = 'b' AND team IS NOT NULL")
            .await,
        2
    );
    assert!(
        set.refuses("UPDATE users SET team_id = 9 WHERE id = 1").await,
        "by the old key"
    );
    set.finish().await;
    assert!(
        set.refuses("UPDATE users SET team_id = 9 WHERE id = 1").await,
        "by the new key"
    );
    assert!(
        set.refuses("UPDATE users SET settings = 'no json' WHERE id = 1")
            .await,
        "by its check"
    );
    set.run("DELETE FROM teams WHERE id = 1").await;
    assert_eq!(set.text("team_id", 1).await, "-");
    set.back().await;
    assert_eq!(
        set.bed.number("SELECT count(*) FROM users WHERE team = 2").await,
        1
    );
}

#[tokio::test]
async fn a_column_becomes_several() {
    let Some(set) = set(Wish::Split("users.full_name:first,last".parse().unwrap())).await else {
        return;
    };
    set.begin().await;
    assert_eq!(set.text("concat(first, '|', last)", 1).await, "Ada|Lovelace");
    set.run("UPDATE users SET full_name = 'Grace Brewster Hopper' WHERE id = 2")
        .await;
    assert_eq!(
        set.text("concat(first, '|', last)", 2).await,
        "Grace|Brewster Hopper"
    );
    set.run("UPDATE users SET last = 'King' WHERE id = 1").await;
    assert_eq!(set.text("full_name", 1).await, "Ada King");
    set.finish().await;
    set.run("UPDATE users SET first = 'G' WHERE id = 2").await;
    set.back().await;
    assert_eq!(set.text("full_name", 2).await, "G Brewster Hopper");
}

#[tokio::test]
async fn columns_get_other_types() {
    let Some(set) = set(Wish::Retype("users.age:age_years:bigint".parse().unwrap())).await else {
        return;
    };
    set.begin().await;
    assert_eq!(set.text("age_years", 1).await, "36");
    set.run("UPDATE users SET age_years = 40 WHERE id = 2").await;
    assert_eq!(set.text("age", 2).await, "40");
    set.finish().await;
    set.back().await;
    assert_eq!(set.text("age", 2).await, "40");
}

#[tokio::test]
async fn a_text_becomes_a_number() {
    let Some(set) = set(Wish::Retype("users.zip:zip_code:int unsigned".parse().unwrap())).await else {
        return;
    };
    set.begin().await;
    assert_eq!(set.text("zip_code", 1).await, "1234");
    assert_eq!(
        set.text("zip", 1).await,
        "01234",
        "the old version's own is let alone"
    );
    set.run("INSERT INTO users (id, email, zip_code, kind) VALUES (3, 'n@x', 55, 'a')")
        .await;
    assert_eq!(set.text("zip", 3).await, "55");
    set.finish().await;
    set.back().await;
    assert_eq!(set.text("zip", 1).await, "1234");
}

#[tokio::test]
async fn columns_are_never_null_again() {
    for (column, filled) in [("users.nick", ""), ("users.level", "0")] {
        let Some(set) = set(Wish::NotNull(column.parse().unwrap())).await else {
            return;
        };
        let name = column.trim_start_matches("users.");
        set.begin().await;
        assert_eq!(set.text(name, 2).await, filled);
        set.finish().await;
        let null = format!("UPDATE users SET {name} = NULL WHERE id = 1");
        assert!(set.refuses(&null).await);
        set.back().await;
        set.run(&null).await;
    }
}

/// Each would be found by the contract only, when the old version is gone.
#[tokio::test]
async fn a_column_that_cannot_go_is_refused_before_anything_is_written() {
    let Some(bed) = bed(Kind::MariaDb).await else {
        return;
    };
    let text = format!(
        "{BASE} CREATE TABLE g (id int PRIMARY KEY, a int, b int AS (a + 1) VIRTUAL, n varchar(9) UNIQUE);
         CREATE TABLE h (n varchar(9), FOREIGN KEY (n) REFERENCES g (n));
         CREATE VIEW adults AS SELECT id FROM users WHERE age > 17;"
    );
    let base = files(&text, &[]);
    let from = produced(&bed, &base).await;
    for (rename, why) in [
        ("users.id:number", "the server itself gives it its values"),
        ("teams.id:number", "it is of the primary key"),
        ("g.a:c", "column b is computed from it"),
        ("g.n:c", "foreign key h_ibfk_1 of h points to it"),
        ("users.age:years", "view adults reads it"),
        ("users.nothing:else", "has no column nothing"),
    ] {
        let wish = Wish::Rename(vec![rename.parse().unwrap()]);
        let error = drafts_for(Dialect::MariaDb, &from, &wish, &Version::new(1, 1, 0)).unwrap_err();
        assert_eq!(error.code, "migrate.no-such-column");
        assert!(error.message.contains(why), "{rename}: {}", error.message);
    }
    let renames = ["users.id:number", "users.age:years"].map(|text| text.parse().unwrap());
    let error = renamable(Dialect::MariaDb, &from, &renames).unwrap_err();
    assert!(error.message.contains("users.id cannot go"), "{}", error.message);
    assert_eq!(renamable(Dialect::MariaDb, &from, &renames[1..]), Ok(()));
}

/// The server sets such a time in each row that is changed, and a backfill is no change to anybody.
#[tokio::test]
async fn a_backfill_keeps_the_times_of_the_last_change() {
    let Some(bed) = bed(Kind::MariaDb).await else {
        return;
    };
    let made = "CREATE TABLE t (id int PRIMARY KEY, a varchar(20), n int,
        changed timestamp NOT NULL DEFAULT '2001-01-01' ON UPDATE current_timestamp());";
    let base = files(made, &[]);
    go(&bed, &base, true).await.unwrap();
    bed.run("INSERT INTO t (id, a) VALUES (1, 'one'), (2, 'two')")
        .await;
    let from = produced(&bed, &base).await;
    for wish in [
        Wish::Rename(vec!["t.a:b".parse().unwrap()]),
        Wish::NotNull("t.n".parse().unwrap()),
    ] {
        let drafts = drafts_for(Dialect::MariaDb, &from, &wish, &Version::new(1, 1, 0)).unwrap();
        let all = files(made, &drafts);
        let kept = async || {
            let times = bed
                .text("SELECT group_concat(DISTINCT date(changed)) FROM t")
                .await;
            assert_eq!(times, "2001-01-01", "{all:#?}");
        };
        go(&bed, &all, true).await.unwrap();
        kept().await;
        go(&bed, &all, false).await.unwrap();
        kept().await;
    }
}
