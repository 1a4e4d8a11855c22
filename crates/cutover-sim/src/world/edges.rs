//! The small ports: time, backups, counters, smoke tests, configurations, checks.

use cutover_analysis::Counters;
use cutover_model::{
    DatabaseName, Diagnostic, Fence, HookAnswer, HookOutcome, Plan, RevisionCounts, RevisionId, Slot, Smoke,
    Span, Timestamp, Track, TrafficCounts, UpgradeId,
};
use cutover_ports::{
    BackupReport, Backups, Check, Checks, Clock, HookCall, MetricSource, PortError, QuerySource, Question,
    RevisionSpec, Revisions, SmokeFailure, SmokeTester, Webhooks,
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

    async fn totals(&self) -> Result<TrafficCounts, PortError> {
        self.look(Op::Count, |world| {
            let counters = world.traffic.counters.iter();
            let revisions = counters.map(|(revision, one)| RevisionCounts {
                revision: revision.clone(),
                requests: one.requests,
                failed: one.errors,
            });
            TrafficCounts {
                epoch: 1,
                revisions: revisions.collect(),
                unanswered: 0,
            }
        })
        .await
    }
}

#[async_trait::async_trait]
impl QuerySource for Sim {
    /// Somebody else's view of the same traffic: the failed share of everything that was counted.
    async fn ask(&self, _question: &Question<'_>) -> Result<serde_json::Value, PortError> {
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

#[async_trait::async_trait]
impl Webhooks for Sim {
    async fn call(&self, call: &HookCall<'_>) -> HookAnswer {
        let answered = self
            .look(Op::Call, |world| {
                world.tell(|| format!("   {} is called, try {}", call.key, call.body.attempt));
                let calm = world.halts.calm;
                let manners = world.hooks;
                let closed = *world.hooks_open_at.entry(call.key.clone()).or_insert_with(|| {
                    let late = if manners.late > 0 {
                        world.random.between(0, manners.late)
                    } else {
                        0
                    };
                    world.true_ms + late
                });
                if !calm && world.random.chance(manners.refuses) {
                    HookAnswer::new(HookOutcome::No, "status 409")
                } else if !calm && world.random.chance(manners.errs) {
                    HookAnswer::new(HookOutcome::NotYet, "status 503")
                } else if call.hook.at.asks() && world.true_ms < closed {
                    HookAnswer::new(HookOutcome::NotYet, "status 403")
                } else {
                    HookAnswer::new(HookOutcome::Yes, "status 200")
                }
            })
            .await;
        match answered {
            Ok(answer) => answer,
            Err(error) if error.certainty == cutover_ports::Certainty::Unknown => {
                HookAnswer::new(HookOutcome::Lost, error.to_string())
            }
            Err(error) => HookAnswer::new(HookOutcome::NotYet, error.to_string()),
        }
    }
}
