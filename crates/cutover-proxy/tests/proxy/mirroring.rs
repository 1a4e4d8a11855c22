//! Copies of requests for the candidate: which, with what, and that the original never notices.

use cutover_model::RoutePolicy;
use cutover_model::routing::{Mirror, UpstreamProtocol};
use cutover_proxy::{ClientError, MirrorStats, PublishRequest, Refusal};

use crate::instance::Reserved;
use crate::recorder::Recorder;
use crate::rig::{CANDIDATE, Rig, STABLE, eventually, fence, table};
use crate::visitor::{Answer, Visitor};

struct Stage {
    rig: Rig,
    stable: Recorder,
    candidate: Recorder,
    visitor: Visitor,
}

impl Stage {
    /// Everything goes to stable, and copies to the candidate.
    async fn new(mirror: Mirror) -> Self {
        let (stable, candidate) = (Recorder::start("old").await, Recorder::start("new").await);
        let rig = Rig::start();
        let shares = [
            (STABLE, 10_000, &[stable.addr][..]),
            (CANDIDATE, 0, &[candidate.addr]),
        ];
        rig.route_by(policy(mirror), &shares).await;
        let visitor = Visitor::connect(rig.addr).await.unwrap();
        Self {
            rig,
            stable,
            candidate,
            visitor,
        }
    }

    async fn ask(&mut self, text: &str) -> Answer {
        self.visitor.send(text.as_bytes()).await.unwrap();
        self.visitor.answer().await.unwrap()
    }

    async fn stats(&self) -> MirrorStats {
        stats(&self.rig).await
    }
}

fn policy(mirror: Mirror) -> RoutePolicy {
    RoutePolicy {
        mirror: Some(mirror),
        ..RoutePolicy::default()
    }
}

async fn stats(rig: &Rig) -> MirrorStats {
    let stats = rig.client.stats().await.unwrap();
    stats.routes[0].mirror.unwrap_or_default()
}

#[tokio::test]
async fn copies_are_marked_carry_no_credentials_and_count_nowhere_as_the_candidates() {
    let mut stage = Stage::new(Mirror::default()).await;
    let ask =
        "GET /a?b=c HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nCookie: s=1\r\nX-Other: y\r\n\r\n";
    for _ in 0..5 {
        assert_eq!(stage.ask(ask).await.body, "old");
    }
    // Neither of these is copied: it changes something.
    assert_eq!(stage.visitor.post("/echo", "x").await.unwrap().body, "x");
    for copy in stage.candidate.saw(5).await {
        assert_eq!((copy.method.as_str(), copy.path.as_str()), ("GET", "/a"));
        assert_eq!(copy.headers["x-shadow-traffic"], "true");
        assert_eq!(
            (&copy.headers["x-other"], &copy.headers["host"]),
            (&"y".parse().unwrap(), &"a".parse().unwrap())
        );
        assert!(!copy.headers.contains_key("authorization") && !copy.headers.contains_key("cookie"));
    }
    for original in stage.stable.saw(6).await {
        assert!(!original.headers.contains_key("x-shadow-traffic"));
        assert_eq!(
            original.headers.contains_key("authorization"),
            original.method == "GET"
        );
    }
    eventually("they are over", async || stage.stats().await.open == 0).await;
    let expected = MirrorStats {
        sent: 5,
        ..MirrorStats::default()
    };
    assert_eq!(stage.stats().await, expected);
    let candidate = stage.rig.revision(CANDIDATE).await;
    assert_eq!(
        (
            candidate.assigned,
            candidate.first_attempts,
            candidate.in_flight,
            candidate.instances[0].attempts
        ),
        (0, 0, 0, 0)
    );
    assert!(candidate.answers.is_empty());
    let text = stage.rig.client.metrics().await.unwrap();
    assert!(
        text.contains("cutover_mirrored_total{app=\"shop\",service=\"api\",outcome=\"sent\"} 5\n"),
        "{text}"
    );
    stage.rig.stop().await;
}

#[tokio::test]
async fn bodies_and_credentials_go_along_where_that_was_asked_for() {
    let mut stage = Stage::new(Mirror {
        methods: vec!["POST".to_owned()],
        credentials: true,
        max_body: 10,
        ..Mirror::default()
    })
    .await;
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nCookie: s=1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(stage.ask(chunked).await.body, "abcde");
    assert_eq!(
        stage.visitor.post("/echo", "0123456789").await.unwrap().body,
        "0123456789"
    );
    assert_eq!(
        stage.visitor.post("/echo", "0123456789x").await.unwrap().body,
        "0123456789x"
    );
    let long = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nghijkl\r\n0\r\n\r\n";
    assert_eq!(stage.ask(long).await.body, "abcdefghijkl");
    assert_eq!(
        stage.visitor.get("/").await.unwrap().body,
        "old",
        "no copy: it is no POST"
    );
    let copies = stage.candidate.saw(2).await;
    let mut bodies: Vec<_> = copies.iter().map(|copy| copy.body.as_str()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["0123456789", "abcde"]);
    let with_cookie = copies.iter().filter(|copy| copy.headers.contains_key("cookie"));
    assert_eq!(with_cookie.count(), 1);
    let stats = stage.stats().await;
    assert_eq!((stats.sent, stats.too_long), (2, 2));
    stage.rig.stop().await;
}

#[tokio::test]
async fn a_share_is_copied() {
    let mut stage = Stage::new(Mirror {
        percentage: 25,
        queue: 10_000,
        ..Mirror::default()
    })
    .await;
    for _ in 0..800 {
        assert_eq!(stage.visitor.get("/").await.unwrap().body, "old");
    }
    let sent = stage.stats().await.sent;
    // 200 expected; a deviation of 75 is six times the standard one.
    assert!((125..=275).contains(&sent), "{sent}");
    stage.candidate.saw(usize::try_from(sent).unwrap()).await;
    stage.rig.stop().await;
}

#[tokio::test]
async fn a_candidate_that_does_not_answer_slows_nobody() {
    let mut stage = Stage::new(Mirror {
        queue: 5,
        ..Mirror::default()
    })
    .await;
    stage.candidate.hold(true);
    // Each is answered while every copy is still being held.
    for _ in 0..200 {
        assert_eq!(stage.visitor.get("/").await.unwrap().body, "old");
    }
    let stats = stage.stats().await;
    assert_eq!((stats.open, stats.sent, stats.full), (5, 5, 195));
    stage.candidate.saw(5).await;
    stage.candidate.hold(false);
    eventually("their places are free", async || stage.stats().await.open == 0).await;
    assert_eq!(stage.visitor.get("/").await.unwrap().body, "old");
    stage.candidate.saw(6).await;
    // The connections were kept.
    assert_eq!(stage.stats().await.failed, 0);
    stage.rig.stop().await;
}

#[tokio::test]
async fn a_candidate_that_cannot_be_reached_is_not_held_against_it() {
    let (stable, nobody) = (Recorder::start("old").await, Reserved::new());
    let rig = Rig::start();
    let shares = [
        (STABLE, 10_000, &[stable.addr][..]),
        (CANDIDATE, 0, &[nobody.addr]),
    ];
    rig.route_by(policy(Mirror::default()), &shares).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    for _ in 0..20 {
        assert_eq!(visitor.get("/").await.unwrap().body, "old");
    }
    eventually("all have failed", async || stats(&rig).await.failed == 20).await;
    let candidate = rig.revision(CANDIDATE).await;
    assert_eq!(
        (candidate.connect_failures, candidate.instances[0].ejected),
        (0, false)
    );
    rig.stop().await;
}

#[tokio::test]
async fn answers_are_compared() {
    let mut stage = Stage::new(Mirror {
        compare: true,
        methods: ["GET", "POST"].map(str::to_owned).to_vec(),
        max_body: 100,
        ..Mirror::default()
    })
    .await;
    assert_eq!(stage.visitor.post("/echo", "same").await.unwrap().body, "same");
    assert_eq!(stage.visitor.get("/").await.unwrap().body, "old");
    assert_eq!(stage.visitor.get("/only/old").await.unwrap().status, 200);
    eventually("all were compared", async || {
        let stats = stage.stats().await;
        stats.equal + stats.other_status + stats.other_body == 3
    })
    .await;
    let stats = stage.stats().await;
    assert_eq!(
        (
            stats.equal,
            stats.other_status,
            stats.other_body,
            stats.not_compared
        ),
        (1, 1, 1, 0)
    );
    // Where there is no answer there is nothing to compare.
    let nobody = Reserved::new();
    let mirror = Mirror {
        compare: true,
        ..Mirror::default()
    };
    let shares = [
        (STABLE, 10_000, &[stage.stable.addr][..]),
        (CANDIDATE, 0, &[nobody.addr]),
    ];
    stage.rig.route_by(policy(mirror), &shares).await;
    assert_eq!(stage.visitor.get("/").await.unwrap().body, "old");
    eventually("it was not compared", async || {
        stage.stats().await.not_compared == 1
    })
    .await;
    stage.rig.stop().await;
}

#[tokio::test]
async fn what_goes_to_the_candidate_itself_and_what_changes_the_protocol_is_not_copied() {
    let (stable, candidate) = (Recorder::start("old").await, Recorder::start("new").await);
    let rig = Rig::start();
    let shares = [
        (STABLE, 0, &[stable.addr][..]),
        (CANDIDATE, 10_000, &[candidate.addr]),
    ];
    rig.route_by(policy(Mirror::default()), &shares).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    assert_eq!(visitor.get("/").await.unwrap().body, "new");
    let back = [
        (STABLE, 10_000, &[stable.addr][..]),
        (CANDIDATE, 0, &[candidate.addr]),
    ];
    rig.route_by(policy(Mirror::default()), &back).await;
    let switch = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    visitor.send(switch.as_bytes()).await.unwrap();
    assert_eq!(visitor.answer().await.unwrap().status, 200, "it does not switch");
    assert_eq!(stats(&rig).await, MirrorStats::default());
    assert_eq!(candidate.seen().len(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused() {
    let rig = Rig::start();
    let refused = async |policy: RoutePolicy| {
        let mut table = table(rig.addr, &[]);
        table.services[0].policy = policy;
        let request = PublishRequest {
            fence: fence("store", 1),
            expected_serial: 0,
            adopt: false,
            table,
        };
        match rig.client.publish(&request).await.unwrap_err() {
            ClientError::Refused(Refusal::InvalidTable { what }) => what,
            other => panic!("{other:?}"),
        }
    };
    let http2 = RoutePolicy {
        upstream: UpstreamProtocol::H2c,
        ..policy(Mirror::default())
    };
    assert!(refused(http2).await.contains("HTTP/2"));
    let tunnel = Mirror {
        methods: vec!["CONNECT".to_owned()],
        ..Mirror::default()
    };
    assert!(refused(policy(tunnel)).await.contains("CONNECT"));
    let nothing = Mirror {
        percentage: 0,
        ..Mirror::default()
    };
    assert!(refused(policy(nothing)).await.contains("0 %"));
    rig.stop().await;
}
