//! A supervisor that is killed loses nothing.

use cutover_model::InstanceState;
use cutover_os::{PidFd, ProcessIdentity, Signal};
use cutover_ports::Target;

use crate::world::{World, eventually, fence, get, kill, pid_of, probe};

#[tokio::test]
async fn instances_live_on_and_are_adopted() {
    let world = World::new();
    let mut spec = world.server("api@1.0.0#aa");
    spec.health.readiness = Some(probe("/ready"));
    world.target.ensure(&fence(1), &spec, 2).await.unwrap();
    let before = world.ready(2).await;
    let mut pids = Vec::new();
    for instance in &before {
        pids.push(pid_of(instance).await);
    }
    world.kill_supervisor().await;
    for instance in &before {
        let address = instance.address.as_deref().unwrap();
        assert!(get(address, "/ready").await.is_ok());
    }
    // The very first answer of the next supervisor: ready since the same moment, never started again.
    assert_eq!(world.instances().await, before);
    for (instance, pid) in before.iter().zip(&pids) {
        assert_eq!(pid_of(instance).await, *pid);
    }
    // What was adopted is watched, started again, and ended like a child of its own.
    world.order("ready", "500 broken");
    world
        .until("probes count", async |all| {
            all.iter().all(|i| i.state == InstanceState::NotReady)
        })
        .await;
    world.order("ready", "200 fine");
    kill(pids[0]).await;
    let after = world
        .until("it is started again", async |all| {
            all.iter()
                .any(|i| i.id == before[0].id && i.restarts == 1 && i.is_ready())
        })
        .await;
    let again = after.iter().find(|i| i.id == before[0].id).unwrap();
    assert_eq!(again.address, before[0].address);
    let identity = ProcessIdentity::of(pids[1]).unwrap();
    world.target.remove(&fence(1), &before[1].id).await.unwrap();
    assert!(!identity.is_alive());
    assert_eq!(world.instances().await.len(), 1);
}

#[tokio::test]
async fn what_died_meanwhile_is_started_again_and_its_rest_is_ended() {
    let world = World::new();
    let rest = world.path("rest");
    let script = format!("sleep 600 & echo $! > {}", rest.display());
    let spec = world.server_after("api@1.0.0#aa", &script);
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let before = world.ready(1).await.remove(0);
    let sleeper = std::fs::read_to_string(&rest).unwrap();
    let sleeper = ProcessIdentity::of(sleeper.trim().parse().unwrap()).unwrap();
    let pid = pid_of(&before).await;
    world.kill_supervisor().await;
    kill(pid).await;
    assert!(sleeper.is_alive());
    let after = world
        .until("it is started again", async |all| {
            all[0].is_ready() && all[0].restarts == 1
        })
        .await
        .remove(0);
    assert_eq!((after.id, after.address), (before.id, before.address));
    assert!(!sleeper.is_alive());
}

#[tokio::test]
async fn a_child_that_was_never_written_down_is_found_by_its_mark() {
    let world = World::new();
    let spec = world.server("api@1.0.0#aa");
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let before = world.ready(1).await.remove(0);
    let pid = pid_of(&before).await;
    world.kill_supervisor().await;
    // As if it had been killed between the start and the record of it.
    let path = world.state_dir().join("supervisor/state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let record = &mut state["instances"][before.id.as_str()];
    assert_eq!(record["process"]["pid"], pid);
    record["process"] = serde_json::Value::Null;
    record["readySince"] = serde_json::Value::Null;
    std::fs::write(&path, state.to_string()).unwrap();
    let after = world.ready(1).await.remove(0);
    assert_eq!(pid_of(&after).await, pid);
    assert_eq!(after.restarts, 0);
}

#[tokio::test]
async fn after_a_reboot_everything_is_started_again() {
    let world = World::new();
    let spec = world.server("api@1.0.0#aa");
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let before = world.ready(1).await.remove(0);
    let pid = pid_of(&before).await;
    world.kill_supervisor().await;
    kill(pid).await;
    let path = world.state_dir().join("supervisor/state.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let boot = cutover_os::boot_id().unwrap();
    assert!(text.contains(&boot));
    std::fs::write(&path, text.replace(&boot, "an-earlier-boot")).unwrap();
    let after = world.ready(1).await.remove(0);
    assert_eq!((after.id, after.address), (before.id, before.address));
    assert_eq!(after.restarts, 0, "a reboot is no crash");
}

#[tokio::test]
async fn a_removal_outlives_the_supervisor() {
    let world = World::new();
    let mut spec = world.server_after("api@1.0.0#aa", "trap '' TERM");
    crate::world::process(&mut spec).stop_grace = cutover_model::Span::from_secs(1);
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let instance = world.ready(1).await.remove(0);
    let identity = ProcessIdentity::of(pid_of(&instance).await).unwrap();
    let fence = fence(1);
    let kill = async {
        world.until_state(|state| *state == InstanceState::Stopping).await;
        world.kill_supervisor().await;
    };
    let (removed, ()) = tokio::join!(world.target.remove(&fence, &instance.id), kill);
    removed.unwrap();
    assert!(!identity.is_alive());
    assert!(world.instances().await.is_empty());
}

#[tokio::test]
async fn a_supervisor_that_is_asked_to_go_leaves_its_children() {
    let world = World::new();
    let spec = world.server("api@1.0.0#aa");
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let before = world.ready(1).await;
    let hello = world.target.running().await.unwrap().unwrap();
    let supervisor = ProcessIdentity::of(hello.pid).unwrap();
    let handle = PidFd::open(&supervisor).unwrap();
    handle.signal(Signal::SIGTERM).unwrap();
    eventually("it goes", async || !supervisor.is_alive()).await;
    assert!(!world.state_dir().join("supervisor/socket").exists());
    assert_eq!(world.instances().await, before);
}
