//! A server that webhooks are sent to, and that answers queries: it does as it is told and remembers what it got.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: serde_json::Value,
}

#[derive(Debug, Default)]
struct Told {
    statuses: BTreeMap<String, u16>,
    replies: BTreeMap<String, String>,
    got: Vec<Got>,
}

pub(crate) struct Hooks {
    port: u16,
    told: Arc<Mutex<Told>>,
}

impl Hooks {
    /// Answers 200 to everything.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::new(Mutex::new(Told::default()));
        let own = Arc::clone(&told);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                drop(answer(&stream, &own));
            }
        });
        Self { port, told }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// From now on this path is answered with this status.
    pub(crate) fn says(&self, path: &str, status: u16) {
        self.told.lock().unwrap().statuses.insert(path.to_owned(), status);
    }

    /// From now on this path is answered with this body.
    pub(crate) fn replies(&self, path: &str, body: &str) {
        let mut told = self.told.lock().unwrap();
        told.replies.insert(path.to_owned(), body.to_owned());
    }

    /// What came to a path so far.
    pub(crate) fn got(&self, path: &str) -> Vec<Got> {
        let told = self.told.lock().unwrap();
        told.got.iter().filter(|got| got.path == path).cloned().collect()
    }
}

fn answer(mut stream: &TcpStream, told: &Mutex<Told>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let length = head
        .to_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, reply) = {
        let mut told = told.lock().unwrap();
        let status = told.statuses.get(&path).copied().unwrap_or(200);
        let reply = told
            .replies
            .get(&path)
            .map_or("as I said", String::as_str)
            .to_owned();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        told.got.push(Got { path, head, body });
        (status, reply)
    };
    let length = reply.len();
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{reply}");
    stream.write_all(text.as_bytes())
}
