//! The connection is cut before or after the server has a command: what is left of the file goes on, and nothing is done twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use cutover_migrate::MigrationStatus;
use cutover_ports::{Certainty, PortError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::bed::{Bed, Files, TestClock, bed, databases_at, impatient, main_db, up};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// The server never sees the command.
    Before,
    /// It has answered, and nobody hears it.
    After,
}

/// Stands between driver and server, and cuts every connection on which a text goes by, once.
struct Cutter {
    port: u16,
    has_cut: Arc<AtomicBool>,
    /// How often the text went by.
    seen: Arc<AtomicU32>,
}

impl Cutter {
    async fn start(server: u16, mark: &'static str, when: When) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let has_cut = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(AtomicU32::new(0));
        let (cut, count) = (Arc::clone(&has_cut), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let beyond = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(pass(
                    client,
                    beyond,
                    mark,
                    when,
                    Arc::clone(&cut),
                    Arc::clone(&count),
                ));
            }
        });
        Self { port, has_cut, seen }
    }

    fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}/shop", self.port)
    }
}

async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    mark: &str,
    when: When,
    cut: Arc<AtomicBool>,
    seen: Arc<AtomicU32>,
) {
    let (mut sent, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut silent = false;
    loop {
        tokio::select! {
            got = client.read(&mut sent) => {
                let Ok(got @ 1..) = got else { return };
                let has_mark = sent[..got].windows(mark.len()).any(|found| found == mark.as_bytes());
                seen.fetch_add(u32::from(has_mark), Ordering::SeqCst);
                if has_mark && !cut.swap(true, Ordering::SeqCst) {
                    if when == When::Before {
                        return;
                    }
                    silent = true;
                }
                if server.write_all(&sent[..got]).await.is_err() {
                    return;
                }
            }
            got = server.read(&mut answered) => {
                let Ok(got @ 1..) = got else { return };
                // Its answer is there, so the command is done.
                if silent || client.write_all(&answered[..got]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Runs files up to the cut, and says how that ended.
async fn cut_at(bed: &Bed, files: Files<'_>, mark: &'static str, when: When) -> PortError {
    let cutter = Cutter::start(bed.server.port(), mark, when).await;
    cut_by(&cutter, bed, files).await
}

async fn cut_by(cutter: &Cutter, bed: &Bed, files: Files<'_>) -> PortError {
    let databases = databases_at(&cutter.url(), files, impatient(), Arc::new(TestClock));
    let error = up(&databases, 1).await.unwrap_err();
    assert!(cutter.has_cut.load(Ordering::SeqCst));
    let lines = bed.databases(files).status(&main_db()).await.unwrap();
    let is_half = matches!(lines[0].status, MigrationStatus::Interrupted { .. });
    assert!(is_half, "{error}");
    error
}

const DOWN: (&str, &str) = ("001_a.down.json", r#"[{"ping": 1}]"#);

#[tokio::test]
async fn what_may_run_twice_is_run_again() {
    for when in [When::Before, When::After] {
        let Some(bed) = bed() else { return };
        let files = [
            (
                "001_a.up.json",
                r#"{"phase": "expand", "commands": [{"insert": "a", "documents": [{"_id": 1, "x": 1}]},
                {"update": "a", "updates": [{"q": {}, "u": {"$set": {"mark": 2}}, "multi": true}]}, {"create": "b"}]}"#,
            ),
            DOWN,
        ];
        let error = cut_at(&bed, &files, "mark", when).await;
        assert_eq!(error.diagnostic.code, "db.unreachable", "{error}");
        assert_eq!(error.certainty, Certainty::Unknown);
        bed.up(&files).await.unwrap();
        assert_eq!(bed.count("a", r#"{"mark": 2}"#).await, 1);
        assert!(bed.collections().await.contains(&"b".to_owned()));
    }
}

#[tokio::test]
async fn documents_with_an_id_are_there_once() {
    for when in [When::Before, When::After] {
        let Some(bed) = bed() else { return };
        let files = [
            (
                "001_a.up.json",
                r#"{"phase": "expand", "commands": [{"create": "a"}, {"insert": "a", "documents": [{"_id": 1, "x": "mark"}, {"_id": 2}]}]}"#,
            ),
            DOWN,
        ];
        cut_at(&bed, &files, "mark", when).await;
        bed.up(&files).await.unwrap();
        assert_eq!(bed.count("a", "{}").await, 2);
        assert_eq!(bed.count("a", r#"{"x": "mark"}"#).await, 1);
    }
}

#[tokio::test]
async fn what_changes_collections_is_looked_for() {
    for (when, times) in [(When::Before, 2), (When::After, 1)] {
        let Some(bed) = bed() else { return };
        let files = [
            (
                "001_a.up.json",
                r#"{"phase": "contract", "retires": "1.1.0", "commands": [{"insert": "a", "documents": [{"_id": 1}]},
                {"renameCollection": "a", "to": "b"}, {"create": "c"}]}"#,
            ),
            DOWN,
        ];
        let cutter = Cutter::start(bed.server.port(), "renameCollection", when).await;
        cut_by(&cutter, &bed, &files).await;
        let databases = databases_at(&cutter.url(), &files, impatient(), Arc::new(TestClock));
        up(&databases, 1).await.unwrap();
        let sent = cutter.seen.load(Ordering::SeqCst);
        assert_eq!(sent, times, "{when:?}: one that happened is not sent again");
        let collections = bed.collections().await;
        assert!(!collections.contains(&"a".to_owned()), "{collections:?}");
        assert_eq!(bed.count("b", "{}").await, 1);
    }
}

#[tokio::test]
async fn what_cannot_run_twice_is_a_persons_to_say() {
    let Some(bed) = bed() else { return };
    let files = [
        (
            "001_a.up.json",
            r#"{"phase": "expand", "commands": [{"insert": "a", "documents": [{"x": "mark"}]}]}"#,
        ),
        DOWN,
    ];
    cut_at(&bed, &files, "mark", When::After).await;
    let error = bed.up(&files).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "migrate.in-doubt");
    assert_eq!(bed.count("a", "{}").await, 1);
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_finds_its_history() {
    let Some(mut bed) = bed() else { return };
    let files = [("001_a.up.json", r#"[{"create": "a"}]"#), DOWN];
    bed.up(&files).await.unwrap();
    bed.server.kill().unwrap();
    let soon = format!("{}?serverSelectionTimeoutMS=200", bed.url());
    let databases = databases_at(&soon, &files, impatient(), Arc::new(TestClock));
    let error = up(&databases, 1).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "db.unreachable");
    assert_eq!(error.certainty, Certainty::DefinitelyNot);
    bed.server.start_again().unwrap();
    assert!(bed.up(&files).await.unwrap().is_empty());
}
