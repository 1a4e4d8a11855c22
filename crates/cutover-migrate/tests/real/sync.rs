//! Two-way sync: every kind of write, by versions that know one side, both, or other columns only.

use cutover_migrate::Reach;
use cutover_model::MigrationPhase;

use crate::bed::{Bed, Kind, bed, fence, main_db, options};

const BASE: [(&str, &str); 2] = [
    (
        "001_users.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE users (id integer PRIMARY KEY, first text, last text, age text);",
    ),
    ("001_users.down.sql", "DROP TABLE users"),
];

fn names(kind: Kind) -> Vec<(&'static str, String)> {
    let (trim, position) = match kind {
        Kind::Postgres => ("btrim", "strpos"),
        Kind::Sqlite | Kind::MariaDb => ("trim", "instr"),
    };
    let (whole, padded) = match kind {
        Kind::Postgres | Kind::Sqlite => (
            "coalesce(first, '') || ' ' || coalesce(last, '')",
            "full_name || ' '",
        ),
        Kind::MariaDb => (
            "concat(coalesce(first, ''), ' ', coalesce(last, ''))",
            "concat(full_name, ' ')",
        ),
    };
    let up = format!(
        "-- cutover: phase=expand
/* cutover: sync table=users old=first,last new=full_name
   up=\"nullif({trim}({whole}), '')\"
   down=\"nullif(substr(full_name, 1, {position}({padded}, ' ') - 1), ''),
         nullif(substr(full_name, {position}({padded}, ' ') + 1), '')\" */
ALTER TABLE users ADD COLUMN full_name text;"
    );
    let mut out: Vec<(&str, String)> = BASE
        .iter()
        .map(|(name, text)| (*name, (*text).to_owned()))
        .collect();
    out.extend([
        ("002_full.up.sql", up),
        (
            "002_full.down.sql",
            "ALTER TABLE users DROP COLUMN full_name".to_owned(),
        ),
        (
            "003_fill.up.sql",
            "-- cutover: phase=backfill\n-- cutover: backfill table=users key=id batch=3 new=full_name\n"
                .to_owned(),
        ),
        ("003_fill.down.sql", String::new()),
        (
            "004_drop.up.sql",
            "-- cutover: phase=contract retires=1.1.0\n-- cutover: end-sync table=users new=full_name
             ALTER TABLE users DROP COLUMN first; ALTER TABLE users DROP COLUMN last;"
                .to_owned(),
        ),
        (
            "004_drop.down.sql",
            "ALTER TABLE users ADD COLUMN first text; ALTER TABLE users ADD COLUMN last text;".to_owned(),
        ),
    ]);
    out
}

fn borrowed<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    files.iter().map(|(name, text)| (*name, text.as_str())).collect()
}

async fn up_to(bed: &Bed, files: &[(&str, &str)], reach: Reach, contracts: bool) {
    let mut done = Vec::new();
    bed.databases(files)
        .migrate_up(&fence(1), &main_db(), reach, contracts, &options(), &mut done)
        .await
        .unwrap();
}

async fn down_to(bed: &Bed, files: &[(&str, &str)], reach: Reach) {
    let mut done = Vec::new();
    bed.databases(files)
        .migrate_down(&fence(1), &main_db(), reach, &options(), &mut done)
        .await
        .unwrap();
}

/// The row's three values joined, NULL as `-`.
async fn row(bed: &Bed, id: i64) -> String {
    let one = |column: &str| format!("coalesce({column}, '-')");
    let all = joined(
        bed,
        &[&one("first"), "'|'", &one("last"), "'|'", &one("full_name")],
    );
    bed.text(&format!("SELECT {all} FROM users WHERE id = {id}"))
        .await
}

/// Texts one after the other, in the words of the database.
fn joined(bed: &Bed, parts: &[&str]) -> String {
    if bed.url.starts_with("mariadb:") {
        format!("concat({})", parts.join(", "))
    } else {
        parts.join(" || ")
    }
}

/// An insert that becomes an update, in the words of the database.
fn upsert(bed: &Bed, sql: &str) -> String {
    if !bed.url.starts_with("mariadb:") {
        return sql.to_owned();
    }
    let mut out = sql.replace("ON CONFLICT (id) DO UPDATE SET", "ON DUPLICATE KEY UPDATE");
    for column in ["first", "last", "full_name"] {
        out = out.replace(&format!("excluded.{column}"), &format!("VALUES({column})"));
    }
    out
}

async fn every_write_is_carried_over(kind: Kind) {
    let Some(bed) = bed(kind).await else { return };
    let files = names(kind);
    let files = borrowed(&files);
    up_to(&bed, &files, Reach::To(1), false).await;
    bed.run(
        "INSERT INTO users (id, first, last) VALUES (1, 'Ada', 'Lovelace'), (2, NULL, NULL), (3, 'Cher', NULL),
         (4, NULL, 'Prince'), (5, 'a', 'b'), (6, 'c', 'd'), (7, 'e', 'f')",
    )
    .await;
    up_to(&bed, &files, Reach::To(2), false).await;
    assert_eq!(row(&bed, 1).await, "Ada|Lovelace|-");
    up_to(&bed, &files, Reach::To(3), false).await;
    assert_eq!(row(&bed, 1).await, "Ada|Lovelace|Ada Lovelace");
    assert_eq!(row(&bed, 2).await, "-|-|-");
    assert_eq!(row(&bed, 4).await, "-|Prince|Prince");
    assert_eq!(row(&bed, 7).await, "e|f|e f", "the third batch, too");

    for (write, expected) in [
        // The old version, then the new one, on one row.
        (
            "INSERT INTO users (id, first, last) VALUES (20, 'Alan', 'Turing')",
            "Alan|Turing|Alan Turing",
        ),
        (
            "UPDATE users SET full_name = 'Alan M Turing' WHERE id = 20",
            "Alan|M Turing|Alan M Turing",
        ),
        ("UPDATE users SET last = 'T' WHERE id = 20", "Alan|T|Alan T"),
        ("UPDATE users SET full_name = NULL WHERE id = 20", "-|-|-"),
        ("UPDATE users SET first = 'A' WHERE id = 20", "A|-|A"),
        ("UPDATE users SET first = NULL WHERE id = 20", "-|-|-"),
        ("UPDATE users SET full_name = 'B C' WHERE id = 20", "B|C|B C"),
        // A change of case is a change.
        ("UPDATE users SET first = 'b' WHERE id = 20", "b|C|b C"),
        ("UPDATE users SET full_name = 'B C' WHERE id = 20", "B|C|B C"),
        // Nothing of the pair: nothing happens.
        ("UPDATE users SET age = '3' WHERE id = 20", "B|C|B C"),
        // A program that writes whole rows, knowing one side.
        (
            "UPDATE users SET first = 'B', last = 'D', age = '4' WHERE id = 20",
            "B|D|B D",
        ),
        (
            "UPDATE users SET first = 'B', last = 'D', age = '5' WHERE id = 20",
            "B|D|B D",
        ),
        // Both sides at once: as given where they agree, else what the new version says.
        (
            "UPDATE users SET first = 'X', last = 'Y', full_name = 'X Y' WHERE id = 20",
            "X|Y|X Y",
        ),
        (
            "UPDATE users SET first = 'old', full_name = 'N W' WHERE id = 20",
            "N|W|N W",
        ),
        (
            "DELETE FROM users WHERE id = 20; INSERT INTO users (id, full_name) VALUES (20, 'G H I')",
            "G|H I|G H I",
        ),
        (
            "DELETE FROM users WHERE id = 20; INSERT INTO users (id, age) VALUES (20, '1')",
            "-|-|-",
        ),
        (
            "DELETE FROM users WHERE id = 20; INSERT INTO users (id, first, last, full_name) VALUES (20, 'o', 'o', 'n n')",
            "n|n|n n",
        ),
        // An insert that turns out to be an update, from each side.
        (
            "INSERT INTO users (id, first, last) VALUES (20, 'u', 'v')
             ON CONFLICT (id) DO UPDATE SET first = excluded.first, last = excluded.last",
            "u|v|u v",
        ),
        (
            "INSERT INTO users (id, full_name) VALUES (20, 'w x')
             ON CONFLICT (id) DO UPDATE SET full_name = excluded.full_name",
            "w|x|w x",
        ),
    ] {
        bed.run(&upsert(&bed, write)).await;
        assert_eq!(row(&bed, 20).await, expected, "{kind:?}: {write}");
    }
    bed.run("UPDATE users SET first = 'all'").await;
    assert_eq!(
        bed.number("SELECT count(*) FROM users WHERE full_name LIKE 'all%'")
            .await,
        8
    );

    // The new version's values survive the way back and another start.
    bed.run("UPDATE users SET full_name = 'New Name' WHERE id = 1")
        .await;
    down_to(&bed, &files, Reach::To(1)).await;
    let name = joined(&bed, &["first", "' '", "last"]);
    assert_eq!(
        bed.text(&format!("SELECT {name} FROM users WHERE id = 1")).await,
        "New Name"
    );
    bed.run("UPDATE users SET last = 'Later' WHERE id = 1").await;
    up_to(&bed, &files, Reach::All, false).await;
    assert_eq!(row(&bed, 1).await, "New|Later|New Later");

    up_to(&bed, &files, Reach::All, true).await;
    bed.run("UPDATE users SET full_name = 'After All' WHERE id = 1")
        .await;
    assert_eq!(
        bed.text("SELECT full_name FROM users WHERE id = 1").await,
        "After All"
    );
    assert_eq!(bed.leftovers().await, 0, "no trigger and no function is left");
}

#[tokio::test]
async fn every_write_is_carried_over_on_sqlite() {
    every_write_is_carried_over(Kind::Sqlite).await;
}

#[tokio::test]
async fn every_write_is_carried_over_on_postgres() {
    every_write_is_carried_over(Kind::Postgres).await;
}

#[tokio::test]
async fn every_write_is_carried_over_on_mariadb() {
    every_write_is_carried_over(Kind::MariaDb).await;
}

/// Numbers, times and texts of another collation, each with what makes one of the other.
#[tokio::test]
async fn values_of_every_kind_are_compared_as_what_they_are_on_mariadb() {
    let Some(bed) = bed(Kind::MariaDb).await else {
        return;
    };
    let files = [
        (
            "001_p.up.sql",
            "-- cutover: phase=expand
CREATE TABLE p (id integer PRIMARY KEY, cents bigint, day date, word varchar(20) COLLATE utf8mb4_unicode_ci,
    raw varbinary(4));
INSERT INTO p VALUES (1, 150, '2026-11-28', 'a', x'FF'), (2, NULL, NULL, NULL, NULL), (3, 100, '2026-01-01', 'É', x'C0');",
        ),
        ("001_p.down.sql", "DROP TABLE p"),
        (
            "002_p.up.sql",
            "-- cutover: phase=expand
-- cutover: sync table=p old=cents,day,word,raw new=price,at,term,bytes up=\"cents / 100, day, word, raw\" down=\"price * 100, date(at), term, bytes\"
ALTER TABLE p ADD COLUMN price decimal(10,2), ADD COLUMN at datetime(6),
    ADD COLUMN term varchar(20) COLLATE utf8mb4_general_ci, ADD COLUMN bytes varbinary(4)",
        ),
        ("002_p.down.sql", "ALTER TABLE p DROP COLUMN price, DROP COLUMN at, DROP COLUMN term, DROP COLUMN bytes"),
        (
            "003_p.up.sql",
            "-- cutover: phase=backfill\n-- cutover: backfill table=p key=id new=price,at,term,bytes\n",
        ),
        ("003_p.down.sql", ""),
    ];
    up_to(&bed, &files, Reach::All, false).await;
    let agree = "SELECT count(*) FROM p WHERE NOT (price <=> cents / 100 AND at <=> day AND CAST(term AS binary) <=> CAST(word AS binary) \
                 AND bytes <=> raw)";
    assert_eq!(bed.number(agree).await, 0);
    bed.run("UPDATE p SET price = 2.5, term = 'A' WHERE id = 1").await;
    bed.run("UPDATE p SET cents = 175 WHERE id = 3").await;
    // Neither is UTF-8: as text they would be the same.
    bed.run("UPDATE p SET raw = x'FE' WHERE id = 1").await;
    bed.run("UPDATE p SET bytes = x'C1' WHERE id = 3").await;
    bed.run("INSERT INTO p (id, price, at, term) VALUES (4, 1, '2026-02-02', 'ß')")
        .await;
    assert_eq!(bed.number(agree).await, 0);
    let cents = "SELECT CAST(sum(cents) AS signed) FROM p WHERE word IN ('A', 'É', 'ß')";
    assert_eq!(bed.number(cents).await, 250 + 175 + 100);
}

async fn refused(kind: Kind, more: &[(&str, &str)], code: &str, says: &str) {
    let Some(bed) = bed(kind).await else { return };
    let files = [&BASE, more].concat();
    let mut done = Vec::new();
    let error = bed
        .databases(&files)
        .migrate_up(&fence(1), &main_db(), Reach::All, true, &options(), &mut done)
        .await
        .unwrap_err();
    assert_eq!(error.diagnostic.code, code, "{error}");
    assert!(
        error.diagnostic.to_string().contains(says) || error.diagnostic.message.contains(says),
        "{error}"
    );
    assert_eq!(bed.leftovers().await, 0, "nothing of it is left");
}

#[tokio::test]
async fn an_expression_that_does_not_fit_is_found_before_anybody_writes() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MariaDb] {
        // `age` exists, but it is of neither side.
        for expression in ["nobody", "age"] {
            let up = format!(
                "-- cutover: phase=expand\n-- cutover: sync table=users old=first new=given up={expression} down=given
                 ALTER TABLE users ADD COLUMN given text;"
            );
            let files = [
                ("002_x.up.sql", up.as_str()),
                ("002_x.down.sql", "ALTER TABLE users DROP COLUMN given"),
            ];
            refused(kind, &files, "migrate.statement-failed", expression).await;
        }
    }
}

#[tokio::test]
async fn a_new_column_with_a_default_is_refused() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MariaDb] {
        let files = [
            (
                "002_x.up.sql",
                "-- cutover: phase=expand\n-- cutover: sync table=users old=first new=given up=first down=given
                 ALTER TABLE users ADD COLUMN given text DEFAULT 'x';",
            ),
            ("002_x.down.sql", "ALTER TABLE users DROP COLUMN given"),
        ];
        refused(kind, &files, "migrate.sync-invalid", "has a default").await;
    }
}

#[tokio::test]
async fn a_contract_that_forgets_the_triggers_changes_nothing() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MariaDb] {
        let Some(bed) = bed(kind).await else { return };
        let mut files = names(kind);
        files[6].1 = files[6]
            .1
            .replace("-- cutover: end-sync table=users new=full_name", "");
        // PostgreSQL refuses by itself, unless it is told not to.
        if matches!(kind, Kind::Postgres) {
            files[6].1 = files[6].1.replace("COLUMN first;", "COLUMN first CASCADE;");
        }
        let files = borrowed(&files);
        up_to(&bed, &files, Reach::To(3), false).await;
        let mut done = Vec::new();
        let error = bed
            .databases(&files)
            .migrate_up(&fence(1), &main_db(), Reach::All, true, &options(), &mut done)
            .await
            .unwrap_err();
        // SQLite refuses by itself.
        let code = if matches!(kind, Kind::Sqlite) {
            "migrate.statement-failed"
        } else {
            "migrate.sync-open"
        };
        assert_eq!(error.diagnostic.code, code, "{error}");
        bed.run("INSERT INTO users (id, full_name) VALUES (1, 'A B')")
            .await;
        assert_eq!(row(&bed, 1).await, "A|B|A B");
    }
}

#[tokio::test]
async fn directives_that_do_not_fit_are_refused_when_read() {
    let Some(bed) = bed(Kind::Sqlite).await else {
        return;
    };
    let cases: [(&str, &str); 5] = [
        (
            "-- cutover: phase=contract retires=1.1.0\n-- cutover: end-sync table=users new=nothing\nSELECT 1;",
            "no file before it",
        ),
        (
            "-- cutover: phase=backfill\n-- cutover: backfill table=users key=id new=nothing\n",
            "no file before it",
        ),
        (
            "-- cutover: phase=backfill\n-- cutover: backfill table=users key=id\nUPDATE users SET age = '1';",
            "{batch} stands once",
        ),
        (
            "-- cutover: phase=expand\n-- cutover: backfill table=users key=id\nUPDATE users SET age = '1' WHERE {batch};",
            "only a backfill",
        ),
        (
            "-- cutover: phase=expand transaction=none\n-- cutover: sync table=users old=first new=g up=first down=g\nSELECT 1;",
            "in one transaction",
        ),
    ];
    for (text, says) in cases {
        let files = [
            BASE[0],
            BASE[1],
            ("002_x.up.sql", text),
            ("002_x.down.sql", "SELECT 1"),
        ];
        let errors = bed.try_files(&files).unwrap_err();
        let found = errors.iter().find(|error| error.code == "migrate.sync-invalid");
        assert!(
            found.is_some_and(|error| error.message.contains(says)),
            "{text}: {errors:?}"
        );
    }
}

/// The checksum knows the directives, although they are comments.
#[tokio::test]
async fn a_changed_expression_is_a_changed_file() {
    let Some(bed) = bed(Kind::Sqlite).await else {
        return;
    };
    let mut files = names(Kind::Sqlite);
    let before = bed.try_files(&borrowed(&files)).unwrap();
    files[2].1 = files[2].1.replace("nullif(trim", "nullif(ltrim");
    let after = bed.try_files(&borrowed(&files)).unwrap();
    assert_ne!(before[1].migration.checksum, after[1].migration.checksum);
    assert_eq!(before[2].migration.phase, MigrationPhase::Backfill);
}
