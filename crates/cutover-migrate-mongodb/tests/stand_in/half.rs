//! Files that fail in the middle, up and down: what is recorded of them, how they go on, and what is refused meanwhile.

use cutover_migrate::{Direction, MigrationStatus, Reach};
use cutover_ports::Databases as _;

use crate::bed::{Bed, Files, bed, fence, main_db, note, options, read};

const UP: (&str, &str) = (
    "001_t.up.json",
    r#"[
  {"create": "t1"},
  {"create": "t2"},
  {"create": "t3"}
]"#,
);
/// Its second command fails while there is a document 7.
const DOWN: (&str, &str) = (
    "001_t.down.json",
    r#"[
  {"drop": "t3"},
  {"insert": "guard", "documents": [{"_id": 7}]},
  {"drop": "t1"},
  {"drop": "t2"}
]"#,
);

async fn guarded(bed: &Bed) {
    bed.run(r#"{"insert": "guard", "documents": [{"_id": 7}]}"#).await;
}

async fn status(bed: &Bed, files: Files<'_>) -> MigrationStatus {
    let lines = bed.databases(files).status(&main_db()).await.unwrap();
    lines[0].status.clone()
}

const fn interrupted(direction: Direction, done: usize, total: usize) -> MigrationStatus {
    MigrationStatus::Interrupted {
        direction,
        done,
        total: Some(total),
    }
}

#[tokio::test]
async fn a_way_down_that_fails_halfway_is_not_taken_for_applied() {
    let Some(bed) = bed() else { return };
    guarded(&bed).await;
    let files = [UP, DOWN];
    bed.up(&files).await.unwrap();
    let error = bed.down(&files, Reach::All).await.unwrap_err();
    assert!(note(&error.diagnostic, "state").starts_with("1 of 4 statements that take 001_t back are done"));
    assert_eq!(status(&bed, &files).await, interrupted(Direction::Down, 1, 4));

    let by_hand = bed.up(&files).await.unwrap_err();
    let migration = read(&files).unwrap()[0].migration.clone();
    let databases = bed.databases(&files);
    let by_upgrade = databases.up(&fence(1), &migration, &options()).await.unwrap_err();
    for refused in [by_hand, by_upgrade] {
        assert_eq!(refused.diagnostic.code, "migrate.half-taken-back", "{refused}");
    }
    assert!(!bed.collections().await.contains(&"t3".to_owned()));

    bed.run(r#"{"delete": "guard", "deletes": [{"q": {"_id": 7}, "limit": 1}]}"#)
        .await;
    bed.down(&files, Reach::All).await.unwrap();
    assert!(!bed.collections().await.contains(&"t1".to_owned()));
    bed.up(&files).await.unwrap();
    assert!(bed.collections().await.contains(&"t3".to_owned()));
}

#[tokio::test]
async fn a_way_down_that_fails_at_once_changes_no_record() {
    let Some(bed) = bed() else { return };
    guarded(&bed).await;
    let files = [
        UP,
        (
            "001_t.down.json",
            r#"[{"insert": "guard", "documents": [{"_id": 7}]}, {"drop": "t1"}]"#,
        ),
    ];
    bed.up(&files).await.unwrap();
    bed.down(&files, Reach::All).await.unwrap_err();
    assert_eq!(status(&bed, &files).await, MigrationStatus::Applied);
    assert!(bed.up(&files).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_command_in_the_middle_is_corrected_and_the_file_goes_on() {
    let Some(bed) = bed() else { return };
    guarded(&bed).await;
    let text = UP.1.replace(
        r#"{"create": "t3"}"#,
        r#"{"insert": "guard", "documents": [{"_id": 7}]}, {"create": "t3"}"#,
    );
    let text = format!("{{\"phase\": \"expand\", \"commands\": {text}}}");
    let files = [(UP.0, text.as_str()), DOWN];
    let error = bed.up(&files).await.unwrap_err();
    assert!(
        note(&error.diagnostic, "next").starts_with("correct 001_t.up.json from statement 3 on"),
        "{error}"
    );
    assert_eq!(status(&bed, &files).await, interrupted(Direction::Up, 2, 4));

    let first = text.replace("t1", "t0");
    let error = bed.up(&[(UP.0, first.as_str()), DOWN]).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.changed");
    assert!(error.diagnostic.message.starts_with("statement 1 of"), "{error}");

    let mended = text.replace("\"_id\": 7", "\"_id\": 8");
    let mended = [(UP.0, mended.as_str()), DOWN];
    bed.up(&mended).await.unwrap();
    assert!(bed.collections().await.contains(&"t3".to_owned()));
    assert_eq!(status(&bed, &mended).await, MigrationStatus::Applied);
    assert_eq!(bed.count("guard", "{}").await, 2);
}
