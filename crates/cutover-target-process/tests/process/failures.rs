//! Wrong programs, taken ports, broken state: each ends in a clear message.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use cutover_model::InstanceState;
use cutover_ports::{Certainty, PortError, RevisionSpec, Target};
use cutover_spec::PortRange;

use crate::world::{World, eventually, fence, process};

fn assert_refused(error: &PortError, code: &str, part: &str) {
    assert_eq!(error.diagnostic.code, code, "{error:?}");
    assert_eq!(error.certainty, Certainty::DefinitelyNot);
    assert!(error.to_string().contains(part), "{error}");
    assert!(error.diagnostic.help.is_some());
}

async fn refusal(world: &World, spec: &RevisionSpec) -> PortError {
    world.target.ensure(&fence(1), spec, 2).await.unwrap_err()
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named_at_once() {
    let world = World::new();
    let mut spec = world.server("api@1.0.0#aa");
    process(&mut spec).command = vec!["./releases/{version}/shop".to_owned()];
    let missing = world.path("releases/1.0.0/shop").display().to_string();
    assert_refused(&refusal(&world, &spec).await, "target.start-failed", &missing);

    std::fs::create_dir_all(world.path("releases/1.0.0")).unwrap();
    std::fs::write(&missing, "not a program").unwrap();
    let error = refusal(&world, &spec).await;
    assert_refused(&error, "target.start-failed", "is not executable");
    assert_eq!(
        error.diagnostic.help.as_deref(),
        Some(format!("chmod +x {missing}").as_str())
    );

    std::fs::set_permissions(&missing, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = refusal(&world, &spec).await;
    assert_refused(&error, "target.start-failed", "refused by the system");
    assert!(world.instances().await.is_empty(), "nothing was left behind");

    process(&mut spec).command = vec!["no-such-program".to_owned()];
    assert_refused(&refusal(&world, &spec).await, "target.start-failed", "PATH");
    process(&mut spec).command = vec!["sleep".to_owned()];
    process(&mut spec).directory = Some("none".to_owned());
    assert_refused(
        &refusal(&world, &spec).await,
        "target.start-failed",
        "no such folder",
    );
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_tried_again_and_again() {
    let world = World::new();
    let mut spec = world.server("api@1.0.0#aa");
    spec.environment
        .insert("FIXTURE_FAIL".to_owned(), "no database".to_owned());
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let instance = world
        .until("it was tried again", async |all| {
            all[0].restarts >= 2 && matches!(all[0].state, InstanceState::Crashed { .. })
        })
        .await
        .remove(0);
    eventually("the reason is told", async || {
        matches!(world.only().await.state,
            InstanceState::Crashed { reason } if reason == "exited with status 3: no database")
    })
    .await;
    world.target.remove(&fence(1), &instance.id).await.unwrap();
    assert!(world.instances().await.is_empty());
}

#[tokio::test]
async fn busy_ports_are_passed_over_and_named_when_none_is_left() {
    let world = World::new();
    let first = world.ports.first;
    let stranger = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let mut spec = world.server("api@1.0.0#aa");
    process(&mut spec).ports = Some(PortRange {
        first,
        last: first + 1,
    });
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let instance = world.ready(1).await.remove(0);
    assert_eq!(instance.address, Some(format!("127.0.0.1:{}", first + 1)));
    let error = world.target.ensure(&fence(1), &spec, 2).await.unwrap_err();
    assert_refused(&error, "target.no-free-port", &format!("{first}-"));
    let notes = &error.diagnostic.notes;
    let note = notes.iter().find(|(key, _)| *key == first.to_string());
    let me = format!("pid {}", std::process::id());
    assert!(note.unwrap().1.contains(&me), "{notes:?}");
    drop(stranger);
    world.target.ensure(&fence(1), &spec, 2).await.unwrap();
    world.ready(2).await;
}

#[tokio::test]
async fn a_port_that_is_taken_before_the_program_listens_is_left_to_whoever_has_it() {
    let world = World::new();
    let gate = world.path("go");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.02; done", gate.display());
    let spec = world.server_after("api@1.0.0#aa", &wait);
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let taken = world.only().await.address.unwrap();
    let stranger = TcpListener::bind(&taken).unwrap();
    std::fs::write(&gate, "").unwrap();
    let instance = world.ready(1).await.remove(0);
    assert_ne!(instance.address, Some(taken));
    drop(stranger);
}

#[tokio::test]
async fn a_supervisor_that_cannot_start_says_why() {
    let world = World::new();
    let folder = world.state_dir().join("supervisor");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("state.json"), r#"{"format":99}"#).unwrap();
    let error = world.target.ping().await.unwrap_err();
    assert_refused(&error, "supervisor.state-newer", "99");
    std::fs::write(folder.join("state.json"), "{").unwrap();
    let error = world.target.ping().await.unwrap_err();
    assert_refused(&error, "supervisor.state-damaged", "state.json");
    std::fs::remove_file(folder.join("state.json")).unwrap();
}

#[tokio::test]
async fn many_clients_start_one_supervisor() {
    let world = World::new();
    let clients: Vec<_> = (0..8).map(|_| world.another_client()).collect();
    let pings = clients.iter().map(|client| client.ping());
    let mut pids = Vec::new();
    for hello in futures_join(pings).await {
        pids.push(hello.unwrap().pid);
    }
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

/// All at once, on this task.
async fn futures_join<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut pending {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if pending.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}
