//! The small ports: time, backups, counters, smoke tests, configurations, checks.

use cutover_analysis::Counters;
use cutover_model::{
    DatabaseName, Diagnostic, Fence, Plan, Provider, RevisionId, Slot, Smoke, Span, Timestamp, Track,
    UpgradeId,
};
use cutover_ports::{
    BackupReport, Backups, Check, Checks, Clock, MetricSource, PortError, QuerySource, RevisionSpec,
    Revisions, SmokeFailure, SmokeTester,
};

use crate::fault::Op;
use crate::world::Sim;

#[async_trait::async_trait]
impl Clock for Sim {
    fn now(&self) -> Timestamp {
        self.lock().now()
    }

    async fn sleep(&self, span: Span) {
        self.lock().advance(span.as_millis());
    }
}

#[async_trait::async_trait]
impl Backups for Sim {
    async fn create(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        _upgrade: &UpgradeId,
    ) -> Result<BackupReport, PortError> {
        let _ = fence;
        self.write(Op::Backup, |world| {
            world.tell(|| format!("   {database} is backed up"));
            Ok(BackupReport {
                path: format!("backups/{database}"),
                bytes: 1_000_000,
            })
        })
        .await
    }
}

#[async_trait::async_trait]
impl MetricSource for Sim {
    async fn counters(&self, revision: &RevisionId) -> Result<Counters, PortError> {
        self.look(Op::Count, |world| {
            world.traffic.counters.get(revision).cloned().unwrap_or_default()
        })
        .await
    }
}

#[async_trait::async_trait]
impl QuerySource for Sim {
    /// Somebody else's view of the same traffic: the failed share of everything that was counted.
    async fn ask(&self, _provider: &Provider) -> Result<serde_json::Value, PortError> {
        self.look(Op::Count, |world| {
            let counters = world.traffic.counters.values();
            let (errors, requests) = counters.fold((0, 0), |(errors, requests), one| {
                (errors + one.errors, requests + one.requests)
            });
            serde_json::json!(errors as f64 / requests.max(1) as f64)
        })
        .await
    }
}

#[async_trait::async_trait]
impl SmokeTester for Sim {
    async fn run(&self, address: &str, test: &Smoke) -> Result<(), SmokeFailure> {
        let asked = self
            .look(Op::Ask, |world| {
                let found = world
                    .target
                    .instances
                    .iter()
                    .find(|one| one.address.as_deref() == Some(address));
                match found {
                    Some(one) if one.is_ready() => {
                        let bad = world
                            .quality
                            .get(&one.revision)
                            .is_some_and(|quality| quality.smoke_fails);
                        if bad {
                            Err(format!("{} answered 500", test.get))
                        } else {
                            Ok(())
                        }
                    }
                    _ => Err("connection refused".to_owned()),
                }
            })
            .await;
        match asked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(what)) => Err(SmokeFailure(what)),
            Err(error) => Err(SmokeFailure(error.to_string())),
        }
    }
}

#[async_trait::async_trait]
impl Revisions for Sim {
    async fn spec(
        &self,
        revision: &RevisionId,
        track: Track,
        slot: Option<Slot>,
    ) -> Result<RevisionSpec, PortError> {
        let world = self.lock();
        let stored = world.specs.get(revision).cloned().ok_or_else(|| {
            PortError::refused(Diagnostic::error(
                "release.unknown",
                format!("{revision} is not stored"),
            ))
        })?;
        Ok(RevisionSpec {
            track,
            slot,
            ..stored
        })
    }
}

#[async_trait::async_trait]
impl Checks for Sim {
    async fn run(&self, _plan: &Plan) -> Vec<Check> {
        Vec::new()
    }
}
