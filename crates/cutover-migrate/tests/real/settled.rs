//! Whether there is nothing to do, told by bytes: whenever it says so, those who read the files whole find nothing either.

use std::fs;
use std::path::Path;

use cutover_migrate::{MigrateDatabases, Reach, is_settled, read_folder};
use cutover_ports::Databases as _;

use crate::bed::{Bed, Kind, bed, fence, main_db, options};

const FILES: [(&str, &str); 7] = [
    (
        "001_t.up.sql",
        "-- cutover: phase=expand\nCREATE TABLE t (x integer);\nINSERT INTO t VALUES (1), (2)",
    ),
    ("001_t.down.sql", "DROP TABLE t"),
    (
        "002_more.up.sql",
        "-- cutover: phase=backfill\n-- cutover: verify SELECT count(*) FROM t WHERE x < 0\nUPDATE t SET x = x + 1",
    ),
    ("002_more.down.sql", "UPDATE t SET x = x - 1"),
    (
        "003_rows.up.sql",
        "-- cutover: phase=expand\n-- cutover: irreversible reason=\"its rows are read by others\"\nINSERT INTO t VALUES (3)",
    ),
    (
        "V9__last.sql",
        "-- cutover: phase=expand\nINSERT INTO t VALUES (9)",
    ),
    ("U9__last.sql", "DELETE FROM t WHERE x = 9"),
];

const VIEW: (&str, &str) = (
    "R__view.sql",
    "DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT x FROM t",
);

fn write(folder: &Path, (name, text): (&str, &str)) {
    fs::write(folder.join(name), text).unwrap();
}

async fn settled(bed: &Bed, folder: &Path) -> bool {
    let url = bed.url.parse().unwrap();
    is_settled(&main_db(), &url, folder.to_owned()).await.unwrap()
}

fn databases(bed: &Bed, folder: &Path) -> MigrateDatabases {
    let files = read_folder(folder).unwrap();
    let files: Vec<_> = files
        .iter()
        .map(|file| (file.name.as_str(), file.text.as_str()))
        .collect();
    bed.databases(&files)
}

async fn up(bed: &Bed, folder: &Path, reach: Reach) {
    let mut done = Vec::new();
    databases(bed, folder)
        .migrate_up(&fence(1), &main_db(), reach, false, &options(), &mut done)
        .await
        .unwrap();
}

async fn only_what_is_applied_whole_and_unchanged_is_settled(bed: &Bed) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for file in FILES.into_iter().chain([VIEW]) {
        write(folder, file);
    }
    assert!(!settled(bed, folder).await, "there is no history yet");
    up(bed, folder, Reach::Steps(2)).await;
    assert!(!settled(bed, folder).await, "some are pending");
    up(bed, folder, Reach::All).await;
    assert!(settled(bed, folder).await);

    // Nothing else than these files, byte for byte.
    for (name, text) in FILES.into_iter().chain([VIEW]) {
        let is_up = !name.contains(".down.") && !name.starts_with('U');
        fs::remove_file(folder.join(name)).unwrap();
        assert!(!settled(bed, folder).await, "{name} is gone");
        write(folder, (name, &format!("{text} ")));
        assert_eq!(settled(bed, folder).await, !is_up, "{name} has another byte");
        write(folder, (name, text));
    }
    for name in [
        "010_new.up.sql",
        "010_new.down.sql",
        "new.sql",
        "011_orphan.down.sql",
        "R__b.sql",
    ] {
        write(folder, (name, "-- cutover: phase=expand\nSELECT 1"));
        assert!(!settled(bed, folder).await, "{name} is there as well");
        fs::remove_file(folder.join(name)).unwrap();
    }
    assert!(settled(bed, folder).await);

    // Applied, and to run once more.
    let databases = databases(bed, folder);
    let pending = databases.pending(&main_db(), Reach::All, false).await.unwrap();
    assert!(pending.run.is_empty() && pending.waiting.is_empty());
    let known = read_folder(folder).unwrap();
    let url: cutover_db::DatabaseUrl = bed.url.parse().unwrap();
    let known = cutover_migrate::from_files(&main_db(), &known, url.dialect()).unwrap();
    databases.reopen(&fence(1), &known[1].migration).await.unwrap();
    assert!(!settled(bed, folder).await, "the backfill is to run once more");
    up(bed, folder, Reach::All).await;
    assert!(settled(bed, folder).await);
}

on_all!(only_what_is_applied_whole_and_unchanged_is_settled);

#[tokio::test]
async fn to_look_makes_no_database_and_one_that_is_not_reached_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let bed = bed(Kind::Sqlite).await.unwrap();
    assert!(!settled(&bed, folder.path()).await);
    let path = bed.url.strip_prefix("sqlite:").unwrap();
    assert!(!Path::new(path).exists());
    let url = "postgres://nobody@127.0.0.1:1/none".parse().unwrap();
    let error = is_settled(&main_db(), &url, folder.path().to_owned()).await;
    assert_eq!(error.unwrap_err().diagnostic.code, "db.unreachable");
}
