//! What makes an instance ready, not ready, or started again.

use cutover_model::{Instance, InstanceState, Span};
use cutover_ports::Target;
use cutover_spec::{Degraded, Health};

use crate::world::{World, fence, get, kill, pid_of, probe, process};

#[tokio::test]
async fn readiness_rises_and_falls_with_the_answers() {
    let world = World::new();
    let mut spec = world.server("api@1.0.0#aa");
    spec.health.readiness = Some(probe("/ready"));
    world.order("ready", r#"503 {"status":"unhealthy"}"#);
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let unready = |all: &[Instance]| {
        all.first()
            .and_then(|one| one.unready.clone())
            .unwrap_or_default()
    };
    let says = async |words: &str| world.until(words, async |all| unready(all).contains(words)).await;
    says("503").await;
    world.order("ready", r#"200 {"status":"DOWN"}"#);
    says("DOWN").await;
    assert_eq!(world.only().await.state, InstanceState::Starting);
    world.order("ready", r#"200 {"status":"UP"}"#);
    let ready = world.ready(1).await.remove(0);
    assert_eq!(ready.unready, None);
    world.order("ready", "500 broken");
    let fallen = world.until_state(|state| *state == InstanceState::NotReady).await;
    assert_eq!(fallen.restarts, 0);
    assert!(fallen.unready.is_some_and(|why| why.contains("500")));
    assert!(fallen.since > ready.since);
    world.order("ready", "200 fine");
    world.ready(1).await;
}

#[tokio::test]
async fn degraded_counts_as_the_setting_says() {
    let world = World::new();
    world.order("ready", r#"200 {"status":"degraded"}"#);
    let mut spec = world.server("api@1.0.0#aa");
    spec.health.readiness = Some(probe("/ready"));
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let lenient = world.ready(1).await.remove(0);
    world.target.remove(&fence(1), &lenient.id).await.unwrap();

    spec.revision = "api@1.0.0#bb".parse().unwrap();
    spec.health.degraded = Degraded::NotReady;
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let starting = world.until_state(|state| *state == InstanceState::Starting).await;
    // It answers, and answers `degraded`; readiness needs another answer.
    let address = starting.address.unwrap();
    while get(&address, "/ready").await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.only().await.state, InstanceState::Starting);
    world.order("ready", r#"200 {"status":"ok"}"#);
    world.ready(1).await;
}

#[tokio::test]
async fn a_failed_liveness_probe_restarts_on_the_same_port() {
    let world = World::new();
    let mut spec = world.server("api@1.0.0#aa");
    spec.health = Health {
        readiness: Some(probe("/ready")),
        liveness: Some(probe("/live")),
        startup: Some(probe("/started")),
        ..Health::default()
    };
    // Time enough for a slow machine to start the server.
    spec.health.startup.as_mut().unwrap().failure_threshold = 1000;
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let before = world.ready(1).await.remove(0);
    let pid = pid_of(&before).await;
    world.order("live", "500 stuck");
    let crashed = world
        .until_state(|state| matches!(state, InstanceState::Crashed { .. }))
        .await;
    let InstanceState::Crashed { reason } = crashed.state else {
        unreachable!()
    };
    assert!(
        reason.starts_with("liveness probe /live failed 3 times in a row: answered 500"),
        "{reason}"
    );
    world.order("live", "200 fine");
    let after = world
        .until("it is ready again", async |all| {
            all[0].is_ready() && all[0].restarts > 0
        })
        .await
        .remove(0);
    assert_eq!((&after.id, &after.address), (&before.id, &before.address));
    assert_ne!(pid_of(&after).await, pid);
}

#[tokio::test]
async fn until_startup_has_passed_nothing_else_counts() {
    let world = World::new();
    world.order("started", "503 loading");
    world.order("live", "500 stuck");
    let mut spec = world.server("api@1.0.0#aa");
    spec.health = Health {
        liveness: Some(probe("/live")),
        startup: Some(probe("/started")),
        ..Health::default()
    };
    spec.health.startup.as_mut().unwrap().failure_threshold = 50;
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let crashed = world
        .until_state(|state| matches!(state, InstanceState::Crashed { .. }))
        .await;
    let InstanceState::Crashed { reason } = crashed.state else {
        unreachable!()
    };
    assert!(
        reason.starts_with("startup probe /started: answered 503"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_answer_from_a_stranger_on_the_port_does_not_count() {
    let world = World::new();
    // A process that never listens, on a port that somebody else takes after it was given out.
    let mut silent = world.server("silent@1.0.0#aa");
    process(&mut silent).command = ["sleep", "600"].map(str::to_owned).to_vec();
    silent.health.readiness = Some(probe("/ready"));
    world.target.ensure(&fence(1), &silent, 1).await.unwrap();
    let address = world.only().await.address.unwrap();
    let thief = std::net::TcpListener::bind(&address).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let thief = std::thread::spawn(move || {
        use std::io::Write;
        for stream in thief.incoming() {
            if stopped.load(std::sync::atomic::Ordering::SeqCst) {
                return;
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.unwrap().write_all(answer).unwrap();
        }
    });
    // One that began later, with the same probe, gets ready; the other one had at least as many chances.
    let mut other = world.server("other@1.0.0#aa");
    other.health.readiness = Some(probe("/ready"));
    world.target.ensure(&fence(1), &other, 1).await.unwrap();
    let state = |all: &[Instance], service: &str| {
        let found = all.iter().find(|i| i.revision.service.as_str() == service);
        found.unwrap().state.clone()
    };
    let all = world
        .until("the other is ready", async |all| {
            state(all, "other") == InstanceState::Ready
        })
        .await;
    assert_eq!(state(&all, "silent"), InstanceState::Starting);
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    std::net::TcpStream::connect(&address).unwrap();
    thief.join().unwrap();
}

#[tokio::test]
async fn a_crash_is_told_with_its_last_words_and_without_secrets() {
    let world = World::new();
    let mut spec = world.server("api@1.0.0#aa");
    spec.health.min_ready = Span::ZERO;
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let before = world.ready(1).await.remove(0);
    let address = before.address.clone().unwrap();
    assert!(get(&address, "/crash").await.is_err());
    let crashed = world
        .until("the crash is told", async |all| match &all[0].state {
            InstanceState::Crashed { reason } => reason.contains("status 3"),
            _ => false,
        })
        .await
        .remove(0);
    let InstanceState::Crashed { reason } = crashed.state else {
        unreachable!()
    };
    assert_eq!(
        reason,
        "exited with status 3: cannot reach postgres://shop:***@db/shop"
    );
    let after = world.ready(1).await.remove(0);
    assert_eq!(after.address.as_deref(), Some(address.as_str()));
    assert_eq!((after.id, after.restarts), (before.id, 1));
}

#[tokio::test]
async fn a_killed_instance_comes_back_on_its_port() {
    let world = World::new();
    let spec = world.server("api@1.0.0#aa");
    world.target.ensure(&fence(1), &spec, 1).await.unwrap();
    let before = world.ready(1).await.remove(0);
    kill(pid_of(&before).await).await;
    let after = world
        .until("it is ready again", async |all| {
            all[0].is_ready() && all[0].restarts == 1
        })
        .await
        .remove(0);
    assert_eq!(after.address, before.address);
}
