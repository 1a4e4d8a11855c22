//! Instances that refuse, vanish and hang up.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::instance::{Instance, Reserved};
use crate::rig::{CANDIDATE, Rig, STABLE, eventually, policy};
use crate::visitor::Visitor;

#[tokio::test]
async fn a_dead_instance_costs_no_request_when_the_revision_has_another() {
    let nobody = Reserved::new();
    let alive = Instance::start("alive");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[nobody.addr, alive.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for round in 0..200 {
        assert_eq!(visitor.get("/").await.unwrap().body, "alive");
        assert_eq!(visitor.post("/echo", "x").await.unwrap().body, "x", "{round}");
    }
    assert_eq!(alive.writes.load(SeqCst), 200);
    let stats = rig.revision(STABLE).await;
    assert!(stats.connect_failures > 0 && stats.errors == 0, "{stats:?}");
    // Ejected: most requests did not even try it.
    assert!(stats.connect_failures < 100, "{stats:?}");
    rig.stop().await;
}

#[tokio::test]
async fn stable_serves_for_a_dead_candidate_and_the_candidate_is_charged() {
    let nobody = Reserved::new();
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 5_000, &[old.addr]), (CANDIDATE, 5_000, &[nobody.addr])])
        .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..200 {
        let answer = visitor.get("/").await.unwrap();
        assert_eq!(
            (answer.status, answer.field("x-backend-version")),
            (200, Some("1.0.0"))
        );
    }
    let (stable, candidate) = (rig.revision(STABLE).await, rig.revision(CANDIDATE).await);
    assert!(candidate.assigned > 50, "{candidate:?}");
    assert_eq!(candidate.first_attempt_failures, candidate.assigned);
    assert_eq!(candidate.answered_by_stable, candidate.assigned);
    assert_eq!(
        (
            stable.assigned + candidate.assigned,
            stable.first_attempt_failures
        ),
        (200, 0)
    );
    assert_eq!(stable.answers, [(200, 200)]);
    rig.stop().await;
}

#[tokio::test]
async fn an_instance_that_is_restarted_at_once_loses_nothing_that_was_not_sent() {
    let mut first = Instance::start("first");
    // As long as the new one may take to start on a busy machine.
    let rig = Rig::start_with(|options| options.limits.connect_patience = Duration::from_secs(15));
    rig.route(&[(STABLE, 10_000, &[first.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    assert_eq!(visitor.get("/").await.unwrap().body, "first");
    first.kill();
    // The new instance lives until both are answered.
    let (read, (write, second)) = tokio::join!(async { visitor.get("/").await.unwrap() }, async {
        let mut other = Visitor::connect(rig.addr).await.unwrap();
        let asked = other.post("/echo", "kept");
        let restarted = async {
            eventually("it was tried", async || {
                rig.revision(STABLE).await.connect_failures > 1
            })
            .await;
            Instance::start_at("second", first.addr)
        };
        let (answer, second) = tokio::join!(asked, restarted);
        (answer.unwrap(), second)
    });
    assert_eq!((read.status, write.body.as_str()), (200, "kept"));
    assert_eq!(second.writes.load(SeqCst), 1);
    rig.stop().await;
}

#[tokio::test]
async fn without_any_instance_the_answer_is_502_within_the_patience() {
    let nobody = Reserved::new();
    let rig = Rig::start_with(|options| options.limits.connect_patience = Duration::from_millis(50));
    rig.route(&[(STABLE, 10_000, &[nobody.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    assert_eq!(visitor.get("/").await.unwrap().status, 502);
    let stats = rig.revision(STABLE).await;
    assert_eq!((stats.first_attempts, stats.first_attempt_failures), (1, 1));
    assert_eq!(stats.answers, [(502, 1)]);
    rig.stop().await;
}

#[tokio::test]
async fn a_post_over_a_connection_that_the_instance_has_closed_is_done_once() {
    let mut first = Instance::start("first");
    let rig = Rig::start_with(|options| options.workers = Some(1));
    rig.route(&[(STABLE, 10_000, &[first.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..20 {
        assert_eq!(visitor.post("/echo", "1").await.unwrap().body, "1");
        let addr = first.addr;
        // Its connections close while the proxy holds them idle.
        first.kill();
        first = Instance::start_at("again", addr);
        assert_eq!(visitor.post("/echo", "2").await.unwrap().body, "2");
        assert_eq!(first.writes.load(SeqCst), 1, "once, neither lost nor doubled");
    }
    assert_eq!(rig.revision(STABLE).await.cut_writes, 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_write_that_is_cut_is_not_repeated_and_a_read_is() {
    // Reads each request, then hangs up without a word.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rude = listener.local_addr().unwrap();
    let hanging_up = tokio::spawn(async move {
        for count in 1_u64.. {
            let Ok((mut stream, _)) = listener.accept().await else {
                return;
            };
            drop(stream.read(&mut [0; 1024]).await);
            tracing::trace!(count, "hung up");
        }
    });
    let polite = Instance::start("polite");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[rude])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    assert_eq!(visitor.post("/echo", "x").await.unwrap().status, 502);
    assert_eq!(rig.revision(STABLE).await.cut_writes, 1);
    rig.route(&[(STABLE, 10_000, &[rude, polite.addr])]).await;
    for _ in 0..50 {
        assert_eq!(visitor.get("/").await.unwrap().body, "polite");
    }
    assert!(rig.revision(STABLE).await.retries > 0);
    rig.stop().await;
    hanging_up.abort();
}

#[tokio::test]
async fn an_ejected_instance_is_back_soon_after_it_listens_again() {
    let steady = Instance::start("steady");
    let nobody = Reserved::new();
    let addr = nobody.addr;
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[steady.addr, addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    eventually("it is ejected", async || {
        Visitor::connect(rig.addr).await.unwrap().get("/").await.unwrap();
        rig.revision(STABLE)
            .await
            .instances
            .iter()
            .any(|instance| instance.ejected)
    })
    .await;
    let back = Instance::start_at("back", addr);
    // Without a request: somebody looks after it.
    eventually("it is readmitted", async || back.connections.load(SeqCst) > 0).await;
    let mut seen = false;
    for _ in 0..200 {
        seen |= visitor.get("/").await.unwrap().body == "back";
    }
    assert!(seen);
    rig.stop().await;
}

#[tokio::test]
async fn an_instance_that_crashed_with_many_requests_is_back_soon_too() {
    let (steady, mut dying) = (Instance::start("steady"), Instance::start("dying"));
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[steady.addr, dying.addr])]).await;
    let writes: Vec<_> = (0..20)
        .map(|_| {
            let addr = rig.addr;
            tokio::spawn(async move {
                let mut visitor = Visitor::connect(addr).await.unwrap();
                visitor
                    .send(b"POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                    .await
                    .unwrap();
                visitor.answer().await.unwrap().status
            })
        })
        .collect();
    let begun = |instance: &Instance| usize::try_from(instance.requests.load(SeqCst)).unwrap();
    eventually("they work on them", async || begun(&steady) + begun(&dying) == 20).await;
    let lost = begun(&dying);
    assert!(lost >= 5, "enough to be left out for: {lost}");
    dying.kill();
    steady.release();
    let mut answers = Vec::new();
    for write in writes {
        answers.push(write.await.unwrap());
    }
    answers.sort_unstable();
    let expected = [vec![200; 20 - lost], vec![502; lost]].concat();
    assert_eq!(answers, expected, "what was cut may have been done");
    eventually("it is left out, and refuses", async || {
        let stable = rig.revision(STABLE).await;
        stable.ejections == 1 && stable.instances.iter().any(|one| one.ejected && one.refusals > 0)
    })
    .await;
    let addr = dying.addr;
    drop(dying);
    let back = Instance::start_at("back", addr);
    eventually("it serves again, long before half a minute is over", async || {
        let mut visitor = Visitor::connect(rig.addr).await.unwrap();
        visitor.get("/").await.unwrap().body == "back"
    })
    .await;
    drop(back);
    rig.stop().await;
}

#[tokio::test]
async fn silence_is_a_504_and_a_slow_upload_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let instance = Instance::start("patient");
    let rig = Rig::start();
    let policy = || policy(r#"{"timeouts": {"answer": "300ms"}}"#);
    rig.route_by(policy(), &[(STABLE, 10_000, &[silent])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    assert_eq!(visitor.get("/").await.unwrap().status, 504);
    assert_eq!(rig.revision(STABLE).await.timeouts, 1);
    rig.route_by(policy(), &[(STABLE, 10_000, &[instance.addr])])
        .await;
    let mut slow = tokio::net::TcpStream::connect(rig.addr).await.unwrap();
    slow.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(120)).await;
        slow.write_all(b"x").await.unwrap();
    }
    let mut text = [0; 12];
    slow.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"HTTP/1.1 200");
    drop(listener);
    rig.stop().await;
}
