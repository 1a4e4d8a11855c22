//! Balancers in front that announce the client by the PROXY protocol.

use cutover_model::RoutePolicy;

use crate::instance::Instance;
use crate::rig::{Rig, STABLE};
use crate::visitor::Visitor;

async fn behind(network: &str) -> (Rig, Instance) {
    let old = Instance::start("old");
    let rig = Rig::start();
    let policy = RoutePolicy {
        proxy_protocol: vec![network.to_owned()],
        ..RoutePolicy::default()
    };
    rig.route_by(policy, &[(STABLE, 10_000, &[old.addr])]).await;
    (rig, old)
}

#[tokio::test]
async fn a_trusted_balancer_says_who_the_client_is() {
    let (rig, _old) = behind("127.0.0.0/8").await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor
        .send(b"PROXY TCP4 192.0.2.7 10.0.0.1 1234 80\r\n")
        .await
        .unwrap();
    let seen = visitor.get("/fields").await.unwrap().body;
    for field in [
        r#""x-forwarded-for": "192.0.2.7""#,
        r#""x-real-ip": "192.0.2.7""#,
        r#""forwarded": "for=192.0.2.7;proto=http""#,
    ] {
        assert!(seen.contains(field), "{field} in {seen}");
    }
    // Without its header nothing from there is served.
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    assert!(visitor.get("/").await.is_err());
    rig.stop().await;
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let (rig, old) = behind("10.0.0.0/8").await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor
        .send(b"PROXY TCP4 192.0.2.7 10.0.0.1 1234 80\r\n")
        .await
        .unwrap();
    let answer = visitor.get("/fields").await;
    assert!(answer.is_err() || answer.unwrap().status == 400);
    assert_eq!(old.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
    let seen = Visitor::connect(rig.addr)
        .await
        .unwrap()
        .get("/fields")
        .await
        .unwrap()
        .body;
    assert!(seen.contains(r#""x-forwarded-for": "127.0.0.1""#), "{seen}");
    rig.stop().await;
}
