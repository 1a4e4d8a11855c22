//! Raw bytes from both sides: what is refused, and what an instance gets to see.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::instance::Instance;
use crate::rig::{Rig, STABLE};
use crate::visitor::Visitor;

/// Statuses of all answers that come, with how many requests the instance completed.
async fn outcome(rig: &Rig, instance: &Instance, raw: &[u8]) -> (Vec<u16>, u64) {
    let before = instance.writes.load(SeqCst) + instance.requests.load(SeqCst);
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    // The proxy may answer and close before everything is written.
    drop(visitor.send(raw).await);
    let mut statuses = Vec::new();
    while let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_millis(300), visitor.answer()).await {
        statuses.push(answer.status);
        if answer.closes() {
            break;
        }
    }
    let after = instance.writes.load(SeqCst) + instance.requests.load(SeqCst);
    (statuses, after - before)
}

#[tokio::test]
async fn malformed_requests_are_the_clients_400_and_reach_nobody() {
    let instance = Instance::start("x");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(70_000));
    let far = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(16 * 1024));
    let strange = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(65));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(500));
    let cases: &[(&str, &[u16])] = &[
        ("GET / HTTP/1.1\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", &[400]),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("GET foo HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("GET a.test:80 HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("CONNECT a.test:80 HTTP/1.1\r\nHost: a\r\n\r\n", &[405]),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", &[400]),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            &[400],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
            &[400],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        (
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", &[405]),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\nHost: a\n\n", &[400]),
        ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", &[400]),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        (
            "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\nMax-Forwards: 5\r\n\r\n",
            &[400],
        ),
        ("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", &[204]),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\nhello",
            &[400],
        ),
        (&strange, &[501]),
        (&far, &[414]),
        (&long, &[414, 431]),
        (&many, &[431]),
    ];
    for (raw, expected) in cases {
        let (statuses, reached) = outcome(&rig, &instance, raw.as_bytes()).await;
        let shown: String = raw.chars().take(90).collect();
        assert!(
            statuses.len() == 1 && expected.contains(&statuses[0]),
            "{shown:?}: {statuses:?}"
        );
        assert_eq!(reached, 0, "{shown:?}");
    }
    let stats = rig.revision(STABLE).await;
    assert_eq!((stats.assigned, stats.errors), (0, 0));
    rig.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_body_are_the_clients_fault_and_never_the_revisions() {
    let instance = Instance::start("x");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "\r\nhello\r\n",
        "0_5\r\nhello\r\n",
        "zz\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n",
        "1000000000000000\r\nhello",
        "5\r\nhello\r\n0 \r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\nA: b\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\n\n",
    ] {
        let (statuses, _) = outcome(&rig, &instance, format!("{head}{body}").as_bytes()).await;
        assert_eq!(statuses, [400], "{body:?}");
    }
    assert_eq!(instance.writes.load(SeqCst), 0);
    let stats = rig.revision(STABLE).await;
    assert_eq!(
        (stats.errors, stats.first_attempt_failures, stats.cut_writes),
        (0, 0, 0)
    );
    rig.stop().await;
}

#[tokio::test]
async fn what_is_well_formed_passes_and_pipelined_requests_stay_apart() {
    let instance = Instance::start("x");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\n\r\n{next}"
            ),
            2,
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}{next}",
                hidden.len()
            ),
            2,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            1,
        ),
        ("GET http://b.test/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 1),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 1),
    ];
    for (raw, answers) in cases {
        let (statuses, _) = outcome(&rig, &instance, raw.as_bytes()).await;
        assert_eq!(statuses, vec![200; answers], "{raw:?}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_faulty_request_behind_a_good_one_is_refused_and_the_good_one_is_served() {
    let instance = Instance::start("x");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let both =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n";
    for good in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let (statuses, _) = outcome(&rig, &instance, format!("{good}{both}").as_bytes()).await;
        assert_eq!(statuses, [200, 400], "{good:?}");
    }
    rig.stop().await;
}

/// A reader that takes a line feed for the end of a trailer sees a request where another one sees a trailer, and the other
/// way round with the request behind it.
#[tokio::test]
async fn no_request_hides_behind_trailers() {
    let instance = Instance::start("x");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[instance.addr])]).await;
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
    let hidden = "POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n";
    let bad = "GET /a#b HTTP/1.1\nHost: a\r\n\r\n";
    for between in ["X: a\n\n", "\n", "X: a\n\r\n", "X: a\r\n\n"] {
        let raw = format!("{chunked}{between}{hidden}{bad}");
        let (statuses, _) = outcome(&rig, &instance, raw.as_bytes()).await;
        assert_eq!(statuses, [400], "{between:?}");
    }
    assert_eq!(instance.writes.load(SeqCst), 0, "none came to an end");
    assert!(
        instance.requests.load(SeqCst) <= 4,
        "of each the first head, at most"
    );
    rig.stop().await;
}

/// Reads each request, answers these bytes, closes.
pub(crate) async fn answering(
    bytes: &'static [u8],
) -> (SocketAddr, Arc<AtomicU64>, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = Vec::new();
            while !text.windows(4).any(|end| end == b"\r\n\r\n")
                && stream.read_buf(&mut text).await.is_ok_and(|n| n > 0)
            {}
            count.fetch_add(1, SeqCst);
            drop(stream.write_all(bytes).await);
        }
    });
    (addr, asked, task)
}

#[tokio::test]
async fn answers_that_cannot_be_trusted() {
    let rig = Rig::start_with(|options| options.limits.connect_patience = Duration::from_millis(20));
    let cases: &[(&[u8], &str)] = &[
        (b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nhello", "502"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\nhello", "502"),
        (b"\x00\x01\x02\r\n\r\n", "502"),
        (b"", "502"),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "200 ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "200 hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 until the end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "200 cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "200 cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", "502"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "502"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "502"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "502"),
    ];
    for (bytes, expected) in cases {
        let (addr, asked, task) = answering(bytes).await;
        rig.route(&[(STABLE, 10_000, &[addr])]).await;
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        visitor.send(b"GET /r HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let shown = String::from_utf8_lossy(bytes);
        if *expected == "200 cut" {
            let came = visitor.rest(Duration::from_secs(5)).await;
            let came = String::from_utf8(came.unwrap_or_else(|_| panic!("not closed: {shown:?}"))).unwrap();
            assert!(
                came.starts_with("HTTP/1.1 200") && came.contains("hello"),
                "{shown:?}: {came:?}"
            );
            assert!(!came.ends_with("0\r\n\r\n"), "the end must be missing: {came:?}");
        } else {
            let answer = visitor.answer().await.unwrap();
            let got = if answer.status == 200 {
                format!("200 {}", answer.body)
            } else {
                answer.status.to_string()
            };
            assert_eq!(got, *expected, "{shown:?}");
        }
        assert!(asked.load(SeqCst) >= 1);
        task.abort();
    }
    assert_eq!(rig.revision(STABLE).await.cut_answers, 2);
    rig.stop().await;
}

#[tokio::test]
async fn what_an_answer_says_of_itself_reaches_the_client_in_one_form() {
    let rig = Rig::start();
    let cases: &[(&[u8], u16, &str, Option<&str>)] = &[
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", 200, "content-length", Some("2")),
        (b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok", 426, "upgrade", Some("websocket")),
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok", 407, "proxy-authenticate", Some("Basic")),
        (b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok", 200, "upgrade", None),
    ];
    for (bytes, status, field, value) in cases {
        let (addr, _, task) = answering(bytes).await;
        rig.route(&[(STABLE, 10_000, &[addr])]).await;
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        let answer = visitor.get("/").await.unwrap();
        assert_eq!(
            (answer.status, answer.body.as_str(), answer.field(field)),
            (*status, "ok", *value)
        );
        task.abort();
    }
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_has_up_to_256_fields() {
    let rig = Rig::start_with(|options| options.limits.connect_patience = Duration::from_millis(20));
    for (fields, status) in [(255, 200), (256, 502)] {
        let fields: String = (0..fields).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
        let (addr, _, task) = answering(bytes.leak().as_bytes()).await;
        rig.route(&[(STABLE, 10_000, &[addr])]).await;
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        let answer = visitor.get("/").await.unwrap();
        assert_eq!(answer.status, status, "{fields}");
        if status == 200 {
            assert_eq!(answer.field("x-254"), Some("254"));
        }
        task.abort();
    }
    rig.stop().await;
}
