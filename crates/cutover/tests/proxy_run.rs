//! `cutover proxy run` without a file or a controller, as a process between real sockets.

#![cfg(test)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Answers its name to everything, for as long as the test process lives.
fn instance(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap(), name));
        }
    });
    addr
}

fn answer(mut stream: TcpStream, name: &str) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line == "\r\n" {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            stream.write_all(text.as_bytes()).unwrap();
        }
        line.clear();
    }
}

/// A running proxy; ended when dropped.
struct Proxy {
    child: Child,
    /// What it said until it served.
    said: Vec<String>,
}

impl Proxy {
    fn start(arguments: &[String], lines: usize) -> Self {
        let mut child = command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        let said = (0..lines)
            .map(|_| {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                line.trim_end().to_owned()
            })
            .collect();
        // Whatever it says later is read, so that it never waits for us.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Self { child, said }
    }

    fn address(&self, before: &str) -> SocketAddr {
        let found = self.said.iter().find_map(|line| line.strip_prefix(before));
        let found = found.unwrap_or_else(|| panic!("no {before:?} in {:?}", self.said));
        found.trim_end_matches("/metrics").parse().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command
        .args(["proxy", "run"])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn it_serves_several_instances_counts_and_ends_when_asked() {
    let (one, two) = (instance("one"), instance("two"));
    let arguments = words(&format!(
        "--listen 127.0.0.1:0 --upstream {one} --upstream {two} --metrics-listen 127.0.0.1:0"
    ));
    let mut proxy = Proxy::start(&arguments, 4);
    let (listen, metrics) = (proxy.address("listens on "), proxy.address("metrics on http://"));
    let answers: Vec<String> = (0..40).map(|_| get(listen, "/")).collect();
    for name in ["one", "two"] {
        assert!(answers.iter().any(|answer| answer.ends_with(name)), "{answers:?}");
    }
    assert!(answers[0].contains("x-backend-version: 1.0.0"), "{}", answers[0]);
    let counted = get(metrics, "/metrics");
    assert!(counted.contains("status=\"200\"} 40"), "{counted}");
    assert!(get(metrics, "/ready").ends_with("ready\n"));
    assert!(get(metrics, "/table").starts_with("HTTP/1.1 404"));
    let bad = get(listen, "/ HTTP/1.1\r\nHost: b");
    assert!(bad.starts_with("HTTP/1.1 400"), "{bad}");
    kill(Pid::from_raw(proxy.child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(proxy.child.wait().unwrap().success());
    assert!(TcpStream::connect(listen).is_err());
}

#[test]
fn weights_are_shares_of_versions() {
    let (one, two) = (instance("one"), instance("two"));
    let proxy = Proxy::start(
        &words(&format!(
            "--listen 127.0.0.1:0 --upstream {one}=0 --upstream {two}=3"
        )),
        3,
    );
    let listen = proxy.address("listens on ");
    for _ in 0..20 {
        let answer = get(listen, "/");
        assert!(
            answer.contains("x-backend-version: 2.0.0") && answer.ends_with("two"),
            "{answer}"
        );
    }
}

#[test]
fn what_cannot_be_is_said_with_its_code() {
    let refused = |arguments: &str| -> (i32, String) {
        let output: Output = command(&words(arguments))
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), said)
    };
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let (code, said) = refused(&format!("--listen {taken} --upstream 127.0.0.1:9"));
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("error[listen.in-use]") && said.contains(&taken.to_string()),
        "{said}"
    );
    assert!(said.contains("ss -ltnp"), "{said}");
    // An address for documentation (RFC 5737) is nobody's.
    let (code, said) = refused("--listen 192.0.2.1:8080 --upstream 127.0.0.1:9");
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("error[proxy.cannot-listen]") && said.contains("192.0.2.1:8080"),
        "{said}"
    );
    for upstream in ["nowhere", "http://127.0.0.1:9001"] {
        let (code, said) = refused(&format!("--listen 127.0.0.1:0 --upstream {upstream}"));
        assert_eq!(code, 2, "{said}");
        assert!(
            said.contains("error[proxy.upstream]") && said.contains(&format!("--upstream {upstream}")),
            "{said}"
        );
    }
    for option in [
        "header-timeout",
        "connect-timeout",
        "answer-timeout",
        "idle-timeout",
        "health /up --health-interval",
    ] {
        let (code, said) = refused(&format!(
            "--listen 127.0.0.1:0 --upstream 127.0.0.1:9 --{option} 0s"
        ));
        assert!(code == 2 && said.contains("more than 0"), "{option}: {said}");
    }
    assert_eq!(refused("--listen 127.0.0.1:0").0, 2, "an upstream is needed");
}
