//! A small HTTP server that answers as it is told, and tells what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;

/// One request, as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    /// `GET /path?query HTTP/1.1`.
    pub(crate) line: String,
    /// By their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Answers one request after the other with these (what follows `HTTP/1.1 `), then none.
pub(crate) fn serve(answers: Vec<String>) -> (String, mpsc::Receiver<Asked>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            tell.send(read(&stream)).unwrap();
            // Whoever has read enough may be gone before it is all written.
            let _written = write!(stream, "HTTP/1.1 {answer}");
        }
    });
    (address, told)
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut headers = BTreeMap::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).unwrap();
        let Some((name, value)) = field.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Asked {
        line: line.trim_end().to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    }
}

/// An answer with this status line and body.
pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("{status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
