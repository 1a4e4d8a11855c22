//! The embedded proxy behind the engine's ports.

use std::path::PathBuf;

use async_trait::async_trait;
use cutover_analysis::{Counters, DrawnAt};
use cutover_model::{
    Diagnostic, Fence, RevisionCounts, RevisionId, RouteTable, ServiceName, Span, TrafficCounts,
};
use cutover_ports::{MetricSource, PortError, RouteAck, Router, RouterState, Waiting};

use crate::client::{Client, ClientError};
use crate::wire::{HoldRequest, OddsStats, PublishRequest, Refusal, ReleaseRequest};

/// Drives a running proxy over its admin socket.
#[derive(Clone, Debug)]
pub struct ProxyRouter {
    client: Client,
    adopt: bool,
}

impl ProxyRouter {
    /// For the proxy with this admin socket.
    pub fn new(admin_socket: impl Into<PathBuf>) -> Self {
        Self {
            client: Client::new(admin_socket),
            adopt: false,
        }
    }

    /// Lets a proxy that obeyed another store change hands (`--adopt`).
    #[must_use]
    pub fn adopting(mut self) -> Self {
        self.adopt = true;
        self
    }

    /// The client beneath.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

#[async_trait]
impl Router for ProxyRouter {
    async fn read(&self) -> Result<RouterState, PortError> {
        let view = self.client.table().await.map_err(|error| read_failed(&error))?;
        let open = self
            .client
            .in_flight(None)
            .await
            .map_err(|error| read_failed(&error))?;
        let mut state = RouterState {
            table: view.table,
            ..RouterState::default()
        };
        for instance in open.instances {
            *state.in_flight.entry(instance.instance).or_default() += instance.in_flight;
        }
        Ok(state)
    }

    async fn apply(&self, fence: &Fence, table: &RouteTable) -> Result<RouteAck, PortError> {
        let before = self.client.table().await.map_err(|error| read_failed(&error))?;
        let request = PublishRequest {
            fence: fence.clone(),
            expected_serial: before.serial,
            adopt: self.adopt,
            table: table.clone(),
        };
        let receipt = self
            .client
            .publish(&request)
            .await
            .map_err(|error| apply_failed(&error))?;
        let after = self.client.table().await.map_err(|error| apply_failed(&error))?;
        if after.serial != receipt.serial || after.table != *table {
            let message = "the proxy confirmed one table and serves another";
            return Err(PortError::unknown(
                Diagnostic::error("proxy.read-back", message).help("cutover proxy status"),
            ));
        }
        Ok(RouteAck {
            took_ms: receipt.took_us.div_ceil(1000),
        })
    }
}

#[async_trait]
impl Waiting for ProxyRouter {
    async fn hold(&self, service: &ServiceName, at_most: Span) -> Result<(), PortError> {
        let asked = HoldRequest {
            service: Some(service.clone()),
            at_most: Some(at_most),
            ..HoldRequest::default()
        };
        let held = self.client.hold(&asked).await;
        held.map(drop).map_err(|error| apply_failed(&error))
    }

    async fn release(&self, service: &ServiceName) -> Result<(), PortError> {
        let asked = ReleaseRequest {
            service: Some(service.clone()),
            only_timed: true,
            ..ReleaseRequest::default()
        };
        let released = self.client.release(&asked).await;
        released.map(drop).map_err(|error| apply_failed(&error))
    }
}

#[async_trait]
impl MetricSource for ProxyRouter {
    async fn counters(&self, revision: &RevisionId) -> Result<Counters, PortError> {
        let stats = self.client.stats().await.map_err(|error| read_failed(&error))?;
        let mut counters = Counters {
            epoch: stats.epoch,
            odds: stats.odds.map(|all| drawn_at(all, revision)),
            ..Counters::default()
        };
        if let Some(found) = stats
            .revisions
            .into_iter()
            .find(|found| found.revision == *revision)
        {
            counters.requests = found.first_attempts;
            counters.errors = found.first_attempt_failures;
            counters.drawn = found.drawn;
            counters.total_us = found.total_us;
            counters.latency = found.latency;
        }
        Ok(counters)
    }

    async fn totals(&self) -> Result<TrafficCounts, PortError> {
        let stats = self.client.stats().await.map_err(|error| read_failed(&error))?;
        let revisions = stats.revisions.into_iter().map(|one| RevisionCounts {
            requests: one.assigned,
            failed: one.errors + one.cut_answers,
            revision: one.revision,
        });
        Ok(TrafficCounts {
            epoch: stats.epoch,
            revisions: revisions.collect(),
            unanswered: stats.routes.iter().map(|route| route.unavailable).sum(),
        })
    }
}

/// What is there of one revision, whichever of the two it was.
fn drawn_at(all: Vec<OddsStats>, revision: &RevisionId) -> Vec<DrawnAt> {
    let of = |odds: OddsStats| {
        if odds.candidate == *revision {
            Some(odds.of_candidate)
        } else {
            (odds.stable == *revision).then_some(odds.of_stable)
        }
    };
    all.into_iter().filter_map(of).collect()
}

/// Reading changes nothing, however it ends.
fn read_failed(error: &ClientError) -> PortError {
    PortError::transient(error.diagnostic())
}

fn apply_failed(error: &ClientError) -> PortError {
    let diagnostic = error.diagnostic();
    match error {
        ClientError::Unreachable { .. } => PortError::transient(diagnostic),
        ClientError::Refused(Refusal::StaleFence { .. }) => PortError::stale("the proxy"),
        ClientError::Refused(
            Refusal::SerialConflict { .. }
            | Refusal::HandedOver
            | Refusal::NotSaved { .. }
            | Refusal::HoldNotSaved { .. }
            | Refusal::CannotListen { .. },
        ) => PortError::transient(diagnostic),
        ClientError::Refused(
            Refusal::ForeignStore { .. } | Refusal::InvalidTable { .. } | Refusal::BadRequest { .. },
        ) => PortError::refused(diagnostic),
        ClientError::Refused(Refusal::NotAcknowledged { .. })
        | ClientError::Broken { .. }
        | ClientError::Unknown { .. } => PortError::unknown(diagnostic),
    }
}

impl ClientError {
    /// What a person is shown.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help) = match self {
            Self::Unreachable { .. } => ("proxy.unreachable", "cutover status"),
            Self::Broken { .. } => ("proxy.broke-off", "cutover proxy status"),
            Self::Unknown { .. } => ("proxy.unknown-answer", "cutover proxy status"),
            Self::Refused(refusal) => match refusal {
                Refusal::StaleFence { .. } => ("fence.stale", "cutover status"),
                Refusal::ForeignStore { .. } => ("fence.foreign-store", "cutover down"),
                Refusal::SerialConflict { .. } => ("proxy.table-changed", "cutover proxy status"),
                Refusal::InvalidTable { .. } => ("proxy.invalid-table", "cutover check"),
                Refusal::CannotListen { .. } => ("proxy.cannot-listen", "cutover check"),
                Refusal::NotSaved { .. } => ("proxy.table-not-saved", "cutover status"),
                Refusal::HoldNotSaved { .. } => ("proxy.hold-not-saved", "cutover proxy status"),
                Refusal::HandedOver => ("proxy.handed-over", "cutover proxy status"),
                Refusal::NotAcknowledged { .. } => ("proxy.not-acknowledged", "cutover proxy status"),
                Refusal::BadRequest { .. } => ("proxy.bad-request", "cutover proxy status"),
            },
        };
        let message = match self {
            Self::Refused(refusal) => refusal.to_string(),
            other => other.to_string(),
        };
        Diagnostic::error(code, message).help(help)
    }
}
