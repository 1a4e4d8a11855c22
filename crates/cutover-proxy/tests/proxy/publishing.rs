//! Who may change the table, and what stays of it.

use cutover_model::Track;
use cutover_ports::{MetricSource, Router};
use cutover_proxy::{ClientError, ProxyRouter, PublishRequest, Refusal};

use crate::instance::Instance;
use crate::rig::{Rig, STABLE, fence, table};
use crate::visitor::Visitor;

fn refusal(error: ClientError) -> Refusal {
    match error {
        ClientError::Refused(refusal) => refusal,
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test]
async fn older_generations_foreign_stores_and_outdated_serials_are_refused() {
    let old = Instance::start("old");
    let rig = Rig::start();
    let request = |store: &str, generation, expected_serial| PublishRequest {
        fence: fence(store, generation),
        expected_serial,
        adopt: false,
        table: table(rig.addr, &[(STABLE, 10_000, &[old.addr])]),
    };
    let receipt = rig.client.publish(&request("mine", 5, 0)).await.unwrap();
    assert_eq!(receipt.serial, 1);
    let stale = refusal(rig.client.publish(&request("mine", 4, 1)).await.unwrap_err());
    assert_eq!(
        stale,
        Refusal::StaleFence {
            generation: 4,
            last: 5
        }
    );
    let foreign = refusal(rig.client.publish(&request("theirs", 9, 1)).await.unwrap_err());
    assert!(matches!(foreign, Refusal::ForeignStore { .. }));
    let outdated = refusal(rig.client.publish(&request("mine", 5, 0)).await.unwrap_err());
    assert_eq!(
        outdated,
        Refusal::SerialConflict {
            expected: 0,
            current: 1
        }
    );
    assert_eq!(
        rig.client.publish(&request("mine", 6, 1)).await.unwrap().serial,
        2
    );
    let adopted = PublishRequest {
        adopt: true,
        ..request("theirs", 1, 2)
    };
    rig.client.publish(&adopted).await.unwrap();
    let view = rig.client.table().await.unwrap();
    assert_eq!((view.serial, view.fence), (3, Some(fence("theirs", 1))));
    rig.stop().await;
}

#[tokio::test]
async fn of_two_writers_with_the_same_serial_one_wins() {
    let old = Instance::start("old");
    let rig = Rig::start();
    let request = PublishRequest {
        fence: fence("mine", 1),
        expected_serial: 0,
        adopt: false,
        table: table(rig.addr, &[(STABLE, 10_000, &[old.addr])]),
    };
    let (one, two) = tokio::join!(rig.client.publish(&request), rig.client.publish(&request));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_table_that_cannot_be_kept_or_served_changes_nothing() {
    let old = Instance::start("old");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let before = rig.client.table().await.unwrap();
    let request = |table| PublishRequest {
        fence: fence("store", 1),
        expected_serial: before.serial,
        adopt: false,
        table,
    };
    let taken = table(old.addr, &[(STABLE, 10_000, &[old.addr])]);
    let refused = refusal(rig.client.publish(&request(taken)).await.unwrap_err());
    assert!(matches!(refused, Refusal::CannotListen { .. }));
    let empty = table(rig.addr, &[(STABLE, 10_000, &[])]);
    let refused = refusal(rig.client.publish(&request(empty)).await.unwrap_err());
    assert!(matches!(refused, Refusal::InvalidTable { .. }));
    // A folder in the place of the file that is written first: like a full disk, the write fails.
    std::fs::create_dir(rig.folder.path().join("proxy-table.json.new")).unwrap();
    let fine = table(rig.addr, &[(STABLE, 5_000, &[old.addr])]);
    let refused = refusal(rig.client.publish(&request(fine)).await.unwrap_err());
    assert!(matches!(refused, Refusal::NotSaved { .. }));
    assert_eq!(rig.client.table().await.unwrap(), before);
    assert_eq!(
        Visitor::connect(rig.addr)
            .await
            .unwrap()
            .get("/")
            .await
            .unwrap()
            .body,
        "old"
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_restarted_proxy_serves_by_the_table_it_had_and_remembers_the_fence() {
    let old = Instance::start("old");
    let listener = cutover_os::bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let kept = listener.try_clone().unwrap();
    let rig = Rig::start_on(listener, tempfile::tempdir().unwrap(), |_| {});
    rig.route(&[(STABLE, 10_000, &[old.addr])]).await;
    let before = rig.client.table().await.unwrap();
    let folder = rig.stop().await;
    let rig = Rig::start_on(kept, folder, |_| {});
    assert_eq!(rig.client.table().await.unwrap(), before);
    assert_eq!(
        Visitor::connect(rig.addr)
            .await
            .unwrap()
            .get("/")
            .await
            .unwrap()
            .body,
        "old"
    );
    let request = PublishRequest {
        fence: fence("store", 0),
        expected_serial: before.serial,
        adopt: false,
        table: before.table,
    };
    let refused = refusal(rig.client.publish(&request).await.unwrap_err());
    assert!(matches!(refused, Refusal::StaleFence { .. }));
    rig.stop().await;
}

#[tokio::test]
async fn a_second_proxy_on_the_same_admin_socket_does_not_start() {
    let rig = Rig::start();
    assert!(cutover_proxy::start(crate::rig::options(&rig.folder)).is_err());
    assert!(rig.client.is_ready().await);
    rig.stop().await;
}

#[tokio::test]
async fn sockets_can_be_handed_in_while_it_runs() {
    let old = Instance::start("old");
    let rig = Rig::start();
    let listener = cutover_os::bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let fd = std::os::fd::AsFd::as_fd(&listener);
    assert_eq!(rig.client.add_listeners(&[fd]).await.unwrap(), [addr]);
    assert!(rig.client.add_listeners(&[fd]).await.is_err(), "twice");
    let mut both = table(addr, &[(STABLE, 10_000, &[old.addr])]);
    both.services
        .extend(table(rig.addr, &[("web@1.0.0#aaaaaa", 10_000, &[old.addr])]).services);
    both.services[1].service = "web".parse().unwrap();
    crate::rig::publish(&rig.client, both).await;
    for addr in [addr, rig.addr] {
        assert_eq!(
            Visitor::connect(addr)
                .await
                .unwrap()
                .get("/")
                .await
                .unwrap()
                .status,
            200
        );
    }
    let listeners = rig.client.stats().await.unwrap().listeners;
    assert!(listeners.iter().all(|view| !view.self_bound), "{listeners:?}");
    rig.stop().await;
}

#[tokio::test]
async fn the_router_port_applies_reads_back_and_fences() {
    let old = Instance::start("old");
    let rig = Rig::start();
    let router = ProxyRouter::new(rig.client.socket());
    let wanted = table(rig.addr, &[(STABLE, 10_000, &[old.addr])]);
    router.apply(&fence("store", 3), &wanted).await.unwrap();
    let state = router.read().await.unwrap();
    assert_eq!(state.table, wanted);
    assert_eq!(state.table.services[0].revisions[0].track, Track::Stable);
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    visitor.get("/").await.unwrap();
    visitor.get("/status/503").await.unwrap();
    let id = STABLE.parse().unwrap();
    let counters = router.counters(&id).await.unwrap();
    assert_eq!((counters.requests, counters.errors), (2, 1));
    assert_eq!(counters.latency.0.iter().sum::<u64>(), 2);
    let stale = router.apply(&fence("store", 2), &wanted).await.unwrap_err();
    assert!(stale.is_stale());
    rig.stop().await;
    let gone = router.apply(&fence("store", 3), &wanted).await.unwrap_err();
    assert_eq!(gone.certainty, cutover_ports::Certainty::DefinitelyNot);
    assert_eq!(gone.diagnostic.code, "proxy.unreachable");
}
