//! Sockets that outlive the sidecar that serves on them, and the supervisor that holds them.

use std::net::TcpListener;

use cutover_model::Span;
use cutover_ports::Target;
use cutover_target_process::{SidecarSpec, SidecarStatus};

use crate::world::{World, eventually, fence, get, kill, server_command};

pub(crate) fn sidecar(world: &World, listen: &[&str]) -> SidecarSpec {
    SidecarSpec {
        name: "proxy".to_owned(),
        command: server_command(),
        listen: listen.iter().map(|text| (*text).to_owned()).collect(),
        environment: world.server_environment(),
        log_file: None,
        stop_grace: Span::from_secs(5),
    }
}

pub(crate) fn address() -> String {
    format!("127.0.0.1:{}", cutover_testkit::free_port())
}

pub(crate) async fn status(world: &World) -> SidecarStatus {
    let mut all = world.target.sidecars().await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

pub(crate) async fn pid_at(address: &str) -> u32 {
    get(address, "/pid").await.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_killed_sidecar_serves_again_on_the_same_socket_and_loses_no_connection() {
    let world = World::new();
    let address = address();
    let spec = sidecar(&world, &[&address]);
    let started = world.target.ensure_sidecar(&fence(1), &spec).await.unwrap();
    assert!(started.must_bind().is_empty() && started.listeners[0].held);
    let first = pid_at(&address).await;
    assert_eq!(started.pid, Some(first));
    for round in 1..=3 {
        let pid = pid_at(&address).await;
        kill(pid).await;
        // Nobody accepts now or hardly so; the connection waits in the socket.
        let again = pid_at(&address).await;
        assert_ne!(again, pid, "round {round}");
    }
    eventually("three restarts are told", async || {
        status(&world).await.restarts == 3
    })
    .await;
    assert_eq!(
        status(&world).await.last_failure.as_deref(),
        Some("ended by SIGKILL")
    );
    // The same once more changes nothing.
    let pid = pid_at(&address).await;
    let same = world.target.ensure_sidecar(&fence(1), &spec).await.unwrap();
    assert_eq!(same.pid, Some(pid));
    world.target.stop_sidecar(&fence(1), "proxy").await.unwrap();
    TcpListener::bind(&address).unwrap();
    world.target.stop_sidecar(&fence(1), "proxy").await.unwrap();
    assert!(world.target.sidecars().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_socket_also_survives_the_supervisor() {
    let world = World::new();
    let address = address();
    let spec = sidecar(&world, &[&address]);
    world.target.ensure_sidecar(&fence(1), &spec).await.unwrap();
    let pid = pid_at(&address).await;
    world.kill_supervisor().await;
    assert_eq!(pid_at(&address).await, pid);
    let adopted = status(&world).await;
    assert_eq!((adopted.pid, adopted.restarts), (Some(pid), 0));
    assert!(adopted.listeners[0].held, "{adopted:?}");
    // Its sidecar dies under the second supervisor: still no connection is refused.
    kill(pid).await;
    assert_ne!(pid_at(&address).await, pid);
    // And both at once.
    let pid = pid_at(&address).await;
    world.kill_supervisor().await;
    kill(pid).await;
    world.target.ping().await.unwrap();
    assert_ne!(pid_at(&address).await, pid);
}

#[tokio::test]
async fn an_address_that_is_added_is_bound_by_the_sidecar_and_held_from_then_on() {
    let world = World::new();
    let (first, second) = (address(), address());
    let spec = sidecar(&world, &[&first]);
    // What it binds besides, once it is told of it.
    world.target.ensure_sidecar(&fence(1), &spec).await.unwrap();
    let pid = pid_at(&first).await;
    let more = sidecar(&world, &[&first, &second]);
    let told = world.target.ensure_sidecar(&fence(1), &more).await.unwrap();
    assert_eq!(told.pid, Some(pid), "it is not restarted");
    assert_eq!(told.must_bind(), [second.as_str()]);
    // The next start gets both from the supervisor.
    kill(pid).await;
    assert_ne!(pid_at(&first).await, pid);
    assert_eq!(pid_at(&second).await, pid_at(&first).await);
    assert!(status(&world).await.must_bind().is_empty());
}

#[tokio::test]
async fn a_socket_that_the_sidecar_bound_itself_is_taken_over() {
    let world = World::new();
    let (first, second) = (address(), address());
    world.order("bind", &second);
    let spec = sidecar(&world, &[&first]);
    world.target.ensure_sidecar(&fence(1), &spec).await.unwrap();
    eventually("it binds", async || get(&second, "/pid").await.is_ok()).await;
    let pid = pid_at(&second).await;
    std::fs::remove_file(world.path("orders/bind")).unwrap();
    let more = sidecar(&world, &[&first, &second]);
    world.target.ensure_sidecar(&fence(1), &more).await.unwrap();
    eventually("the supervisor holds it", async || {
        status(&world).await.listeners.iter().all(|l| l.held)
    })
    .await;
    kill(pid).await;
    assert_ne!(pid_at(&second).await, pid);
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_leaves_nothing() {
    let world = World::new();
    let address = address();
    let stranger = TcpListener::bind(&address).unwrap();
    let spec = sidecar(&world, &[&address]);
    let ensure = async |spec| world.target.ensure_sidecar(&fence(1), spec).await;
    let error = ensure(&spec).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "target.address-in-use");
    let me = format!("pid {}", std::process::id());
    assert!(error.diagnostic.notes[0].1.contains(&me), "{error:?}");
    drop(stranger);
    let mut wrong = spec.clone();
    wrong.command = vec!["/nonexistent/program".to_owned()];
    let error = loop {
        let error = ensure(&wrong).await.unwrap_err();
        // A child that another test is starting has a copy of the socket until it is another program.
        if error.diagnostic.code != "target.address-in-use" {
            break error;
        }
    };
    assert_eq!(error.diagnostic.code, "target.start-failed");
    let mut wrong = spec.clone();
    wrong.listen = vec!["127.0.0.1:0".to_owned()];
    let error = ensure(&wrong).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "target.bad-address");
    assert!(world.target.sidecars().await.unwrap().is_empty());
    // The address is free again.
    ensure(&spec).await.unwrap();
    let stale = world.target.ensure_sidecar(&fence(0), &spec).await;
    assert!(stale.unwrap_err().is_stale());
    let stale = world.target.stop_sidecar(&fence(0), "proxy").await;
    assert!(stale.unwrap_err().is_stale());
    // Sidecars and instances know nothing of each other.
    assert!(world.target.observe().await.unwrap().is_empty());
}
