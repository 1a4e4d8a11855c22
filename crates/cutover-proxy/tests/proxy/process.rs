//! The proxy as a process of its own: killed, stopped, started again on the same socket.

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cutover_os::{Grouping, PidFd, Signal, SpawnOptions};
use cutover_proxy::Client;
use tempfile::TempDir;

use crate::instance::Instance;
use crate::rig::{STABLE, eventually, options, publish, table};
use crate::visitor::{PATIENCE, Visitor};

const FOLDER: &str = "PROXY_TEST_FOLDER";

/// Not a test of its own: the body of the child process.
#[test]
fn proxy_process() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = PathBuf::from(folder);
        let mut options = cutover_proxy::ProxyOptions::new("shop", folder.clone(), folder.join("proxy.sock"));
        options.workers = Some(2);
        options.limits.close_spread = Duration::from_millis(300);
        cutover_proxy::run(options).unwrap();
    }
}

async fn start(listener: &TcpListener, folder: &TempDir) -> (PidFd, Client) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "process::proxy_process", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let passed = SpawnOptions {
        listeners: vec![("api".to_owned(), listener.as_fd())],
        grouping: Grouping::OwnGroup,
    };
    let child = cutover_os::spawn(&mut command, passed).unwrap();
    let client = Client::new(options(folder).admin_socket);
    eventually("the proxy is ready", async || client.is_ready().await).await;
    (child, client)
}

fn end(child: &PidFd, signal: Signal) {
    child.signal(signal).unwrap();
    assert!(child.wait_ended(PATIENCE).unwrap());
    child.reap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_comes_back_with_its_table_and_serves_who_waited() {
    let old = Instance::start("old");
    let listener = cutover_os::bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
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
    let listener = cutover_os::bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
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
