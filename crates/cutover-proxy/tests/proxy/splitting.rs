//! Shares, and where requests go.

use crate::instance::{Instance, Reserved};
use crate::rig::{CANDIDATE, Rig, STABLE};
use crate::visitor::Visitor;

#[tokio::test]
async fn two_thousand_requests_follow_the_weights_and_name_their_version() {
    let (old, new) = (Instance::start("old"), Instance::start("new"));
    let rig = Rig::start();
    rig.route(&[(STABLE, 8_000, &[old.addr]), (CANDIDATE, 2_000, &[new.addr])])
        .await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let mut fresh = 0;
    for _ in 0..2_000 {
        let answer = visitor.get("/").await.unwrap();
        assert_eq!(answer.status, 200);
        let version = answer.field("x-backend-version").unwrap().to_owned();
        assert_eq!(answer.body == "new", version == "1.1.0");
        fresh += u32::from(answer.body == "new");
    }
    // Five standard deviations around 400.
    assert!((310..=490).contains(&fresh), "{fresh}");
    let stats = rig.revision(CANDIDATE).await;
    assert_eq!(stats.assigned, u64::from(fresh));
    assert_eq!(stats.first_attempts, u64::from(fresh));
    rig.stop().await;
}

#[tokio::test]
async fn no_share_anywhere_is_a_503_that_says_when_to_come_back() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 0, &[old.addr])]).await;
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let answer = visitor.get("/").await.unwrap();
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("1")));
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    assert_eq!(visitor.get("/").await.unwrap().body, "old");
    assert_eq!(rig.client.stats().await.unwrap().routes[0].unavailable, 1);
    rig.stop().await;
}

#[tokio::test]
async fn an_address_without_a_passed_socket_is_bound_by_the_proxy_and_let_go_again() {
    let old = Instance::start("old");
    let rig = Rig::start();
    let reserved = Reserved::new();
    let addr = reserved.addr;
    crate::rig::publish(
        &rig.client,
        crate::rig::table(addr, &[(STABLE, 10_000, &[old.addr])]),
    )
    .await;
    let mut visitor = Visitor::connect(addr).await.unwrap();
    assert_eq!(visitor.get("/").await.unwrap().body, "old");
    let listeners = rig.client.stats().await.unwrap().listeners;
    assert!(
        listeners
            .iter()
            .any(|view| view.address == addr && view.self_bound)
    );
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    crate::rig::eventually("the address is free again", async || {
        cutover_os::bind_listener(addr).is_ok()
    })
    .await;
    rig.stop().await;
}
