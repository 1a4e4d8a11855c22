//! The promise: a switch loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::instance::Instance;
use crate::rig::{CANDIDATE, Rig, STABLE, eventually};
use crate::visitor::Visitor;

const VISITORS: usize = 16;
const WANTED: u64 = 24_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn switches_under_load_fail_no_request_and_the_old_version_is_silent_afterwards() {
    let mut olds = [Instance::start("old"), Instance::start("old")];
    let news = [Instance::start("new"), Instance::start("new")];
    let rig = Rig::start();
    let old_addrs = [olds[0].addr, olds[1].addr];
    let new_addrs = [news[0].addr, news[1].addr];
    rig.route(&[(STABLE, 10_000, &old_addrs), (CANDIDATE, 0, &new_addrs)])
        .await;
    let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let visits: Vec<_> = (0..VISITORS)
        .map(|number| {
            let (addr, sent, stop) = (rig.addr, Arc::clone(&sent), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut visitor = Visitor::connect(addr).await.unwrap();
                let mut count = 0_u64;
                while !stop.load(SeqCst) {
                    // Every eighth visitor opens a connection a request; every fifth request writes.
                    if number % 8 == 0 {
                        visitor = Visitor::connect(addr).await.unwrap();
                    }
                    let answer = if count.is_multiple_of(5) {
                        visitor.post("/", "body").await
                    } else {
                        visitor.get("/").await
                    };
                    assert_eq!(answer.unwrap().status, 200);
                    count += 1;
                    sent.fetch_add(1, SeqCst);
                }
                count
            })
        })
        .collect();
    let mut candidate = 0;
    while sent.load(SeqCst) < WANTED {
        candidate = if candidate == 10_000 { 0 } else { candidate + 2_500 };
        rig.route(&[
            (STABLE, 10_000 - candidate, &old_addrs),
            (CANDIDATE, candidate, &new_addrs),
        ])
        .await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.route(&[(STABLE, 0, &old_addrs), (CANDIDATE, 10_000, &new_addrs)])
        .await;
    // What was confirmed is a fact: once the open ones are done, the old version hears nothing more.
    eventually("drained", async || rig.in_flight(STABLE).await == 0).await;
    let silent_from: u64 = olds.iter().map(|old| old.requests.load(SeqCst)).sum();
    for old in &mut olds {
        old.kill();
    }
    let more = sent.load(SeqCst) + 2_000;
    eventually("more requests", async || sent.load(SeqCst) >= more).await;
    stop.store(true, SeqCst);
    let mut total = 0;
    for visit in visits {
        total += visit.await.unwrap();
    }
    assert!(total >= WANTED);
    let old_total: u64 = olds.iter().map(|old| old.requests.load(SeqCst)).sum();
    assert_eq!(old_total, silent_from);
    let served = rig.revision(STABLE).await.answers[0].1 + rig.revision(CANDIDATE).await.answers[0].1;
    assert_eq!(served, total, "sent = answered");
    let retries = rig.revision(STABLE).await.retries + rig.revision(CANDIDATE).await.retries;
    assert_eq!(retries, 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_instance_killed_without_warning_fails_no_read() {
    let mut doomed = Instance::start("doomed");
    let steady = Instance::start("steady");
    let rig = Rig::start();
    rig.route(&[(STABLE, 10_000, &[doomed.addr, steady.addr])]).await;
    let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let visits: Vec<_> = (0..8)
        .map(|_| {
            let (addr, sent, stop) = (rig.addr, Arc::clone(&sent), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut visitor = Visitor::connect(addr).await.unwrap();
                while !stop.load(SeqCst) {
                    assert_eq!(visitor.get("/").await.unwrap().status, 200);
                    sent.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    eventually("both serve", async || doomed.requests.load(SeqCst) > 500).await;
    doomed.kill();
    let more = sent.load(SeqCst) + 1_000;
    eventually("more requests", async || sent.load(SeqCst) >= more).await;
    stop.store(true, SeqCst);
    for visit in visits {
        visit.await.unwrap();
    }
    assert_eq!(rig.revision(STABLE).await.errors, 0);
    rig.stop().await;
}
