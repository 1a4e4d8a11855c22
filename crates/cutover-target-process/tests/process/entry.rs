//! What this test program becomes when a test starts it as a child: a supervisor, or a small HTTP server.
//!
//! Not tests of their own: without their variable they return at once.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cutover_os::{PidFd, ProcessIdentity, Signal};
use cutover_target_process::{LogLimits, SupervisorOptions, supervise};

use crate::world::WallClock;

/// Holds the state folder; makes `supervisor` supervise it.
pub(crate) const SUPERVISE: &str = "FIXTURE_SUPERVISE";

/// Holds the folder of the server's orders; makes `server` serve.
pub(crate) const SERVE: &str = "FIXTURE_SERVE";

#[test]
fn supervisor() {
    let Some(state_dir) = std::env::var_os(SUPERVISE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let options = SupervisorOptions {
        state_dir: PathBuf::from(state_dir),
        clock: Arc::new(WallClock),
        logs: LogLimits {
            max_bytes: 20_000,
            files: 3,
            check_every: Duration::from_millis(20),
        },
        idle_exit: std::env::var("FIXTURE_IDLE_MS")
            .ok()
            .map(|ms| Duration::from_millis(ms.parse().unwrap())),
    };
    if let Err(error) = runtime.block_on(supervise(options)) {
        let diagnostic = error.diagnostic();
        eprintln!("{}: {diagnostic}", diagnostic.code);
        std::process::exit(1);
    }
}

/// Serves on the inherited sockets, or on PORT. A file in the orders' folder, named as the path, holds the answer's
/// status and body: `503 {"status":"unhealthy"}`; without one it is 200 and `{"status":"healthy"}`.
#[test]
fn server() {
    let Some(orders) = std::env::var_os(SERVE) else {
        return;
    };
    let orders = PathBuf::from(orders);
    if let Ok(line) = std::env::var("FIXTURE_FAIL") {
        println!("{line}");
        std::process::exit(3);
    }
    println!("begins");
    let inherited = cutover_os::take_inherited().unwrap();
    let mut listeners: Vec<TcpListener> = inherited.into_iter().map(|i| i.listener).collect();
    if listeners.is_empty() {
        let port = std::env::var("PORT").unwrap();
        listeners.push(TcpListener::bind(format!("127.0.0.1:{port}")).unwrap());
    }
    if let Ok(more) = std::fs::read_to_string(orders.join("bind")) {
        listeners.push(TcpListener::bind(more.trim()).unwrap());
    }
    come_to_terms(&orders);
    let threads: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let orders = orders.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let orders = orders.clone();
                    std::thread::spawn(move || answer(stream, &orders));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Takes the place of the server that runs, if that is what it was started for, as the order `next` says.
fn come_to_terms(orders: &Path) {
    let pid = orders.join("pid");
    let before = std::fs::read_to_string(&pid);
    if std::env::var_os(cutover_os::READY_ENV).is_some() {
        let next = orders.join("next");
        if std::fs::read_to_string(&next).is_ok_and(|order| order == "die") {
            std::process::exit(4);
        }
        if next.exists() {
            std::fs::write(orders.join("waiting"), std::process::id().to_string()).unwrap();
            while next.exists() {
                std::thread::yield_now();
            }
        }
        std::fs::write(&pid, std::process::id().to_string()).unwrap();
        // Whoever started it may be gone.
        let _told = cutover_os::announce_ready();
        let before = ProcessIdentity::of(before.unwrap().parse().unwrap()).unwrap();
        PidFd::open(&before).unwrap().signal(Signal::SIGTERM).unwrap();
    } else {
        std::fs::write(pid, std::process::id().to_string()).unwrap();
    }
}

fn answer(mut stream: TcpStream, orders: &Path) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let (status, body) = match path.as_str() {
        "/crash" => {
            println!("cannot reach postgres://shop:hunter2@db/shop");
            std::process::exit(3);
        }
        "/noise" => {
            for _ in 0..500 {
                println!("{}", "noise ".repeat(16));
            }
            ("200".to_owned(), "done".to_owned())
        }
        "/environment" => {
            let all: std::collections::BTreeMap<String, String> = std::env::vars().collect();
            ("200".to_owned(), serde_json::to_string(&all).unwrap())
        }
        "/pid" => ("200".to_owned(), std::process::id().to_string()),
        path => match std::fs::read_to_string(orders.join(&path[1..])) {
            Ok(order) => {
                let (status, body) = order.split_once(' ').unwrap();
                (status.to_owned(), body.to_owned())
            }
            Err(_) => ("200".to_owned(), r#"{"status":"healthy"}"#.to_owned()),
        },
    };
    // The client may be gone: that is its business.
    let _written = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}
