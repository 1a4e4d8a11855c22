//! The file: what of it survives, and what of it is refused.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cutover_model::{StoreId, UpgradePhase};
use cutover_ports::{Append, Promotion, Store, StoreError};
use cutover_store::{FORMAT, SqliteStore};
use rusqlite::Connection;
use support::*;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn raw(world: &World) -> Connection {
    Connection::open(world.path()).unwrap()
}

#[tokio::test]
async fn a_look_at_the_holder_takes_nothing() {
    let world = World::new();
    let (store, other) = (world.open(), world.open());
    assert_eq!(other.holder().await.unwrap(), None);
    let lease = take(&store).await;
    let (who, until) = other.holder().await.unwrap().unwrap();
    assert_eq!(until, lease.until);
    assert_ne!(who, holder(77));
    store.renew(&lease.fence, at(1), LENGTH).await.unwrap();
    store.release_lease(&lease.fence).await.unwrap();
    assert_eq!(other.holder().await.unwrap(), None);
}

#[tokio::test]
async fn folder_and_file_are_private() {
    let world = World::new();
    let store = world.open();
    take(&store).await;
    assert_eq!(mode(world.path().parent().unwrap()), 0o700);
    for entry in world.path().parent().unwrap().read_dir().unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    // One that came as a copy is made private when it is opened.
    drop(store);
    std::fs::set_permissions(world.path(), PermissionsExt::from_mode(0o644)).unwrap();
    world.open();
    assert_eq!(mode(&world.path()), 0o600);
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let world = World::new();
    let (records, lease) = {
        let store = world.open();
        let lease = take(&store).await;
        create(&store, &lease, "u1", "1.1.0").await;
        let events = [intent(1), done(1)];
        let append = write(1, &events, UpgradePhase::Running);
        store.append(Some(&lease.fence), &id("u1"), append).await.unwrap();
        (store.records(&id("u1"), 0).await.unwrap(), lease)
    };
    let store = SqliteStore::open(&world.path(), "production".parse().unwrap(), || {
        panic!("it has an identity")
    })
    .unwrap();
    assert_eq!(*store.id(), StoreId::new("store-1"));
    assert_eq!(store.records(&id("u1"), 0).await.unwrap(), records);
    assert!(take(&store).await.fence.generation > lease.fence.generation);
    let pragma = |name| raw(&world).pragma_query_value(None, name, |row| row.get::<_, String>(0));
    assert_eq!(pragma("journal_mode").unwrap(), "wal");
}

#[tokio::test]
async fn many_open_a_new_file_at_once_and_agree_on_its_identity() {
    let world = World::new();
    let path = world.path();
    let opened: Vec<_> = (0..8)
        .map(|n| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || {
                let new_id = || StoreId::new(format!("store-{n}"));
                let store = SqliteStore::open(&path, "production".parse().unwrap(), new_id).unwrap();
                store.id().clone()
            })
        })
        .collect();
    let mut ids = Vec::new();
    for task in opened {
        ids.push(task.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

/// What a machine that loses its process at this moment finds: the files as they are, nothing closed.
fn crash_image(of: &World) -> World {
    let image = World::new();
    let to = image.path().parent().unwrap().to_owned();
    std::fs::create_dir(&to).unwrap();
    for entry in of.path().parent().unwrap().read_dir().unwrap() {
        let entry = entry.unwrap();
        // The shared memory is not on the disk.
        if !entry.file_name().to_str().unwrap().ends_with("-shm") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    image
}

#[tokio::test]
async fn a_writer_that_dies_within_a_transaction_leaves_what_was_answered_and_nothing_else() {
    let world = World::new();
    let store = world.open();
    let lease = take(&store).await;
    create(&store, &lease, "u1", "1.1.0").await;
    let events = [intent(1)];
    let append = write(1, &events, UpgradePhase::Running);
    store.append(Some(&lease.fence), &id("u1"), append).await.unwrap();

    let dying = raw(&world);
    dying
        .execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE")
        .unwrap();
    for seq in 3..200 {
        let event = "x".repeat(2_000);
        dying
            .execute("INSERT INTO records VALUES (1, ?1, 'now', ?2)", (seq, event))
            .unwrap();
    }
    dying
        .execute_batch("UPDATE upgrades SET seq = 199, phase = 'Succeeded', open = 0")
        .unwrap();
    let image = crash_image(&world);
    drop(dying);

    for survivor in [image.open(), world.open()] {
        assert_eq!(survivor.records(&id("u1"), 0).await.unwrap().len(), 2);
        assert_eq!(
            survivor.upgrades(9).await.unwrap()[0].phase,
            UpgradePhase::Running
        );
        let lease = take(&survivor).await;
        let events = [done(1)];
        let append = write(2, &events, UpgradePhase::Running);
        survivor
            .append(Some(&lease.fence), &id("u1"), append)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let world = World::new();
    drop(world.open());
    raw(&world)
        .pragma_update(None, "user_version", FORMAT + 1)
        .unwrap();
    assert_eq!(code(world.try_open("production")), "store.newer-format");
    let version: u32 = raw(&world)
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, FORMAT + 1);
}

#[tokio::test]
async fn a_file_that_is_no_state_is_refused_and_left_alone() {
    let world = World::new();
    std::fs::create_dir_all(world.path().parent().unwrap()).unwrap();
    let text = "This is a letter to my grandmother, and longer than a header. ".repeat(20);
    std::fs::write(world.path(), &text).unwrap();
    assert_eq!(code(world.try_open("production")), "store.damaged");
    assert_eq!(std::fs::read_to_string(world.path()).unwrap(), text);

    std::fs::remove_file(world.path()).unwrap();
    raw(&world)
        .execute_batch("CREATE TABLE letters (text TEXT)")
        .unwrap();
    assert_eq!(code(world.try_open("production")), "store.foreign");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_said() {
    let world = World::new();
    std::fs::write(world.path().parent().unwrap(), "in the way").unwrap();
    assert_eq!(code(world.try_open("production")), "store.cannot-open");
}

async fn with_one_upgrade(world: &World) -> SqliteStore {
    let store = world.open();
    let lease = take(&store).await;
    create(&store, &lease, "u1", "1.1.0").await;
    let events = [intent(1), done(1)];
    let append = write(1, &events, UpgradePhase::Running);
    store.append(Some(&lease.fence), &id("u1"), append).await.unwrap();
    store
}

#[tokio::test]
async fn an_event_of_an_unknown_kind_is_an_error_and_an_unknown_field_is_not() {
    let world = World::new();
    let store = with_one_upgrade(&world).await;
    let set = |event: &str| {
        raw(&world)
            .execute("UPDATE records SET event = ?1 WHERE seq = 2", [event])
            .unwrap();
    };
    set(r#"{"type":"intent","step":1,"generation":1,"attempt":1,"mood":"good"}"#);
    assert_eq!(store.records(&id("u1"), 0).await.unwrap()[1].event, intent(1));
    set(r#"{"type":"teleported","step":1}"#);
    assert_eq!(code(store.records(&id("u1"), 0).await), "store.newer-format");
    set(r#"{"type":"int"#);
    assert_eq!(code(store.records(&id("u1"), 0).await), "store.damaged");
    // A phase that is not known here is no less a newer version's.
    raw(&world)
        .execute("UPDATE upgrades SET phase = 'Dreaming'", [])
        .unwrap();
    assert_eq!(code(store.upgrades(9).await), "store.newer-format");
}

#[tokio::test]
async fn a_journal_with_a_hole_is_not_folded() {
    for missing in [1, 2, 3] {
        let world = World::new();
        let store = with_one_upgrade(&world).await;
        raw(&world)
            .execute("DELETE FROM records WHERE seq = ?1", [missing])
            .unwrap();
        let Err(StoreError::Failed(diagnostic)) = store.records(&id("u1"), 0).await else {
            panic!("record {missing} is missing");
        };
        assert_eq!(diagnostic.code, "store.damaged");
        assert_eq!(
            diagnostic.message,
            format!("record {missing} of upgrade u1 is missing")
        );
        assert!(diagnostic.help.is_some());
    }
}

#[tokio::test]
async fn two_open_upgrades_are_impossible_in_the_file_itself() {
    let world = World::new();
    with_one_upgrade(&world).await;
    let second = raw(&world).execute(
        "INSERT INTO upgrades (id, environment, to_version, phase, open, seq, plan, created_at, updated_at)
         SELECT 'u2', environment, to_version, phase, open, seq, plan, created_at, updated_at FROM upgrades",
        [],
    );
    assert!(second.is_err());
}

#[tokio::test]
async fn what_succeeded_elsewhere_is_known() {
    let world = World::new();
    let store = world.open_in("staging");
    let lease = take(&store).await;
    create(&store, &lease, "u1", "1.1.0").await;
    let promotion = Promotion {
        release: release("1.1.0").id,
        version: version("1.1.0"),
    };
    let (staging, wanted) = ("staging".parse().unwrap(), version("1.1.0"));
    let production = world.open();
    let events = [done(9)];
    let append = Append {
        promotion: Some(&promotion),
        ..write(1, &events, UpgradePhase::Soaking)
    };
    store.append(Some(&lease.fence), &id("u1"), append).await.unwrap();
    assert!(
        !production.succeeded_in(&staging, &wanted).await.unwrap(),
        "it still soaks"
    );
    let events = [finished(UpgradePhase::Succeeded)];
    let append = write(2, &events, UpgradePhase::Succeeded);
    store.append(Some(&lease.fence), &id("u1"), append).await.unwrap();
    assert!(production.succeeded_in(&staging, &wanted).await.unwrap());
    assert!(
        !production
            .succeeded_in(&staging, &version("1.2.0"))
            .await
            .unwrap()
    );
    assert!(
        !production
            .succeeded_in(production.environment(), &wanted)
            .await
            .unwrap()
    );
    assert_eq!(production.environments().await.unwrap(), [staging]);
}
