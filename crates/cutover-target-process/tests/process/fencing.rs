//! Who may write.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use cutover_model::{Fence, StoreId};
use cutover_ports::{Certainty, Target};

use crate::world::{World, fence};

#[tokio::test]
async fn older_generations_and_other_stores_are_refused_also_by_the_next_supervisor() {
    let world = World::new();
    let spec = world.server("api@1.0.0#aa");
    world.target.ensure(&fence(5), &spec, 1).await.unwrap();
    let instance = world.ready(1).await.remove(0);
    let foreign = Fence {
        store: StoreId::new("store-2"),
        ..fence(9)
    };
    for round in 0..2 {
        let stale = world.target.ensure(&fence(4), &spec, 2).await.unwrap_err();
        assert!(stale.is_stale(), "{stale:?}");
        assert_eq!(stale.certainty, Certainty::DefinitelyNot);
        let stale = world.target.remove(&fence(4), &instance.id).await;
        assert!(stale.unwrap_err().is_stale());
        let refused = world.target.ensure(&foreign, &spec, 2).await.unwrap_err();
        assert_eq!(refused.diagnostic.code, "fence.foreign-store");
        assert_eq!(world.instances().await.len(), 1);
        if round == 0 {
            world.kill_supervisor().await;
        }
    }
    assert_eq!(
        world.target.ping().await.unwrap().store,
        Some(StoreId::new("store-1"))
    );
    // The newest generation is the one that counts from its first write.
    world.target.ensure(&fence(6), &spec, 1).await.unwrap();
    let stale = world.target.ensure(&fence(5), &spec, 1).await.unwrap_err();
    assert!(stale.is_stale());
    // A person may say that another store takes over.
    world.target.adopt_store(&foreign).await.unwrap();
    world.target.ensure(&foreign, &spec, 1).await.unwrap();
    let refused = world.target.ensure(&fence(7), &spec, 1).await.unwrap_err();
    assert_eq!(refused.diagnostic.code, "fence.foreign-store");
    world.target.adopt_store(&fence(7)).await.unwrap();
}

#[tokio::test]
async fn the_socket_is_closed_to_others_and_nonsense_is_answered() {
    let world = World::new();
    let hello = world.target.ping().await.unwrap();
    let socket = world.state_dir().join("supervisor/socket");
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(socket.clone()), 0o600);
    assert_eq!(mode(world.state_dir().join("supervisor")), 0o700);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream
        .write_all(b"{\"what\":\"secret\"}\nnonsense\n\"observe\"\n")
        .unwrap();
    let lines: Vec<String> = BufReader::new(stream)
        .lines()
        .take(4)
        .map(Result::unwrap)
        .collect();
    assert!(lines[0].contains(&format!("\"pid\":{}", hello.pid)));
    assert!(lines[1].contains("target.protocol") && !lines[1].contains("secret"));
    assert!(lines[2].contains("target.protocol"));
    assert_eq!(lines[3], r#"{"instances":[]}"#);
}

#[tokio::test]
async fn a_shutdown_is_refused_while_something_runs() {
    let world = World::new();
    let spec = world.server("api@1.0.0#aa");
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let error = world.target.shutdown(false).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "target.in-use");
    world.ready(1).await;
    world.target.shutdown(true).await.unwrap();
    assert!(world.target.running().await.unwrap().is_none());
    assert!(world.instances().await.is_empty());
}
