//! The access log: what is in a line, and what never is.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cutover_model::RoutePolicy;
use cutover_proxy::{HoldRequest, ReleaseRequest};
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use tokio::net::unix::pipe::OpenOptions;
use tokio::time::Instant;

use crate::http2::Caller;
use crate::instance::Instance;
use crate::rig::{Rig, STABLE, eventually, publish, table};
use crate::visitor::Visitor;

fn policy(path: &Path, percentage: u8) -> RoutePolicy {
    let text = serde_json::json!({"accessLog": {"path": path, "percentage": percentage}});
    serde_json::from_value(text).unwrap()
}

/// Sends everything to one instance, and that share of what goes well to a file.
async fn logged(rig: &Rig, instance: &Instance, percentage: u8) -> PathBuf {
    let path = rig.folder.path().join("access.log");
    let policy = policy(&path, percentage);
    rig.route_by(policy, &[(STABLE, 10_000, &[instance.addr])]).await;
    path
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn await_lines(path: &Path, count: usize) -> Vec<Value> {
    eventually("the lines are written", || async { lines(path).len() >= count }).await;
    let found = lines(path);
    assert_eq!(found.len(), count, "{found:?}");
    found
}

#[tokio::test]
async fn what_cannot_be_parsed_has_a_line_too() {
    let instance = Instance::start("one");
    let rig = Rig::start();
    let path = logged(&rig, &instance, 0).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor
        .send(b"GET /hush6  HTTP/1.1\r\nHost: hush7\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(visitor.answer().await.unwrap().status, 400);
    let line = &await_lines(&path, 1).await[0];
    assert_eq!(
        (&line["status"], &line["client"]),
        (&400.into(), &"127.0.0.1".into()),
        "{line}"
    );
    assert!(
        line.get("method").is_none() && !line.to_string().contains("hush"),
        "{line}"
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_line_says_who_asked_and_who_answered_and_keeps_secrets_to_itself() {
    let instance = Instance::start("one");
    let rig = Rig::start();
    let path = logged(&rig, &instance, 100).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let request = "GET /cart?token=hush1 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: test/1\r\nAuthorization: Bearer \
                   hush2\r\nCookie: session=hush3\r\n\r\n";
    visitor.send(request.as_bytes()).await.unwrap();
    assert_eq!(visitor.answer().await.unwrap().body, "one");
    visitor
        .send(b"GET / HTTP/1.1\r\nHost: u:hush4@a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(visitor.answer().await.unwrap().status, 400);
    let (mut caller, _) = Caller::connect(rig.addr).await;
    let request = Request::get("http://u:hush5@a/").body(Full::default()).unwrap();
    assert_eq!(caller.send(request).await.unwrap().0, 400);
    let found = await_lines(&path, 3).await;
    let line = &found[0];
    for (key, value) in [
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("path", "/cart"),
        ("host", "shop.test"),
        ("userAgent", "test/1"),
        ("revision", STABLE),
        ("protocol", "HTTP/1.1"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(
        (&line["status"], &line["answerBytes"]),
        (&200.into(), &3.into()),
        "{line}"
    );
    assert_eq!(line["attempts"], 1);
    for refused in &found[1..] {
        assert_eq!(refused["status"], 400);
        assert!(refused["revision"].is_null(), "nobody was asked");
        assert!(refused["host"].is_null(), "what is no host may be a secret");
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hush"), "{text}");
    let stats = rig.client.stats().await.unwrap();
    let counted = stats.routes[0].access_log.unwrap();
    assert_eq!((counted.written, counted.dropped), (3, 0));
    rig.stop().await;
}

#[tokio::test]
async fn the_trace_is_the_one_that_the_instance_is_told() {
    let instance = Instance::start("one");
    let rig = Rig::start();
    let path = logged(&rig, &instance, 100).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let given = "4bf92f3577b34da6a3ce929d0e0e4736";
    let valid = format!("traceparent: 00-{given}-00f067aa0ba902b7-01\r\n");
    let mut told = Vec::new();
    for field in [valid.as_str(), "", "traceparent: 00-mine-00f067aa0ba902b7-01\r\n"] {
        let request = format!("GET /fields HTTP/1.1\r\nHost: a.test\r\n{field}\r\n");
        visitor.send(request.as_bytes()).await.unwrap();
        let fields = visitor.answer().await.unwrap().body;
        let (_, trace) = fields.split_once("\"00-").unwrap();
        told.push(trace[..32].to_owned());
    }
    let found = await_lines(&path, 3).await;
    let logged: Vec<_> = found.iter().map(|line| line["trace"].as_str().unwrap()).collect();
    assert_eq!(logged, told);
    assert_eq!(logged[0], given);
    rig.stop().await;
}

#[tokio::test]
async fn of_what_goes_well_a_part_is_logged_and_of_what_fails_everything() {
    let instance = Instance::start("one");
    let rig = Rig::start_with(|options| options.limits.connect_patience = Duration::from_millis(1));
    let path = logged(&rig, &instance, 0).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..20 {
        assert_eq!(visitor.get("/").await.unwrap().status, 200);
    }
    drop(instance);
    assert_eq!(visitor.get("/gone").await.unwrap().status, 502);
    let found = await_lines(&path, 1).await;
    assert_eq!(
        (&found[0]["status"], &found[0]["path"]),
        (&502.into(), &"/gone".into())
    );
    assert_eq!(found[0]["revision"], STABLE);
    rig.stop().await;
}

#[tokio::test]
async fn the_time_that_a_request_was_held_is_part_of_its_time() {
    let instance = Instance::start("one");
    let rig = Rig::start();
    let path = logged(&rig, &instance, 100).await;
    rig.client.hold(&HoldRequest::default()).await.unwrap();
    let addr = rig.addr;
    let visit = tokio::spawn(async move { Visitor::connect(addr).await.unwrap().get("/").await.unwrap() });
    eventually("the request is held", || async {
        rig.client.stats().await.unwrap().routes[0].held == 1
    })
    .await;
    let waits = Instant::now();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waited = waits.elapsed();
    rig.client.release(&ReleaseRequest::default()).await.unwrap();
    assert_eq!(visit.await.unwrap().status, 200);
    let line = &await_lines(&path, 1).await[0];
    let took = Duration::from_micros(line["tookUs"].as_u64().unwrap());
    assert!(took >= waited, "{took:?} of at least {waited:?}");
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused_before_anything_changes() {
    let instance = Instance::start("one");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let mut with_log = table(rig.addr, &[(STABLE, 10_000, &[instance.addr])]);
    with_log.services[0].policy = policy(&rig.folder.path().join("no/such/folder.log"), 100);
    let now = rig.client.table().await.unwrap();
    let request = cutover_proxy::PublishRequest {
        fence: now.fence.clone().unwrap(),
        expected_serial: now.serial,
        adopt: false,
        table: with_log,
    };
    let error = rig.client.publish(&request).await.unwrap_err();
    assert!(format!("{error:?}").contains("cannot be written"), "{error:?}");
    assert_eq!(rig.client.table().await.unwrap(), now);
    publish(&rig.client, now.table).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_stop_waits_for_the_last_lines_but_not_for_ever() {
    let instance = Instance::start("one");
    let rig = Rig::start();
    let path = rig.folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Nobody reads, and it is full: a disk that hangs.
    let pipe = OpenOptions::new().read_write(true).open_sender(&path).unwrap();
    pipe.writable().await.unwrap();
    while pipe.try_write(&[b' '; 4096]).is_ok() {}
    rig.route_by(policy(&path, 100), &[(STABLE, 10_000, &[instance.addr])])
        .await;
    assert_eq!(
        Visitor::connect(rig.addr)
            .await
            .unwrap()
            .get("/")
            .await
            .unwrap()
            .status,
        200
    );
    let stops = Instant::now();
    rig.stop().await;
    let took = stops.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn routes_with_one_file_count_their_own_lines() {
    let instance = Instance::start("one");
    let rig = Rig::start();
    let path = rig.folder.path().join("access.log");
    let listener = cutover_os::bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    rig.client.add_listeners(&[listener.as_fd()]).await.unwrap();
    let mut both = table(rig.addr, &[(STABLE, 10_000, &[instance.addr])]);
    both.services
        .extend(table(addr, &[("web@1.0.0#aaaaaa", 10_000, &[instance.addr])]).services);
    both.services[1].service = "web".parse().unwrap();
    for route in &mut both.services {
        route.policy = policy(&path, 100);
    }
    // The second time the counters go on.
    for round in 1..=2 {
        publish(&rig.client, both.clone()).await;
        for addr in [rig.addr, rig.addr, addr] {
            let mut visitor = Visitor::connect(addr).await.unwrap();
            assert_eq!(visitor.get("/").await.unwrap().status, 200);
        }
        await_lines(&path, round * 3).await;
        eventually("each counts its own", || async {
            let stats = rig.client.stats().await.unwrap();
            let written = stats.routes.iter().map(|route| route.access_log.unwrap().written);
            written.eq([round as u64 * 2, round as u64])
        })
        .await;
    }
    rig.stop().await;
}
