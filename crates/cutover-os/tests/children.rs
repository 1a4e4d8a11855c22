//! Real children: inheritance, groups, identity, signals.
#![expect(
    clippy::disallowed_methods,
    reason = "a test against real processes polls real time"
)]

use std::net::TcpStream;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cutover_os::{
    Exit, Grouping, INHERITED_ENV, PidFd, PidFdError, ProcessIdentity, READY_ENV, Signal, SpawnOptions,
    announce_ready, bind_listener, group_owns_port, port_owners, spawn, take_inherited,
};

const WAIT: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Runs as the child of `inherited_sockets_arrive_by_name`: answers one connection, then ends.
#[test]
fn child_that_serves_once() {
    if std::env::var_os("SERVE_ONCE").is_none() {
        return;
    }
    let mut taken = take_inherited().unwrap();
    assert!(take_inherited().is_err(), "a second taker must be refused");
    assert_eq!(taken[0].name, "web");
    let (mut stream, _) = taken.remove(0).listener.accept().unwrap();
    std::io::Write::write_all(&mut stream, b"hello").unwrap();
}

#[test]
fn inherited_sockets_arrive_by_name() {
    let listener = bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child_that_serves_once"])
        .env("SERVE_ONCE", "1")
        .stdout(Stdio::null());
    let child = spawn(
        &mut command,
        SpawnOptions {
            listeners: vec![("web".to_owned(), listener.as_fd())],
            grouping: Grouping::OwnGroup,
            ready: None,
            kept: Vec::new(),
        },
    )
    .unwrap();
    // The connection may wait in the socket before the child is up: that is the point.
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert_eq!(text, "hello");
    assert!(child.wait_ended(WAIT).unwrap());
    assert_eq!(child.reap().unwrap(), Some(Exit::Code(0)));
    assert!(std::env::var_os(INHERITED_ENV).is_none());
}

#[test]
fn child_that_is_ready() {
    if std::env::var_os("IS_READY").is_some() {
        announce_ready().unwrap();
        // Nobody is told twice.
        announce_ready().unwrap();
    }
}

#[test]
fn a_child_says_that_it_serves_and_one_that_ends_before_says_nothing() {
    for (says, expected) in [(true, "\n"), (false, "")] {
        let (mut read, write) = std::io::pipe().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child_that_is_ready"])
            .stdout(Stdio::null());
        if says {
            command.env("IS_READY", "1");
        }
        let options = SpawnOptions {
            ready: Some(write.as_fd()),
            ..SpawnOptions::default()
        };
        let child = spawn(&mut command, options).unwrap();
        drop(write);
        let mut said = String::new();
        std::io::Read::read_to_string(&mut read, &mut said).unwrap();
        assert_eq!(said, expected);
        assert!(child.wait_ended(WAIT).unwrap());
        assert_eq!(child.reap().unwrap(), Some(Exit::Code(0)));
    }
    assert!(std::env::var_os(READY_ENV).is_none());
}

#[test]
fn a_group_is_signalled_whole_and_a_dead_identity_is_never_hit() {
    let child = spawn(&mut shell("sleep 600 & sleep 600"), SpawnOptions::default()).unwrap();
    let identity = child.identity().clone();
    assert!(identity.is_alive() && !child.has_ended());
    assert_eq!(child.reap().unwrap(), None);
    child.signal_group(Signal::SIGKILL).unwrap();
    assert!(child.wait_ended(WAIT).unwrap());
    assert!(!identity.is_alive(), "a zombie is not alive");
    assert!(identity.exists(), "but it is still in the table");
    assert_eq!(child.reap().unwrap(), Some(Exit::Signal(9)));
    assert!(!identity.exists());
    assert!(matches!(PidFd::open(&identity), Err(PidFdError::Gone { .. })));
    child.signal(Signal::SIGTERM).unwrap();
    assert_eq!(child.reap().unwrap(), None);
    // The child may have started in the same hundredth of a second as this process, never before it.
    let reused = ProcessIdentity {
        start_ticks: identity.start_ticks + 1,
        ..ProcessIdentity::current().unwrap()
    };
    assert!(matches!(PidFd::open(&reused), Err(PidFdError::Gone { .. })));
}

#[test]
fn a_session_of_its_own_and_the_owner_of_a_port() {
    let listener = bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let child = spawn(
        &mut shell("sleep 600 & wait"),
        SpawnOptions {
            listeners: vec![("web".to_owned(), listener.as_fd())],
            grouping: Grouping::OwnSession,
            ready: None,
            kept: Vec::new(),
        },
    )
    .unwrap();
    drop(listener);
    let pid = child.identity().pid;
    let deadline = Instant::now() + WAIT;
    while port_owners(addr).unwrap().len() < 2 {
        assert!(
            Instant::now() < deadline,
            "the shell and its sleep should both hold the socket"
        );
        std::thread::yield_now();
    }
    assert!(group_owns_port(pid, addr).unwrap());
    assert!(
        port_owners(addr)
            .unwrap()
            .iter()
            .all(|owner| owner.session == pid)
    );
    assert!(!group_owns_port(std::process::id(), addr).unwrap());
    child.signal_group(Signal::SIGKILL).unwrap();
    assert!(child.wait_ended(WAIT).unwrap());
    child.reap().unwrap();
}

#[test]
fn a_program_that_does_not_exist_is_an_error_even_with_sockets_to_pass() {
    let listener = bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = spawn(
        &mut Command::new("/nonexistent/program"),
        SpawnOptions {
            listeners: vec![("web".to_owned(), listener.as_fd())],
            grouping: Grouping::OwnSession,
            ready: None,
            kept: Vec::new(),
        },
    )
    .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
