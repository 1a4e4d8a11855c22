//! The proxy as a process of its own: killed, stopped, started again on the same socket.

use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cutover_os::{Grouping, PidFd, Signal, SpawnOptions};
use cutover_proxy::{Client, HoldRequest, ReleaseRequest};
use tempfile::TempDir;

use crate::instance::Instance;
use crate::rig::{CANDIDATE, STABLE, eventually, options, publish, table};
use crate::visitor::{PATIENCE, Visitor};

const FOLDER: &str = "PROXY_TEST_FOLDER";

const TAKE_OVER: &str = "PROXY_TEST_TAKE_OVER";

/// Not a test of its own: the body of the child process.
#[test]
fn proxy_process() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = PathBuf::from(folder);
        let mut options = cutover_proxy::ProxyOptions::new("shop", folder.clone(), folder.join("proxy.sock"));
        options.workers = Some(2);
        options.take_over = std::env::var_os(TAKE_OVER).is_some();
        cutover_proxy::run(options).unwrap();
    }
}

/// Where a process listens, whoever holds the socket, and its folder.
fn place() -> (TcpListener, SocketAddr, TempDir) {
    let listener = cutover_os::bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr, tempfile::tempdir().unwrap())
}

async fn start(listener: &TcpListener, folder: &TempDir) -> (Process, Client) {
    let child = spawn(listener, folder, false);
    let client = Client::new(options(folder).admin_socket);
    eventually("the proxy is ready", async || client.is_ready().await).await;
    (child, client)
}

/// One of a test that fails does not outlive it.
struct Process(PidFd);

impl Deref for Process {
    type Target = PidFd;

    fn deref(&self) -> &PidFd {
        &self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        drop(self.signal(Signal::SIGKILL));
    }
}

fn spawn(listener: &TcpListener, folder: &TempDir, take_over: bool) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "process::proxy_process", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if take_over {
        command.env(TAKE_OVER, "1");
    }
    let passed = SpawnOptions {
        listeners: vec![("api".to_owned(), listener.as_fd())],
        grouping: Grouping::OwnGroup,
        ready: None,
        kept: Vec::new(),
    };
    Process(cutover_os::spawn(&mut command, passed).unwrap())
}

/// The next process takes the place of the one that runs; returns when it has.
async fn upgrade(listener: &TcpListener, folder: &TempDir, client: &Client) -> Process {
    let before = client.stats().await.unwrap().epoch;
    let child = spawn(listener, folder, true);
    let taken = async || client.stats().await.is_ok_and(|stats| stats.epoch != before);
    eventually("it has taken over", taken).await;
    child
}

fn end(child: &Process, signal: Signal) {
    child.signal(signal).unwrap();
    assert!(child.wait_ended(PATIENCE).unwrap());
    child.reap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_comes_back_with_its_table_and_serves_who_waited() {
    let old = Instance::start("old");
    let (listener, addr, folder) = place();
    let (child, client) = start(&listener, &folder).await;
    publish(&client, table(addr, &[(STABLE, 10_000, &[old.addr])])).await;
    assert_eq!(
        Visitor::connect(addr).await.unwrap().get("/").await.unwrap().body,
        "old"
    );
    end(&child, Signal::SIGKILL);
    // Nobody accepts now: the connection waits in the socket, which the parent holds.
    let waiting = tokio::spawn(async move { Visitor::connect(addr).await.unwrap().get("/").await.unwrap() });
    let (child, client) = start(&listener, &folder).await;
    assert_eq!(waiting.await.unwrap().body, "old");
    assert_eq!(client.table().await.unwrap().serial, 1);
    end(&child, Signal::SIGTERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_asked_to_end_and_started_again_loses_no_request() {
    let old = Instance::start("old");
    let (listener, addr, folder) = place();
    let (mut child, client) = start(&listener, &folder).await;
    publish(&client, table(addr, &[(STABLE, 10_000, &[old.addr])])).await;
    let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let visits: Vec<_> = (0..8)
        .map(|_| {
            let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut visitor = Visitor::connect(addr).await.unwrap();
                while !stop.load(SeqCst) {
                    let answer = visitor.post("/echo", "x").await.unwrap();
                    assert_eq!(answer.body, "x");
                    sent.fetch_add(1, SeqCst);
                    if answer.closes() {
                        visitor = Visitor::connect(addr).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let more = sent.load(SeqCst) + 300;
        eventually("requests", async || sent.load(SeqCst) >= more).await;
        end(&child, Signal::SIGTERM);
        child = start(&listener, &folder).await.0;
    }
    stop.store(true, SeqCst);
    for visit in visits {
        visit.await.unwrap();
    }
    assert_eq!(old.writes.load(SeqCst), sent.load(SeqCst), "each write done once");
    end(&child, Signal::SIGTERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_upgrades_of_the_proxy_lose_no_request_and_no_publish() {
    let old = Instance::start("old");
    let new = Instance::start("new");
    let (listener, addr, folder) = place();
    let (mut child, client) = start(&listener, &folder).await;
    publish(&client, table(addr, &[(STABLE, 10_000, &[old.addr])])).await;
    let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let visits: Vec<_> = (0..8)
        .map(|n| {
            let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
            let keeps = n % 2 == 0;
            tokio::spawn(async move {
                let mut visitor = Visitor::connect(addr).await.unwrap();
                while !stop.load(SeqCst) {
                    let answer = visitor.post("/echo", "x").await.unwrap();
                    assert_eq!(answer.body, "x");
                    sent.fetch_add(1, SeqCst);
                    if answer.closes() || !keeps {
                        visitor = Visitor::connect(addr).await.unwrap();
                    }
                }
            })
        })
        .collect();
    // Somebody publishes all the while.
    let publishing = {
        let (stop, client) = (Arc::clone(&stop), client.clone());
        let (old, new) = ([old.addr], [new.addr]);
        tokio::spawn(async move {
            let mut published = 1;
            while !stop.load(SeqCst) {
                let share = if published % 2 == 0 { 5_000 } else { 0 };
                let table = table(addr, &[(STABLE, 10_000 - share, &old), (CANDIDATE, share, &new)]);
                published += 1;
                assert_eq!(publish(&client, table).await.serial, published, "each counts");
                tokio::task::yield_now().await;
            }
            published
        })
    };
    let mut ending = Vec::new();
    for _ in 0..20 {
        let more = sent.load(SeqCst) + 50;
        eventually("requests", async || sent.load(SeqCst) >= more).await;
        let next = upgrade(&listener, &folder, &client).await;
        ending.push(std::mem::replace(&mut child, next));
    }
    for process in ending {
        assert!(
            process.wait_ended(PATIENCE).unwrap(),
            "who is taken over from ends by itself"
        );
        assert_eq!(process.reap().unwrap(), Some(cutover_os::Exit::Code(0)));
    }
    stop.store(true, SeqCst);
    for visit in visits {
        visit.await.unwrap();
    }
    let published = publishing.await.unwrap();
    assert_eq!(client.table().await.unwrap().serial, published);
    let writes = old.writes.load(SeqCst) + new.writes.load(SeqCst);
    assert_eq!(writes, sent.load(SeqCst), "each write done once");
    eventually("nobody is left to be asked", async || {
        client.in_flight(None).await.unwrap();
        std::fs::read_dir(folder.path()).unwrap().count() == 3
    })
    .await;
    end(&child, Signal::SIGTERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_at_an_upgrade_is_counted_and_finishes_by_the_newest_table() {
    let old = Instance::start("old");
    let new = Instance::start("new");
    let (listener, addr, folder) = place();
    let (first, client) = start(&listener, &folder).await;
    publish(&client, table(addr, &[(STABLE, 10_000, &[old.addr])])).await;
    let held = tokio::spawn(async move { Visitor::connect(addr).await.unwrap().get("/hold").await.unwrap() });
    let stable = STABLE.parse().unwrap();
    let open = async || client.in_flight(Some(&stable)).await.unwrap().in_flight;
    eventually("it is open", async || open().await == 1).await;
    let second = upgrade(&listener, &folder, &client).await;
    assert_eq!(
        open().await,
        1,
        "the new process knows what is open in the old one"
    );
    let receipt = publish(
        &client,
        table(
            addr,
            &[(STABLE, 0, &[old.addr]), (CANDIDATE, 10_000, &[new.addr])],
        ),
    )
    .await;
    assert_eq!(receipt.serial, 2, "the serial goes on, and the fence with it");
    assert_eq!(client.table().await.unwrap().fence.unwrap().generation.0, 1);
    assert_eq!(
        Visitor::connect(addr).await.unwrap().get("/").await.unwrap().body,
        "new"
    );
    old.release();
    assert_eq!(held.await.unwrap().body, "old");
    assert!(first.wait_ended(PATIENCE).unwrap());
    first.reap().unwrap();
    eventually("it is over", async || open().await == 0).await;
    end(&second, Signal::SIGTERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_fails_changes_nothing() {
    let old = Instance::start("old");
    let (listener, addr, folder) = place();
    let (child, client) = start(&listener, &folder).await;
    publish(&client, table(addr, &[(STABLE, 10_000, &[old.addr])])).await;
    let path = folder.path().join("proxy-table.json");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "{").unwrap();
    let failed = spawn(&listener, &folder, true);
    assert!(failed.wait_ended(PATIENCE).unwrap());
    failed.reap().unwrap();
    std::fs::write(&path, whole).unwrap();
    assert_eq!(
        Visitor::connect(addr).await.unwrap().get("/").await.unwrap().body,
        "old"
    );
    // Publishes were held back for it, and are no more.
    assert_eq!(
        publish(&client, table(addr, &[(STABLE, 10_000, &[old.addr])]))
            .await
            .serial,
        2
    );
    end(&child, Signal::SIGTERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_outlives_the_process_and_is_passed_on_at_an_upgrade() {
    let old = Instance::start("old");
    let (listener, addr, folder) = place();
    let (first, client) = start(&listener, &folder).await;
    publish(&client, table(addr, &[(STABLE, 10_000, &[old.addr])])).await;
    client.hold(&HoldRequest::default()).await.unwrap();
    end(&first, Signal::SIGKILL);
    let (second, client) = start(&listener, &folder).await;
    let visit = || tokio::spawn(async move { Visitor::connect(addr).await.unwrap().get("/").await.unwrap() });
    let held = async || client.stats().await.unwrap().routes[0].held;
    let waits = visit();
    eventually("it is held by the next process", async || held().await == 1).await;
    let third = upgrade(&listener, &folder, &client).await;
    let waits_too = visit();
    eventually("it is held by the third", async || held().await == 1).await;
    assert!(!waits.is_finished() && !waits_too.is_finished());
    assert_eq!(old.requests.load(SeqCst), 0);
    client.release(&ReleaseRequest::default()).await.unwrap();
    for visit in [waits, waits_too] {
        assert_eq!(visit.await.unwrap().body, "old", "whichever process it waits in");
    }
    assert!(second.wait_ended(PATIENCE).unwrap());
    second.reap().unwrap();
    end(&third, Signal::SIGTERM);
    let (fourth, _) = start(&listener, &folder).await;
    assert_eq!(visit().await.unwrap().body, "old", "let go for good");
    end(&fourth, Signal::SIGTERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_and_a_release_reach_every_process_that_still_serves() {
    let old = Instance::start("old");
    let (listener, addr, folder) = place();
    let (mut last, client) = start(&listener, &folder).await;
    publish(&client, table(addr, &[(STABLE, 10_000, &[old.addr])])).await;
    let (mut visits, mut before) = (Vec::new(), Vec::new());
    for open in 1..=2 {
        let visit = async move { Visitor::connect(addr).await.unwrap().get("/hold").await.unwrap() };
        visits.push(tokio::spawn(visit));
        let is_open = async || client.in_flight(None).await.unwrap().in_flight == open;
        eventually("what each process serves is counted", is_open).await;
        let next = upgrade(&listener, &folder, &client).await;
        before.push(std::mem::replace(&mut last, next));
    }
    // Where processes are asked whose place was taken.
    let asked_at = || {
        let paths = std::fs::read_dir(folder.path()).unwrap();
        let paths = paths.map(|entry| entry.unwrap().path());
        let kept = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("proxy.sock.") && !name.ends_with(".fds")
        };
        paths.filter(kept).collect::<Vec<_>>()
    };
    let holding = async || {
        let mut holding = Vec::new();
        for path in asked_at() {
            holding.push(Client::new(path).stats().await.unwrap().routes[0].holding);
        }
        holding
    };
    client.hold(&HoldRequest::default()).await.unwrap();
    assert_eq!(holding().await, [true, true]);
    client.release(&ReleaseRequest::default()).await.unwrap();
    assert_eq!(holding().await, [false, false]);
    old.release();
    for visit in visits {
        assert_eq!(visit.await.unwrap().body, "old");
    }
    for process in before {
        assert!(process.wait_ended(PATIENCE).unwrap());
        process.reap().unwrap();
    }
    client.hold(&HoldRequest::default()).await.unwrap();
    assert_eq!(asked_at().len(), 0, "those before have ended and are forgotten");
    end(&last, Signal::SIGTERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_in_the_middle_ends_after_the_one_that_only_it_knows() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let (listener, addr, folder) = place();
    let (first, client) = start(&listener, &folder).await;
    publish(&client, table(addr, &[(STABLE, 10_000, &[old.addr])])).await;
    let visit = async move { Visitor::connect(addr).await.unwrap().get("/hold").await.unwrap() };
    let held = tokio::spawn(visit);
    let open = async || client.in_flight(None).await.unwrap().in_flight;
    eventually("the first serves one", async || open().await == 1).await;
    let second = upgrade(&listener, &folder, &client).await;
    let third = upgrade(&listener, &folder, &client).await;
    // The second serves nobody, and would have ended at once.
    assert_eq!(open().await, 1, "what the first serves is still counted");
    publish(&client, table(addr, &[(CANDIDATE, 10_000, &[new.addr])])).await;
    assert_eq!(open().await, 1);
    assert!(!second.wait_ended(Duration::ZERO).unwrap());
    old.release();
    assert_eq!(held.await.unwrap().body, "old");
    for process in [first, second] {
        assert!(process.wait_ended(PATIENCE).unwrap());
        process.reap().unwrap();
    }
    eventually("it is over", async || open().await == 0).await;
    end(&third, Signal::SIGTERM);
}
