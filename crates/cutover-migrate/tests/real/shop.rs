//! The example application's own migrations, from its releases, up and down.

use std::path::PathBuf;

use cutover_migrate::{MigrationStatus, Reach, read_folder};
use cutover_ports::Databases as _;

use crate::bed::{Kind, bed, fence, main_db, options};

async fn up_and_down(kind: Kind, engine: &str) {
    let Some(bed) = bed(kind).await else { return };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/shop/releases/1.1.0/migrations")
        .join(engine);
    let files = read_folder(&folder).unwrap();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|file| (file.name.as_str(), file.text.as_str()))
        .collect();
    let databases = bed.databases(&files);
    let mut done = Vec::new();
    let mut up = async |contracts, reach| {
        databases
            .migrate_up(&fence(1), &main_db(), reach, contracts, &options(), &mut done)
            .await
            .unwrap();
    };
    up(false, Reach::To(1)).await;
    bed.run("INSERT INTO users (first_name, last_name) VALUES ('Ada', 'Lovelace')")
        .await;
    up(false, Reach::All).await;
    assert_eq!(
        bed.number("SELECT count(*) FROM users WHERE full_name = 'Ada Lovelace'")
            .await,
        1
    );
    let lines = databases.status(&main_db()).await.unwrap();
    assert!(matches!(
        lines.last().unwrap().status,
        MigrationStatus::Waiting { .. }
    ));
    assert!(databases.check(&main_db()).await.is_empty());

    let mut back = Vec::new();
    databases
        .migrate_down(&fence(1), &main_db(), Reach::To(1), &options(), &mut back)
        .await
        .unwrap();
    assert!(
        bed.try_number("SELECT count(full_name) FROM users")
            .await
            .is_err()
    );
    up(true, Reach::All).await;
    assert!(
        bed.try_number("SELECT count(first_name) FROM users")
            .await
            .is_err()
    );
    let state = databases.observe(&main_db()).await.unwrap();
    assert_eq!(state.applied.len(), lines.len());
}

#[tokio::test]
async fn on_sqlite() {
    up_and_down(Kind::Sqlite, "sqlite").await;
}

#[tokio::test]
async fn on_postgres() {
    up_and_down(Kind::Postgres, "postgres").await;
}
