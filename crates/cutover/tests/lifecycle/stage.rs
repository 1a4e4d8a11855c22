//! One application in a folder of its own; what was started for it ends with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use cutover_testkit::Ran;

pub(crate) struct Stage {
    folder: tempfile::TempDir,
    pub(crate) listen: u16,
    ports: cutover_testkit::PortBlock,
}

/// Gates are asked, and the old revision is kept long enough to go back to it.
pub(crate) const GATED: &str = "blueGreen: {autoPromotionEnabled: false, scaleDownDelay: 60s}";

/// Over at once.
pub(crate) const QUICK: &str = "blueGreen: {scaleDownDelay: 100ms}";

impl Stage {
    /// Two services, `api` and `web`, of which both are the example shop on one SQLite file.
    pub(crate) fn new(strategy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stage = Self {
            folder,
            listen: cutover_testkit::free_port(),
            ports: cutover_testkit::PortBlock::reserve(),
        };
        stage.write(strategy, "");
        stage
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the file; `more` goes to its end.
    pub(crate) fn write(&self, strategy: &str, more: &str) {
        let folder = self.path().display();
        let releases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/releases");
        let (releases, program) = (releases.display(), env!("CARGO_BIN_EXE_cutover"));
        let (first, last, listen) = (self.ports.first(), self.ports.last(), self.listen);
        let service = |name: &str, router: &str| {
            format!(
                "  {name}:\n    target: {{process: {{command: [\"{program}\", demo-shop], ports: {first}-{last}, stopGrace: 2s}}}}\n    \
                 databases: [main]\n    compatibleWith: {{{other}: \">=1.0.0, <2.0.0\"}}\n    \
                 environment: {{DATABASE_URL: \"sqlite:{folder}/shop.db\", RELEASE: \"{{version}}\", STAGE: \"{folder}\", \
                 WORD: \"${{file:word}}\"}}\n    \
                 health: {{path: /ready, interval: 200ms, rise: 1, fall: 3, progressDeadline: 20s}}\n{router}",
                other = if name == "api" { "web" } else { "api" },
            )
        };
        let router = format!("    router: {{proxy: {{listen: \"127.0.0.1:{listen}\"}}}}\n");
        let text = format!(
            "apiVersion: cutover/v1\napplication: shop\ndatabases:\n  main: {{url: \"sqlite:./shop.db\", migrations: \
             \"{releases}/{{version}}/migrations/sqlite\"}}\nservices:\n{}{}strategy: {{{strategy}}}\ndrainDeadline: 2s\n{more}",
            service("api", &router),
            service("web", ""),
        );
        std::fs::write(self.path().join("cutover.yaml"), text).unwrap();
        if !self.path().join("word").exists() {
            self.word("first");
        }
    }

    /// Changes a part of the configuration.
    pub(crate) fn word(&self, word: &str) {
        std::fs::write(self.path().join("word"), word).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command
            .current_dir(self.path())
            .env("CUTOVER_STATE", self.path().join("state"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        self.run(&["status", "--output", "json"]).exits(0).json()
    }

    /// Waits until the upgrade that has not ended is in this phase.
    #[track_caller]
    pub(crate) fn until_phase(&self, phase: &str) -> serde_json::Value {
        self.until(|status| status["upgrade"]["phase"] == phase)
    }

    #[track_caller]
    pub(crate) fn until(&self, holds: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let mut last = serde_json::Value::Null;
        for _ in 0..600 {
            last = self.status();
            if holds(&last) {
                return last;
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "between two looks at a condition that has a deadline"
            )]
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("it never came: {last:#}");
    }

    /// The processes of this stage whose command line holds a text.
    pub(crate) fn pids(&self, text: &str) -> Vec<nix::unistd::Pid> {
        let needle = self.path().as_os_str().as_encoded_bytes();
        let names = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| *pid != i32::try_from(std::process::id()).unwrap())
            .filter(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                let words = String::from_utf8_lossy(&line).replace('\0', " ");
                words.contains(text) && (names(&line) || names(&environment))
            })
            .map(nix::unistd::Pid::from_raw)
            .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Twice: what the first one killed may just have started another.
        for _ in 0..2 {
            for pid in self.pids("") {
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
}
