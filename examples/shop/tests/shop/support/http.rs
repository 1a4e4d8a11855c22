//! One request, one connection, one answer.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

pub(crate) async fn request(to: SocketAddr, head: &str, body: Option<Value>) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let (first, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers = if headers.is_empty() {
        String::new()
    } else {
        format!("{headers}\r\n")
    };
    let length = body.len();
    let text = format!(
        "{first} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) async fn get(to: SocketAddr, path: &str) -> Answer {
    request(to, &format!("GET {path}"), None).await
}

pub(crate) async fn post(to: SocketAddr, name: &str) -> Value {
    let answer = request(to, "POST /api/users", Some(serde_json::json!({"name": name}))).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()
}

pub(crate) async fn put(to: SocketAddr, id: &Value, name: &str) -> Value {
    let answer = request(
        to,
        &format!("PUT /api/users/{id}"),
        Some(serde_json::json!({"name": name})),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}
