//! What is told of the requests of an upgrade, whoever watched it; and one that the disk holds up.

use crate::stage::{QUICK, Stage};

const HALF: &str = "canary: {steps: [{setWeight: 50}, {pause: {}}], scaleDownDelay: 100ms}";

fn ask(listen: u16, path: &str) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", listen)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

#[test]
fn an_abort_by_another_process_knows_how_many_requests_reached_the_candidate() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    for _ in 0..10 {
        ask(stage.listen, "/api/version");
    }
    stage.write(HALF, "");
    stage.run(&["upgrade", "1.1.0"]).exits(4);
    for _ in 0..40 {
        ask(stage.listen, "/api/version");
    }
    let aborted = stage.run(&["abort", "--output", "json"]).exits(0).json();
    assert_eq!(aborted["requests_served"], 40, "{aborted:#}");
    assert_eq!(aborted["requests_failed"], 0);
    let exposed = aborted["requests_exposed"].as_u64().unwrap();
    assert!((1..40).contains(&exposed), "{aborted:#}");
    assert_eq!(aborted["verdict"], "NoData", "{aborted:#}");
    // Also later, and in words.
    let shown = stage.run(&["history", "show"]).exits(0);
    let words: Vec<&str> = shown.stdout.split_whitespace().collect();
    let words = words.join(" ");
    assert!(words.contains("served 40 in all, 0 failed"), "{words}");
    assert!(words.contains(&format!("{exposed} request")), "{words}");
    assert!(words.contains("– default of api: not judged:"), "{words}");
}

#[test]
fn a_full_disk_is_waited_for_in_the_middle_of_a_canary() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let full = stage.path().join("full");
    stage.write(
        "canary: {steps: [{setWeight: 50}, {pause: {duration: 300ms}}, {setWeight: 100}], scaleDownDelay: 100ms}",
        "",
    );
    let mut command = stage.command(&["upgrade", "1.1.0"]);
    let child = command.env("CUTOVER_FULL_WHILE", &full).env("RUST_LOG", "warn");
    let mut child = child.spawn().unwrap();
    stage.until_phase("Running");
    std::fs::write(&full, "").unwrap();
    // It says so once it has something to write down, and changes nothing until there is room.
    let mut said = String::new();
    let mut lines = std::io::BufReader::new(child.stderr.take().unwrap());
    while !said.contains("waiting for room") {
        use std::io::BufRead as _;
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let held = stage.status();
    assert_eq!(held["upgrade"]["to"], "1.1.0", "{held:#}");
    std::fs::remove_file(&full).unwrap();
    let rest = std::thread::spawn(move || std::io::Read::read_to_string(&mut lines, &mut String::new()));
    let ended = child.wait_with_output().unwrap();
    rest.join().unwrap().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(stage.status()["stable"]["version"], "1.1.0");
}
