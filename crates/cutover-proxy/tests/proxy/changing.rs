//! Routes and their listeners come and go while others serve.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use cutover_model::{Endpoint, InstanceId, RoutedRevision, ServiceRoute, Track, Weight};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::instance::{Instance, Reserved};
use crate::rig::{Rig, STABLE, eventually, publish, resident_kib, table};
use crate::visitor::Visitor;

/// Changes before memory is looked at, and from then on: more than are remembered of what has gone.
const FIRST: usize = 100;
const MORE: usize = 500;

/// A route that there was never before.
fn route(number: usize, listen: SocketAddr, instance: SocketAddr) -> ServiceRoute {
    let service = format!("s{number}");
    ServiceRoute {
        listen: listen.to_string(),
        policy: cutover_model::RoutePolicy::default(),
        revisions: vec![RoutedRevision {
            revision: format!("{service}@1.{number}.0#aaaaaa").parse().unwrap(),
            track: Track::Stable,
            weight: Weight::ALL,
            endpoints: vec![Endpoint {
                instance: InstanceId::new(format!("{service}-1")),
                address: instance.to_string(),
            }],
        }],
        service: service.parse().unwrap(),
    }
}

/// Reads and writes over one connection until it is told to stop; how often.
fn visit(addr: SocketAddr, stop: &Arc<AtomicBool>, sent: &Arc<AtomicU64>) -> JoinHandle<u64> {
    let (stop, sent) = (Arc::clone(stop), Arc::clone(sent));
    tokio::spawn(async move {
        let mut visitor = Visitor::connect(addr).await.unwrap();
        let mut count = 0;
        while !stop.load(SeqCst) {
            assert_eq!(visitor.get("/").await.unwrap().body, "steady");
            assert_eq!(visitor.post("/echo", "x").await.unwrap().body, "x");
            count += 2;
            sent.fetch_add(2, SeqCst);
        }
        count
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn hundreds_of_routes_come_and_go_and_the_others_lose_nothing() {
    let (steady, extra) = (Instance::start("steady"), Instance::start("extra"));
    let rig = Rig::start();
    let base = table(rig.addr, &[(STABLE, 10_000, &[steady.addr])]);
    publish(&rig.client, base.clone()).await;
    let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let visits: Vec<_> = (0..6).map(|_| visit(rig.addr, &stop, &sent)).collect();
    let places: Vec<Reserved> = (0..3).map(|_| Reserved::new()).collect();
    let (mut began, mut before) = (Instant::now(), 0);
    for number in 0..FIRST + MORE {
        if number == FIRST {
            (began, before) = (Instant::now(), resident_kib());
        }
        let place = places[number % places.len()].addr;
        let mut table = base.clone();
        // Each replaces the one before it, or leaves the steady one alone.
        if number % 5 != 0 {
            table.services.push(route(number, place, extra.addr));
        }
        publish(&rig.client, table).await;
        if number % 50 == 1 {
            // It serves as soon as it was confirmed.
            let answer = Visitor::connect(place).await.unwrap().get("/").await.unwrap();
            assert_eq!(answer.body, "extra");
        }
        if number % 50 == 0 {
            for place in &places {
                let refused = async || TcpStream::connect(place.addr).await.is_err();
                eventually("nobody listens there any more", refused).await;
            }
        }
    }
    let (took, grown) = (began.elapsed(), resident_kib().saturating_sub(before));
    println!(
        "{MORE} changes in {took:?}, {} requests meanwhile, {grown} KiB more",
        sent.load(SeqCst)
    );
    // `cargo test` runs the others in the same process, and they take memory too.
    let alone = std::env::var_os("NEXTEST").is_some();
    assert!(grown < if alone { 8 } else { 64 } * 1024, "{grown} KiB");
    publish(&rig.client, base).await;
    stop.store(true, SeqCst);
    let mut total = 0;
    for visit in visits {
        total += visit.await.unwrap();
    }
    let stats = rig.client.stats().await.unwrap();
    let answers: u64 = rig
        .revision(STABLE)
        .await
        .answers
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert_eq!(answers, total, "sent = answered");
    assert_eq!(rig.revision(STABLE).await.errors, 0);
    assert_eq!(stats.listeners.len(), 1, "{:?}", stats.listeners);
    assert!(
        stats.routes.len() < 100 && stats.revisions.len() < 100,
        "what has gone is forgotten in the end"
    );
    rig.stop().await;
}
