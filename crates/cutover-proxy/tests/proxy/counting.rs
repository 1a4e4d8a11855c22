//! What the counters say, in both forms.

use crate::instance::Instance;
use crate::rig::{Rig, STABLE, eventually};
use crate::visitor::Visitor;

#[tokio::test]
async fn statuses_latencies_and_rejects_add_up() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for path in ["/", "/", "/status/404", "/status/500"] {
        visitor.get(path).await.unwrap();
    }
    visitor.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(visitor.answer().await.unwrap().status, 400);
    // What the parser refuses counts like what is refused behind it; half a head does not.
    for (wrong, status) in [
        ("GET  / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000)),
            431,
        ),
    ] {
        let mut refused = Visitor::connect(rig.addr).await.unwrap();
        refused.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert_eq!(refused.answer().await.unwrap().status, 200);
        drop(refused.send(wrong.as_bytes()).await);
        assert_eq!(refused.answer().await.unwrap().status, status);
    }
    let mut gone = Visitor::connect(rig.addr).await.unwrap();
    gone.send(b"GET").await.unwrap();
    eventually("it is connected", async || {
        rig.client.stats().await.unwrap().connections == 1
    })
    .await;
    drop(gone);
    eventually("who leaves is noticed", async || {
        rig.client.stats().await.unwrap().connections == 0
    })
    .await;
    let stats = rig.client.stats().await.unwrap();
    assert_eq!((stats.routes[0].requests, stats.routes[0].rejected), (9, 3));
    let revision = rig.revision(STABLE).await;
    assert_eq!(revision.answers, [(200, 4), (404, 1), (500, 1)]);
    assert_eq!((revision.errors, revision.first_attempt_failures), (1, 1));
    assert_eq!(revision.latency.0.iter().sum::<u64>(), 6);
    assert_eq!(revision.instances[0].attempts, 6);
    let text = rig.client.metrics().await.unwrap();
    let labels =
        "app=\"shop\",service=\"api\",version=\"1.0.0\",revision=\"api@1.0.0#aaaaaa\",track=\"stable\"";
    assert!(
        text.contains(&format!("http_requests_total{{{labels},status=\"200\"}} 4")),
        "{text}"
    );
    assert!(
        text.contains(&format!(
            "http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 6"
        )),
        "{text}"
    );
    assert!(
        text.contains("cutover_rejected_total{app=\"shop\",service=\"api\"} 3"),
        "{text}"
    );
    // The same path through the port, so that a removed revision keeps its counts for whoever takes differences.
    rig.route(&[("api@2.0.0#cccccc", 10_000, &[old.addr])]).await;
    assert_eq!(rig.revision(STABLE).await.answers, [(200, 4), (404, 1), (500, 1)]);
    rig.stop().await;
}

#[tokio::test]
async fn instances_learn_who_asked_and_not_what_a_client_claims() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let request = b"GET /fields HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: X-Drop\r\nX-Drop: 1\r\n\r\n";
    visitor.send(request).await.unwrap();
    let fields = visitor.answer().await.unwrap().body;
    assert!(fields.contains(r#""x-forwarded-for": "127.0.0.1""#), "{fields}");
    assert!(
        fields.contains(r#""x-forwarded-host": "shop.test""#) && fields.contains(r#""host": "shop.test""#),
        "{fields}"
    );
    assert!(
        !fields.contains("6.6.6.6") && !fields.contains("x-drop"),
        "{fields}"
    );
    rig.stop().await;
}
