//! Acts: done once, with an intent before and an outcome after.

use cutover_model::{
    Action, Bytes, DatabaseName, Diagnostic, Event, Grouped, Migration, MigrationId, MigrationPhase, Outcome,
    RevisionId, SchemaRevision, ServiceName, Severity, Smoke, Span, StepId, WaitingOn,
};
use cutover_plan::Observation;
use cutover_ports::{Certainty, Check, MigrateOptions, MigrationReport, PortError, Promotion};

use crate::EngineError;
use crate::engine::{Engine, Tick, databases_of};

/// How long requests wait at most while the schema changes, should nobody be there to release them. Below what clients wait
/// for an answer.
const HELD_AT_MOST: Span = Span::from_secs(10);

/// How long open requests are waited for then.
const QUIET_WITHIN: Span = Span::from_secs(3);

/// How often it is looked whether they are done.
const LOOK_AGAIN: Span = Span::from_millis(10);

/// How long clients are given to see that connections of theirs have ended: who gets a request at the same moment might use one.
const NOTICED_AFTER: Span = Span::from_millis(100);

impl Engine {
    /// Carries an act out and journals its outcome.
    pub(crate) async fn perform(&mut self, id: StepId, seen: &Observation) -> Result<Tick, EngineError> {
        let Some(step) = self.state.step(&self.plan).filter(|step| step.id == id).cloned() else {
            return Ok(Tick::Moved);
        };
        let result = match &step.action {
            Action::Preflight => self.preflight(seen).await,
            Action::Backup { database } => self.backup(database).await,
            Action::Migrate {
                database,
                migrations,
                hold,
            } => self.migrate(id, database, migrations, hold).await,
            Action::Reopen { migrations, .. } => self.reopen(migrations).await,
            Action::Downgrade { migration, to } => self.downgrade(migration, to).await,
            Action::Smoke { revision, tests } => self.smoke(revision, tests, seen).await,
            Action::Promote => return self.promote(id).await,
            Action::Hold { .. }
            | Action::Analyze { .. }
            | Action::Pause { .. }
            | Action::Approve { .. }
            | Action::Window { .. }
            | Action::Call { .. }
            | Action::Soak { .. } => return Ok(Tick::Moved),
        };
        self.settle(id, result).await
    }

    /// Journals how an act ended; one that may work later by itself is waited for.
    pub(crate) async fn settle(
        &mut self,
        id: StepId,
        result: Result<String, PortError>,
    ) -> Result<Tick, EngineError> {
        let outcome = match result {
            Ok(detail) => Outcome::Done { detail },
            Err(error) if error.is_stale() => return Err(EngineError::Fenced(self.fence.generation)),
            // What failed halfway for a reason that stays is not in doubt: the step is not done, and carrying it out again
            // at once would fail in the same way, without end.
            Err(error) if error.certainty == Certainty::Unknown && error.transient => Outcome::Unknown {
                error: error.to_string(),
            },
            Err(error) if error.transient => return self.wait_for(&error).await,
            Err(error) => Outcome::DefinitelyNot {
                error: error.to_string(),
                code: error.diagnostic.code,
            },
        };
        self.append(&[Event::Outcome { step: id, outcome }]).await?;
        Ok(Tick::Moved)
    }

    /// Waits for something that may work later.
    pub(crate) async fn wait_for(&mut self, error: &PortError) -> Result<Tick, EngineError> {
        let now = self.world.clock.now();
        let deadline = self.state.step(&self.plan).and_then(|step| step.deadline);
        let since = match self.state.doing {
            cutover_plan::Doing::Running { since, .. } => since,
            _ => now,
        };
        self.wait(WaitingOn {
            what: format!("another try: {error}"),
            since: now,
            until: deadline.map(|span| span.after(since)),
            then: "it is tried again until then".to_owned(),
        })
        .await
    }

    /// A checklist that changes nothing. One line a check, all of them, so that everything that is wrong is seen at once.
    async fn preflight(&self, seen: &Observation) -> Result<String, PortError> {
        let mut checks = vec![
            Check {
                name: format!("{} instances observed", seen.instances.len()),
                problem: None,
            },
            Check {
                name: "the lease is held".to_owned(),
                problem: None,
            },
        ];
        let mut warnings = Vec::new();
        for name in databases_of(&self.plan) {
            let found = self.world.databases.check(&name).await;
            let warns = found.iter().filter(|one| one.severity == Severity::Warning);
            warnings.extend(warns.map(ToString::to_string));
            let problem = found.into_iter().find(|one| one.severity == Severity::Error);
            checks.push(Check {
                name: format!("database {name}: reachable, its history as planned"),
                problem,
            });
        }
        for revision in self.plan.services.iter().filter_map(|change| change.to.as_ref()) {
            let problem = match self.retired(revision).await {
                Ok(None) => None,
                Ok(Some(problem)) => Some(problem),
                Err(error) => return Err(error),
            };
            checks.push(Check {
                name: format!("{} {} is not retired", revision.service, revision.version),
                problem,
            });
        }
        checks.extend(self.world.checks.run(&self.plan).await);
        let problems: Vec<&Diagnostic> = checks.iter().filter_map(|check| check.problem.as_ref()).collect();
        match problems.split_first() {
            None => Ok(with_warnings(format!("{} checks", checks.len()), &warnings)),
            Some((first, rest)) => {
                let all = std::iter::once(*first).chain(rest.iter().copied());
                let text = all.map(with_notes).collect::<Vec<_>>().join("; ");
                let mut together = (*first).clone();
                together.message = text;
                Err(PortError::refused(together))
            }
        }
    }

    /// I11: a version that a contract has retired is not started again.
    pub(crate) async fn retired(&self, revision: &RevisionId) -> Result<Option<Diagnostic>, PortError> {
        for name in databases_of(&self.plan) {
            let seen = self.world.databases.observe(&name).await?;
            if let Some(bound) = seen.retired_below
                && revision.version < bound
            {
                return Ok(Some(
                    Diagnostic::error(
                        "revision.retired",
                        format!(
                            "{} {} cannot be started: {name} has retired versions below {bound}",
                            revision.service, revision.version
                        ),
                    )
                    .help("cutover migrate status"),
                ));
            }
        }
        Ok(None)
    }

    async fn backup(&self, database: &DatabaseName) -> Result<String, PortError> {
        let made = self.world.backups.create(&self.fence, database, &self.id).await?;
        Ok(format!("{}, verified", Bytes(made.bytes)))
    }

    async fn migrate(
        &self,
        id: StepId,
        database: &DatabaseName,
        migrations: &[Migration],
        hold: &[ServiceName],
    ) -> Result<String, PortError> {
        let bound = migrations
            .iter()
            .filter(|one| one.phase == MigrationPhase::Contract)
            .filter_map(|one| one.retires.as_ref())
            .max();
        if let Some(bound) = bound {
            // Before the first statement: from now on nobody starts an older version.
            self.world
                .databases
                .retire_below(&self.fence, database, bound)
                .await?;
        }
        let options = self.migrate_options();
        let mut rows = 0u64;
        let mut counted = false;
        let mut moved = String::new();
        for migration in migrations {
            let report = if migration.reshapes && !hold.is_empty() {
                self.up_while_requests_wait(migration, &options, hold).await?
            } else {
                self.world.databases.up(&self.fence, migration, &options).await?
            };
            moved += &report.moved.as_ref().map(went).unwrap_or_default();
            if let Some(changed) = report.rows {
                rows += changed;
                counted = true;
            }
        }
        let names = migrations
            .iter()
            .map(|one| one.id.to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let backfill = migrations.iter().all(|one| one.phase == MigrationPhase::Backfill);
        let done = if backfill && counted {
            format!("{names}, {} rows, verified", Grouped(rows))
        } else {
            names + &moved
        };
        Ok(with_warnings(done, &self.looked_over(id, database).await))
    }

    /// What is to be looked at in a database after its migrations: once they all ran, and once more after its contracts.
    async fn looked_over(&self, id: StepId, database: &DatabaseName) -> Vec<String> {
        let steps = self.plan.steps.iter().filter_map(|step| match &step.action {
            Action::Migrate {
                database: of,
                migrations,
                ..
            } if of == database => Some((step.id, migrations)),
            _ => None,
        });
        let (ran, left): (Vec<_>, Vec<_>) = steps.partition(|(step, _)| *step <= id);
        let is_contract = |(_, migrations): &(StepId, &Vec<Migration>)| {
            migrations.iter().any(|one| one.phase == MigrationPhase::Contract)
        };
        if left.first().map(is_contract) == ran.last().map(is_contract) {
            return Vec::new();
        }
        let all = ran.iter().flat_map(|(_, migrations)| migrations.iter());
        let applied: Vec<MigrationId> = all.map(|one| one.id.clone()).collect();
        let found = self.world.databases.look_over(database, &applied).await;
        found.iter().map(with_notes).collect()
    }

    /// Nobody asks the database while rows get another shape, and nobody does afterwards over a connection that has prepared
    /// a statement before.
    async fn up_while_requests_wait(
        &self,
        migration: &Migration,
        options: &MigrateOptions,
        hold: &[ServiceName],
    ) -> Result<MigrationReport, PortError> {
        let done = self.quietly(migration, options, hold).await;
        for service in hold {
            // They go on by themselves soon, if they could not be told to.
            if let Err(error) = self.world.waiting.release(service).await {
                tracing::warn!(%service, %error, "requests wait until the time for it is over");
            }
        }
        done
    }

    async fn quietly(
        &self,
        migration: &Migration,
        options: &MigrateOptions,
        hold: &[ServiceName],
    ) -> Result<MigrationReport, PortError> {
        for service in hold {
            self.world.waiting.hold(service, HELD_AT_MOST).await?;
        }
        let until = QUIET_WITHIN.after(self.world.clock.now());
        while self.world.router.read().await?.open(hold) > 0 {
            // What stays open by design, a stream, would hold it up for ever.
            if self.world.clock.now() >= until {
                tracing::warn!("requests are still open while the schema changes");
                break;
            }
            self.world.clock.sleep(LOOK_AGAIN).await;
        }
        let report = self.world.databases.up(&self.fence, migration, options).await?;
        let ended = self
            .world
            .databases
            .recycle(&self.fence, &migration.database)
            .await?;
        tracing::info!(ended, "idle connections to the database were ended");
        if ended > 0 {
            self.world.clock.sleep(NOTICED_AFTER).await;
        }
        Ok(report)
    }

    async fn downgrade(&self, migration: &Migration, to: &SchemaRevision) -> Result<String, PortError> {
        let options = self.migrate_options();
        let databases = &self.world.databases;
        let report = databases.downgrade(&self.fence, migration, to, &options).await?;
        let moved = report.moved.as_ref().map(went).unwrap_or_default();
        Ok(format!("{}{moved}", migration.id))
    }

    fn migrate_options(&self) -> MigrateOptions {
        MigrateOptions {
            release: self.plan.to.clone(),
            upgrade: Some(self.id.clone()),
            by: "cutover".to_owned(),
        }
    }

    async fn reopen(&self, migrations: &[Migration]) -> Result<String, PortError> {
        for migration in migrations {
            self.world.databases.reopen(&self.fence, migration).await?;
        }
        Ok(format!("{} pending again", migrations.len()))
    }

    async fn smoke(
        &self,
        revision: &RevisionId,
        tests: &[Smoke],
        seen: &Observation,
    ) -> Result<String, PortError> {
        let mut passed = 0u32;
        let mut asked = 0u32;
        for instance in seen.of(revision).filter(|one| one.is_ready()) {
            let Some(address) = &instance.address else {
                continue;
            };
            asked += 1;
            for test in tests {
                if let Err(failure) = self.world.smoke.run(address, test).await {
                    return Err(PortError::refused(
                        Diagnostic::error(
                            "smoke.failed",
                            format!(
                                "{} {}: GET {}: {}",
                                revision.service, revision.version, test.get, failure.0
                            ),
                        )
                        .help("cutover logs"),
                    ));
                }
                passed += 1;
            }
        }
        if asked == 0 {
            return Err(PortError::transient(Diagnostic::error(
                "smoke.nobody",
                format!(
                    "no ready instance of {} {} to test",
                    revision.service, revision.version
                ),
            )));
        }
        Ok(format!("{passed} of {passed}"))
    }

    /// Outcome and record in one transaction: there is no moment in between.
    async fn promote(&mut self, id: StepId) -> Result<Tick, EngineError> {
        let promotion = Promotion {
            release: self.plan.release.clone(),
            version: self.plan.to.clone(),
        };
        let detail = format!("{} recorded", self.plan.to);
        self.append_with(
            &[Event::Outcome {
                step: id,
                outcome: Outcome::Done { detail },
            }],
            Some(&promotion),
        )
        .await?;
        Ok(Tick::Moved)
    }
}

/// What was done, and what is to be looked at all the same.
fn with_warnings(done: String, warnings: &[String]) -> String {
    if warnings.is_empty() {
        done
    } else {
        format!("{done}; {}", warnings.join("; "))
    }
}

/// What is wrong, with what is known of it: who holds a port, what is missing where.
fn with_notes(found: &Diagnostic) -> String {
    let notes: Vec<String> = found
        .notes
        .iter()
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    if notes.is_empty() {
        found.to_string()
    } else {
        format!("{found} ({})", notes.join("; "))
    }
}

/// From where to where another tool has taken a schema.
fn went((from, to): &(SchemaRevision, SchemaRevision)) -> String {
    if from == to {
        format!(", stays at {to}")
    } else {
        format!(", {from} → {to}")
    }
}
