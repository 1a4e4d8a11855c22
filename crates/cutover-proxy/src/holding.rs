//! Requests are held and let go, as somebody asks: on disk, so that a proxy that is started again still holds them, and
//! also by the processes before this one, which may still serve connections.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use cutover_model::ServiceName;
use serde::{Deserialize, Serialize};

use crate::hold;
use crate::publish::Publisher;
use crate::saved::{self, LoadError};
use crate::shared::Shared;
use crate::state::RouteState;
use crate::wire::{HoldRequest, HoldView, Refusal, ReleaseRequest};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SavedHolds {
    format: u32,
    /// Each names its service.
    holds: Vec<HoldRequest>,
}

/// The only one who begins and ends holds.
#[derive(Debug)]
pub(crate) struct Holding {
    shared: Arc<Shared>,
    publisher: Arc<Publisher>,
    path: PathBuf,
}

impl SavedHolds {
    pub(crate) fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("proxy-holds.json")
    }

    pub(crate) fn load(path: &Path) -> Result<Option<Self>, LoadError> {
        saved::load(path, FORMAT)
    }
}

impl Holding {
    pub(crate) fn new(shared: Arc<Shared>, publisher: Arc<Publisher>, path: PathBuf) -> Self {
        Self {
            shared,
            publisher,
            path,
        }
    }

    /// Holds again what was held when the process ended. Services that are no more are passed over.
    pub(crate) fn restore(&self, saved: SavedHolds) {
        for asked in saved.holds {
            if asked.service.is_some() {
                self.begin(&asked);
            }
        }
    }

    fn begin(&self, asked: &HoldRequest) -> Vec<Arc<RouteState>> {
        let routes = self.matching(asked.service.as_ref());
        if !routes.is_empty() {
            self.shared.holds.store(true, Relaxed);
        }
        for route in &routes {
            let service = Some(route.service.clone());
            let begun = route.hold.begin(HoldRequest {
                service,
                ..asked.clone()
            });
            if let (Some(begun), Some(at_most)) = (begun, asked.at_most) {
                tokio::spawn(hold::end_after(Arc::clone(route), begun, at_most.as_duration()));
            }
        }
        routes
    }

    /// Holds, and returns when that is on disk.
    ///
    /// # Errors
    /// If it cannot be kept, or a process before this one refuses. Requests are held all the same, until the process
    /// ends.
    pub(crate) async fn hold(&self, asked: &HoldRequest) -> Result<Vec<HoldView>, Refusal> {
        // One after the other, and none while another process takes over: what it reads is what was asked last.
        let _turn = self.publisher.turn().await?;
        let routes = self.begin(asked);
        let passed = self.pass_on_hold(asked).await;
        self.keep().await?;
        passed?;
        Ok(views(&routes))
    }

    /// Holds no longer; those that wait go on one after the other.
    ///
    /// # Errors
    /// If that cannot be kept: requests go on all the same, and are held again by the next process. Or if a process
    /// before this one refuses: its requests wait on.
    pub(crate) async fn release(&self, asked: &ReleaseRequest) -> Result<Vec<HoldView>, Refusal> {
        let _turn = self.publisher.turn().await?;
        let routes = self.end(asked);
        let passed = self.pass_on_release(asked).await;
        self.keep().await?;
        passed?;
        Ok(views(&routes))
    }

    /// What the process that has taken over was asked. What is on disk is its own.
    pub(crate) async fn follow_hold(&self, asked: &HoldRequest) -> Result<(), Refusal> {
        self.begin(asked);
        self.pass_on_hold(asked).await
    }

    /// What the process that has taken over was asked.
    pub(crate) async fn follow_release(&self, asked: &ReleaseRequest) -> Result<(), Refusal> {
        self.end(asked);
        self.pass_on_release(asked).await
    }

    async fn pass_on_hold(&self, asked: &HoldRequest) -> Result<(), Refusal> {
        let passed = self
            .publisher
            .pass_on(async |before| before.follow_hold(asked).await);
        passed.await
    }

    async fn pass_on_release(&self, asked: &ReleaseRequest) -> Result<(), Refusal> {
        let passed = self
            .publisher
            .pass_on(async |before| before.follow_release(asked).await);
        passed.await
    }

    fn end(&self, asked: &ReleaseRequest) -> Vec<Arc<RouteState>> {
        let mut routes = self.matching(asked.service.as_ref());
        routes.retain(|route| !asked.only_timed || route.hold.is_timed());
        for route in &routes {
            // At once: who comes after the answer is not held any more.
            route.hold.end();
            tokio::spawn(hold::let_go(Arc::clone(route), asked.per_second));
        }
        routes
    }

    /// Writes down what is held.
    async fn keep(&self) -> Result<(), Refusal> {
        let holds: Vec<_> = {
            let registry = self.shared.registry();
            let routes = registry.routes.iter();
            let rules = routes.filter_map(|route| route.hold.rule());
            rules.filter(|rule| rule.at_most.is_none()).collect()
        };
        let kept = saved::keep(&self.path, move |path| {
            if holds.is_empty() {
                return match std::fs::remove_file(path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                };
            }
            let saved = SavedHolds {
                format: FORMAT,
                holds,
            };
            cutover_os::write_whole(path, &serde_json::to_vec_pretty(&saved)?)
        })
        .await;
        kept.map_err(|error| Refusal::HoldNotSaved {
            path: self.path.display().to_string(),
            reason: error.to_string(),
        })
    }

    fn matching(&self, service: Option<&ServiceName>) -> Vec<Arc<RouteState>> {
        let registry = self.shared.registry();
        let routes = registry.routes.iter();
        let routes = routes.filter(|route| service.is_none_or(|service| *service == route.service));
        routes.cloned().collect()
    }
}

fn views(routes: &[Arc<RouteState>]) -> Vec<HoldView> {
    let view = |route: &Arc<RouteState>| HoldView {
        service: route.service.clone(),
        holding: route.hold.is_on(),
        waiting: route.hold.waiting().0,
    };
    routes.iter().map(view).collect()
}
