//! Start, look, end.

use std::collections::BTreeMap;
use std::time::Instant;

use cutover_model::{InstanceState, Slot, Span, Track};
use cutover_os::ProcessIdentity;
use cutover_ports::{InstanceMetrics, Target};

use crate::world::{World, eventually, fence, get, pid_of, process};

#[tokio::test]
async fn nothing_runs_until_something_is_wanted() {
    let world = World::new();
    assert!(world.instances().await.is_empty());
    assert!(world.target.sidecars().await.unwrap().is_empty());
    assert!(world.target.running().await.unwrap().is_none());
    assert!(!world.state_dir().exists());
}

#[tokio::test]
async fn instances_start_become_ready_and_are_removed() {
    let world = World::new();
    let mut spec = world.server("api@1.1.0#3fa29c");
    spec.environment.insert("OWN".to_owned(), "value".to_owned());
    spec.track = Track::Candidate;
    spec.slot = Some(Slot::Green);
    world.target.ensure(&fence(1), &spec, 2).await.unwrap();
    let all = world.ready(2).await;
    let range = world.ports.first..=world.ports.last;
    let port = |address: &str| address.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let ports: Vec<u16> = all.iter().map(|i| port(i.address.as_deref().unwrap())).collect();
    assert!(ports.iter().all(|port| range.contains(port)) && ports[0] != ports[1]);

    let text = get(all[0].address.as_deref().unwrap(), "/environment").await;
    let environment: BTreeMap<String, String> = serde_json::from_str(&text.unwrap()).unwrap();
    let mine = ports[0].to_string();
    for (name, value) in [
        ("PORT", mine.as_str()),
        ("HOST", "127.0.0.1"),
        ("VERSION", "1.1.0"),
        ("APP_VERSION", "1.1.0"),
        ("APP_ENVIRONMENT", "green"),
        ("TRACK", "candidate"),
        ("OWN", "value"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    // Cargo sets this for the test; an instance must not see what its caller had.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!environment.contains_key("CARGO_MANIFEST_DIR"));

    // Once more the same changes nothing; more adds; fewer removes none.
    world.target.ensure(&fence(1), &spec, 2).await.unwrap();
    assert_eq!(world.instances().await, all);
    world.target.ensure(&fence(1), &spec, 3).await.unwrap();
    world.ready(3).await;
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    assert_eq!(world.instances().await.len(), 3);

    let pid = pid_of(&all[0]).await;
    let identity = ProcessIdentity::of(pid).unwrap();
    world.target.remove(&fence(1), &all[0].id).await.unwrap();
    assert!(!identity.is_alive());
    let left = world.ready(2).await;
    assert!(left.iter().all(|instance| instance.id != all[0].id));
    // Gone already is fine.
    world.target.remove(&fence(1), &all[0].id).await.unwrap();
    // One that takes its place does not get its port at once.
    world.target.ensure(&fence(1), &spec, 3).await.unwrap();
    let again = world.ready(3).await;
    assert!(again.iter().all(|instance| instance.address != all[0].address));
    let log = world.target.instance_log(&all[1].revision, &all[1].id);
    assert!(std::fs::read_to_string(log).unwrap().contains("begins"));
}

#[tokio::test]
async fn the_whole_group_ends_also_what_ignores_sigterm() {
    let world = World::new();
    let pids = world.path("pids");
    // A shell that stays the leader, a server that ignores SIGTERM, and a grandchild.
    let script = format!(
        "trap '' TERM; sleep 600 & echo $! >> {0}; \"$0\" \"$@\" & echo $! >> {0}; wait; exit",
        pids.display()
    );
    let mut spec = world.server_after("api@1.0.0#aa", &script);
    process(&mut spec).stop_grace = Span::from_millis(300);
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let instance = world.ready(1).await.remove(0);
    let read = || {
        let text = std::fs::read_to_string(&pids).unwrap();
        text.lines()
            .map(|line| ProcessIdentity::of(line.parse().unwrap()).unwrap())
            .collect::<Vec<_>>()
    };
    let identities = read();
    assert_eq!(identities.len(), 2);
    let started = Instant::now();
    world.target.remove(&fence(1), &instance.id).await.unwrap();
    assert!(started.elapsed().as_millis() >= 300, "the grace was not given");
    assert!(identities.iter().all(|identity| !identity.is_alive()));
    assert!(world.instances().await.is_empty());
}

#[tokio::test]
async fn a_process_that_obeys_is_not_kept_waiting_and_is_seen_stopping_until_then() {
    let world = World::new();
    let mut slow = world.server("slow@1.0.0#aa");
    let script = "trap 'sleep 0.5; exit' TERM; \"$0\" \"$@\" & wait";
    let mut shell = world.server_after("x@1.0.0#aa", script);
    process(&mut slow).command = process(&mut shell).command.clone();
    process(&mut slow).stop_grace = Span::from_secs(600);
    world.target.ensure(&fence(1), &slow, 1).await.unwrap();
    let instance = world.ready(1).await.remove(0);
    let fence = fence(1);
    let remove = world.target.remove(&fence, &instance.id);
    let look = world.until_state(|state| *state == InstanceState::Stopping);
    let (removed, seen) = tokio::join!(remove, look);
    removed.unwrap();
    assert_eq!(seen.id, instance.id);
    eventually("it is forgotten", async || world.instances().await.is_empty()).await;
}

#[tokio::test]
async fn a_worker_without_a_port_is_ready_after_its_time() {
    let world = World::new();
    let mut spec = world.server("worker@1.0.0#aa");
    process(&mut spec).ports = None;
    process(&mut spec).command = ["sleep", "600"].map(str::to_owned).to_vec();
    spec.health.min_ready = Span::from_millis(400);
    let started = Instant::now();
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let instance = world.ready(1).await.remove(0);
    assert!(started.elapsed().as_millis() >= 400);
    assert_eq!(instance.address, None);
}

#[tokio::test]
async fn logs_are_rotated_under_the_writer() {
    let world = World::new();
    let spec = world.server("api@1.0.0#aa");
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let instance = world.ready(1).await.remove(0);
    let address = instance.address.as_deref().unwrap();
    let log = world.target.instance_log(&instance.revision, &instance.id);
    for _ in 0..4 {
        assert_eq!(get(address, "/noise").await.unwrap(), "done");
        eventually("the log is short again", async || {
            std::fs::metadata(&log).unwrap().len() <= 20_000
        })
        .await;
    }
    let name = |number: u32| format!("{}.{number}", log.display());
    assert!(std::path::Path::new(&name(1)).exists());
    assert!(std::path::Path::new(&name(2)).exists());
    assert!(!std::path::Path::new(&name(3)).exists());
}

#[tokio::test]
async fn what_instances_use_and_write_is_told() {
    let world = World::new();
    let spec = world.server("api@1.0.0#aa");
    let revision = &spec.revision;
    assert!(world.target.usage(revision).await.unwrap().is_empty());
    world.target.ensure(&fence(1), &spec, 2).await.unwrap();
    let instances = world.ready(2).await;
    let used = world.target.usage(revision).await.unwrap();
    assert_eq!(used.len(), 2);
    assert!(used.values().all(|usage| usage.memory_bytes > 50_000), "{used:?}");
    let other = "api@2.0.0#bb".parse().unwrap();
    assert!(world.target.usage(&other).await.unwrap().is_empty());

    let from = world.target.log_ends(revision).await.unwrap();
    assert_eq!(from.len(), 2);
    let address = instances[0].address.as_deref().unwrap();
    assert_eq!(get(address, "/noise").await.unwrap(), "done");
    let mut lines = 0;
    let mut count = |line: &str| lines += u32::from(line.contains("noise"));
    let ends = world.target.log_lines(revision, &from, &mut count).await.unwrap();
    assert_eq!(lines, 500);
    let mut again = |line: &str| panic!("{line} was read before");
    assert_eq!(
        world.target.log_lines(revision, &ends, &mut again).await.unwrap(),
        ends
    );
    eventually("its CPU time grows", async || {
        get(address, "/noise").await.unwrap();
        let now = world.target.usage(revision).await.unwrap();
        now[&instances[0].id].cpu_seconds > used[&instances[0].id].cpu_seconds
    })
    .await;
}

#[tokio::test]
async fn an_idle_supervisor_goes_and_comes_back() {
    let world = World::with_environment(&[("FIXTURE_IDLE_MS", "200")]);
    let first = world.target.ping().await.unwrap();
    eventually("it goes", async || {
        world.target.running().await.unwrap().is_none()
    })
    .await;
    let spec = world.server("api@1.0.0#aa");
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    world.ready(1).await;
    let second = world.target.ping().await.unwrap();
    assert_ne!(first.pid, second.pid);
}
