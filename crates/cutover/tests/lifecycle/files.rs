//! What a release's program loads besides its first file.

use cutover_testkit::PortBlock;

use crate::stage::{QUICK, Stage};

const MAIN: &str = r#"
import http.server, os, lib

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(lib.WORD)))
        self.end_headers()
        self.wfile.write(lib.WORD.encode())
    def log_message(self, *words):
        open(os.path.join(os.path.dirname(__file__), "requests.log"), "a").write("one\n")

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"#;

fn lib(stage: &Stage, version: &str, word: &str) {
    let folder = stage.path().join("releases").join(version);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("main.py"), MAIN).unwrap();
    std::fs::write(folder.join("lib.py"), format!("WORD = \"{word}\"\n")).unwrap();
}

fn answer(listen: u16) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", listen)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_the_entry_file_loads_is_part_of_the_release_and_is_not_started_changed() {
    let stage = Stage::new(QUICK);
    let (listen, ports) = (cutover_testkit::free_port(), PortBlock::reserve());
    for (version, word) in [("1.0.0", "first"), ("1.1.0", "second"), ("1.2.0", "second")] {
        lib(&stage, version, word);
    }
    let (first, last) = (ports.first(), ports.last());
    let text = format!(
        "apiVersion: cutover/v1\napplication: shop\nservices:\n  api:\n    target: {{process: {{command: [python3, \
         \"./releases/{{version}}/main.py\"], ports: {first}-{last}, ignore: [requests.log], stopGrace: 1s}}}}\n    \
         health: {{path: /, interval: 200ms, rise: 1, fall: 3, progressDeadline: 20s}}\n    \
         router: {{proxy: {{listen: \"127.0.0.1:{listen}\"}}}}\nstrategy: {{{QUICK}}}\ndrainDeadline: 2s\n"
    );
    std::fs::write(stage.path().join("cutover.yaml"), text).unwrap();
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    assert!(answer(listen).ends_with("first"));
    stage.run(&["upgrade", "1.1.0"]).exits(0);
    assert!(answer(listen).ends_with("second"));
    // Nothing that runs differs.
    let plan = stage.run(&["plan", "1.2.0"]).exits(0);
    assert!(plan.stdout.contains("= api  1.1.0  unchanged"), "{}", plan.stdout);

    // What the program itself has written is no change: compiled code and its log lie in the folder.
    assert!(stage.path().join("releases/1.1.0/requests.log").exists());
    stage.run(&["restart"]).exits(0);
    // A restart leaves what there was to go back to.
    assert_eq!(stage.status()["wayBack"]["to"]["version"], "1.0.0");
    stage.run(&["plan", "1.0.0", "--rollback"]).exits(0);

    lib(&stage, "1.0.0", "changed");
    for command in [&["plan", "1.0.0", "--rollback"][..], &["rollback"]] {
        let refused = stage.run(command).exits(2);
        assert!(refused.stderr.contains("release.changed"), "{}", refused.stderr);
        assert!(refused.stderr.contains("releases/1.0.0"), "{}", refused.stderr);
        assert!(
            refused
                .stderr
                .contains("cutover rollback --to 1.0.0 --changed-files"),
            "{}",
            refused.stderr
        );
    }
    lib(&stage, "1.1.0", "changed too");
    let refused = stage.run(&["restart"]).exits(2);
    assert!(refused.stderr.contains("release.changed"), "{}", refused.stderr);
    assert!(answer(listen).ends_with("second"));
    stage.run(&["rollback", "--changed-files"]).exits(0);
    assert!(answer(listen).ends_with("changed"));

    std::fs::remove_dir_all(stage.path().join("releases/1.1.0")).unwrap();
    let refused = stage.run(&["plan", "1.1.0"]).exits(2);
    assert!(
        refused.stderr.contains("release.no-such-version"),
        "{}",
        refused.stderr
    );
}
