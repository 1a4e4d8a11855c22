//! Files with Flyway's names, and those that run again whenever their text changes.

use cutover_migrate::{MigrationStatus, Reach};
use cutover_ports::Databases as _;

use crate::bed::{Bed, Kind, bed, main_db, up_all};

const FIRST: &str = "DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT x FROM t WHERE x > 1";
const SECOND: &str = "DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT x FROM t WHERE x > 2";

fn files(view: &'static str) -> [(&'static str, &'static str); 5] {
    [
        (
            "V1__t.sql",
            "-- cutover: phase=expand\nCREATE TABLE t (x integer);\nINSERT INTO t VALUES (1), (2), (3)",
        ),
        ("U1__t.sql", "DROP TABLE t"),
        (
            "V5__more.sql",
            "-- cutover: phase=expand\nINSERT INTO t VALUES (4)",
        ),
        ("U5__more.sql", "DELETE FROM t WHERE x = 4"),
        ("R__view.sql", view),
    ]
}

/// Applies what is pending, and answers how many rows the view has then.
async fn up(bed: &Bed, view: &'static str, expected: &[&str]) -> i64 {
    let databases = bed.databases(&files(view));
    let (done, ended) = up_all(&databases).await;
    ended.unwrap();
    let done: Vec<String> = done.iter().map(|report| report.id.base().to_owned()).collect();
    assert_eq!(done, expected);
    bed.number("SELECT count(*) FROM v").await
}

async fn runs_again_when_it_changes(kind: Kind) {
    let Some(bed) = bed(kind).await else { return };
    assert_eq!(up(&bed, FIRST, &["t", "more", "view"]).await, 3);
    assert_eq!(up(&bed, FIRST, &[]).await, 3);

    let databases = bed.databases(&files(SECOND));
    let lines = databases.status(&main_db()).await.unwrap();
    let pending: Vec<bool> = lines
        .iter()
        .map(|line| line.status == MigrationStatus::Pending)
        .collect();
    assert_eq!(pending, [false, false, true], "{lines:?}");
    assert!(databases.check(&main_db()).await.is_empty());
    assert_eq!(up(&bed, SECOND, &["view"]).await, 2);
    // The text that it had before is not "applied already".
    assert_eq!(up(&bed, FIRST, &["view"]).await, 3);
    assert_eq!(bed.number("SELECT count(*) FROM cutover_history").await, 3);

    // It is in nobody's way: not of a later number, and not of the way down.
    let back = bed
        .databases(&files(FIRST))
        .applied(&main_db(), Reach::Steps(1))
        .await
        .unwrap();
    assert_eq!(back[0].migration.id.name, "more");
    let mut later = files(FIRST).to_vec();
    later.push((
        "V9__late.sql",
        "-- cutover: phase=expand\nINSERT INTO t VALUES (9)",
    ));
    later.push(("U9__late.sql", "DELETE FROM t WHERE x = 9"));
    assert!(bed.databases(&later).check(&main_db()).await.is_empty());
}

/// By hand, of another release than the one that is deployed: both are known, and the one that was asked for counts.
#[tokio::test]
async fn the_text_of_the_release_that_counts_runs() {
    let Some(bed) = bed(Kind::Sqlite).await else {
        return;
    };
    for round in [&["t", "more", "view"][..], &[]] {
        let databases = bed.databases(&files(FIRST)).with_chosen(
            main_db(),
            bed.url.parse().unwrap(),
            bed.files(&files(SECOND)),
        );
        let (done, ended) = up_all(&databases).await;
        ended.unwrap();
        let done: Vec<&str> = done.iter().map(|report| report.id.base()).collect();
        assert_eq!(done, round);
        assert_eq!(bed.number("SELECT count(*) FROM v").await, 2);
        assert!(
            databases
                .examine(&main_db(), true, None)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn repeatable_on_sqlite() {
    runs_again_when_it_changes(Kind::Sqlite).await;
}

#[tokio::test]
async fn repeatable_on_postgres() {
    runs_again_when_it_changes(Kind::Postgres).await;
}

#[tokio::test]
async fn repeatable_on_mariadb() {
    runs_again_when_it_changes(Kind::MariaDb).await;
}
