//! A proxy with a folder, and tables in few words.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use cutover_model::routing::AnswerFields;
use cutover_model::{
    Endpoint, Fence, Generation, InstanceId, RevisionId, RoutePolicy, RouteTable, RoutedRevision,
    ServiceRoute, StoreId, Track, Weight,
};
use cutover_proxy::{Client, ProxyOptions, PublishReceipt, PublishRequest, RevisionStats, RunningProxy};
use tempfile::TempDir;

use crate::visitor::PATIENCE;

pub(crate) const STABLE: &str = "api@1.0.0#aaaaaa";
pub(crate) const CANDIDATE: &str = "api@1.1.0#bbbbbb";

/// A running proxy on the test's own threads.
pub(crate) struct Rig {
    pub(crate) addr: SocketAddr,
    pub(crate) client: Client,
    pub(crate) folder: TempDir,
    proxy: Option<RunningProxy>,
}

/// A revision's name, its share in parts per 10,000, its addresses. The first of a list is stable.
pub(crate) type Share<'a> = (&'a str, u32, &'a [SocketAddr]);

impl Rig {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut ProxyOptions)) -> Self {
        let listener = cutover_os::bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
        Self::start_on(listener, tempfile::tempdir().unwrap(), change)
    }

    pub(crate) fn start_on(
        listener: TcpListener,
        folder: TempDir,
        change: impl FnOnce(&mut ProxyOptions),
    ) -> Self {
        let addr = listener.local_addr().unwrap();
        let mut options = options(&folder);
        options.listeners.push(listener);
        change(&mut options);
        let client = Client::new(&options.admin_socket);
        Self {
            addr,
            client,
            folder,
            proxy: Some(cutover_proxy::start(options).unwrap()),
        }
    }

    pub(crate) async fn route(&self, shares: &[Share<'_>]) -> PublishReceipt {
        publish(&self.client, table(self.addr, shares)).await
    }

    /// The same with a policy.
    pub(crate) async fn route_by(&self, policy: RoutePolicy, shares: &[Share<'_>]) -> PublishReceipt {
        let mut table = table(self.addr, shares);
        table.services[0].policy = policy;
        publish(&self.client, table).await
    }

    pub(crate) async fn revision(&self, id: &str) -> RevisionStats {
        let stats = self.client.stats().await.unwrap();
        let id: RevisionId = id.parse().unwrap();
        stats
            .revisions
            .into_iter()
            .find(|found| found.revision == id)
            .unwrap()
    }

    pub(crate) async fn in_flight(&self, id: &str) -> u64 {
        let id = id.parse().unwrap();
        self.client.in_flight(Some(&id)).await.unwrap().in_flight
    }

    /// Stops gracefully, off the async threads.
    pub(crate) async fn stop(mut self) -> TempDir {
        let proxy = self.proxy.take().unwrap();
        tokio::task::spawn_blocking(move || proxy.stop()).await.unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

/// A policy as it stands in a file, but as JSON.
pub(crate) fn policy(json: &str) -> RoutePolicy {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn options(folder: &TempDir) -> ProxyOptions {
    let mut options = ProxyOptions::new("shop", folder.path().to_owned(), folder.path().join("proxy.sock"));
    options.workers = Some(2);
    options.seed = Some(42);
    options.limits.close_spread = Duration::from_millis(200);
    options.limits.drain_timeout = Duration::from_secs(10);
    options
}

pub(crate) fn fence(store: &str, generation: u64) -> Fence {
    Fence {
        store: StoreId::new(store),
        generation: Generation(generation),
    }
}

pub(crate) fn table(listen: SocketAddr, shares: &[Share<'_>]) -> RouteTable {
    let revisions = shares
        .iter()
        .enumerate()
        .map(|(index, (id, parts, addrs))| RoutedRevision {
            revision: id.parse().unwrap(),
            track: if index == 0 {
                Track::Stable
            } else {
                Track::Candidate
            },
            weight: Weight::new(*parts).unwrap(),
            endpoints: addrs
                .iter()
                .map(|addr| Endpoint {
                    instance: InstanceId::new(format!("{id}/{addr}")),
                    address: addr.to_string(),
                })
                .collect(),
        });
    RouteTable {
        services: vec![ServiceRoute {
            service: "api".parse().unwrap(),
            listen: listen.to_string(),
            policy: RoutePolicy {
                answer_fields: AnswerFields {
                    backend_version: true,
                    served_by: false,
                },
                ..RoutePolicy::default()
            },
            revisions: revisions.collect(),
        }],
    }
}

pub(crate) async fn publish(client: &Client, table: RouteTable) -> PublishReceipt {
    let request = PublishRequest {
        fence: fence("store", 1),
        expected_serial: client.table().await.unwrap().serial,
        adopt: false,
        table,
    };
    client.publish(&request).await.unwrap()
}

/// What this process takes of memory.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Asks again until it is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
