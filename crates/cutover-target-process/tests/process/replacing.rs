//! One process of a sidecar takes the place of another.

use cutover_ports::PortError;
use cutover_target_process::SidecarStatus;

use crate::sidecar::{address, pid_at, sidecar, status};
use crate::world::{World, eventually, fence, get, kill, server_command};

/// Any that changes nothing, to be told from a start without.
const ARGUMENT: &str = "--test-threads=1";

async fn replace(world: &World) -> Result<SidecarStatus, PortError> {
    let arguments = vec![ARGUMENT.to_owned()];
    world
        .target
        .replace_sidecar(&fence(1), "proxy", server_command(), arguments)
        .await
}

async fn started(world: &World) -> (String, u32) {
    let address = address();
    let spec = sidecar(world, &[&address]);
    let status = world.target.ensure_sidecar(&fence(1), &spec).await.unwrap();
    assert_eq!(pid_at(&address).await, status.pid.unwrap());
    (address, status.pid.unwrap())
}

fn is_gone(pid: u32) -> bool {
    cutover_os::ProcessIdentity::of(pid).is_err()
}

fn has_argument(pid: u32) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    String::from_utf8_lossy(&line).contains(ARGUMENT)
}

#[tokio::test]
async fn the_next_process_serves_on_the_same_socket_and_is_looked_after() {
    let world = World::new();
    let (address, mut last) = started(&world).await;
    for round in 0..3 {
        let told = replace(&world).await.unwrap();
        let next = told.pid.unwrap();
        assert_ne!(next, last, "round {round}");
        eventually("the old one is gone and nobody's zombie", async || is_gone(last)).await;
        assert_eq!(pid_at(&address).await, next);
        assert!(has_argument(next));
        last = next;
    }
    let now = status(&world).await;
    assert_eq!((now.pid, now.restarts), (Some(last), 0), "no restart is counted");
    world.kill_supervisor().await;
    assert_eq!(
        status(&world).await.pid,
        Some(last),
        "the next supervisor adopts it"
    );
    kill(last).await;
    let again = pid_at(&address).await;
    assert_ne!(again, last);
    assert!(!has_argument(again), "the arguments were for that start alone");
}

#[tokio::test]
async fn one_that_does_not_serve_changes_nothing() {
    let world = World::new();
    let (address, pid) = started(&world).await;
    world.order("next", "die");
    let error = replace(&world).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "target.not-replaced");
    assert!(
        error.diagnostic.message.contains("exited with status 4"),
        "{error:?}"
    );
    // Killed in the middle.
    world.order("next", "wait");
    let (replaced, ()) = tokio::join!(replace(&world), async {
        let waiting = world.path("orders/waiting");
        eventually("it waits", async || waiting.exists()).await;
        let next = async || std::fs::read_to_string(&waiting).ok()?.parse().ok();
        eventually("it says who it is", async || next().await.is_some()).await;
        kill(next().await.unwrap()).await;
    });
    let error = replaced.unwrap_err();
    assert!(error.diagnostic.message.contains("SIGKILL"), "{error:?}");
    let now = status(&world).await;
    assert_eq!((now.pid, now.restarts), (Some(pid), 0));
    assert_eq!(pid_at(&address).await, pid);
    let refused = async |generation, name: &str, program: Vec<String>| {
        let fence = fence(generation);
        let replaced = world.target.replace_sidecar(&fence, name, program, Vec::new());
        replaced.await.unwrap_err()
    };
    let wrong = refused(1, "proxy", vec!["/nonexistent/program".to_owned()]).await;
    assert_eq!(wrong.diagnostic.code, "target.start-failed");
    let nobody = refused(1, "other", server_command()).await;
    assert_eq!(nobody.diagnostic.code, "target.no-sidecar");
    assert!(refused(0, "proxy", server_command()).await.is_stale());
}

#[tokio::test]
async fn a_supervisor_that_is_killed_in_the_middle_is_no_obstacle() {
    let world = World::new();
    let (address, pid) = started(&world).await;
    world.order("next", "wait");
    let (replaced, ()) = tokio::join!(replace(&world), async {
        let waiting = world.path("orders/waiting");
        eventually("it waits", async || waiting.exists()).await;
        world.kill_supervisor().await;
    });
    replaced.unwrap_err();
    assert_eq!(status(&world).await.pid, Some(pid), "adopted as it was");
    std::fs::remove_file(world.path("orders/next")).unwrap();
    eventually("the other one takes over all the same", async || {
        status(&world).await.pid.is_some_and(|now| now != pid)
    })
    .await;
    let now = status(&world).await;
    // The one before finishes what it had accepted.
    eventually("the other one answers", async || {
        Some(pid_at(&address).await) == now.pid
    })
    .await;
    assert_eq!(now.restarts, 0);
    assert!(get(&address, "/").await.is_ok());
}
