//! Reading back after a crash or a time-out: did the act happen?

use cutover_model::{Action, Diagnostic, Event, Outcome, StepId, WaitingOn};
use cutover_plan::Doing;
use cutover_ports::PortError;

use crate::EngineError;
use crate::engine::{Engine, Tick};

/// What reading back says.
enum Seen {
    /// It happened.
    Done(String),
    /// It did not, or only in part: carrying it out again does what is left.
    Not,
}

impl Engine {
    /// Reads back an act whose outcome nobody knows, and journals what was found.
    pub(crate) async fn observe_act(&mut self, id: StepId) -> Result<Tick, EngineError> {
        let Some(step) = self.state.step(&self.plan).filter(|step| step.id == id).cloned() else {
            return Ok(Tick::Moved);
        };
        match self.read_back(&step.action).await {
            Ok(Seen::Done(detail)) => {
                self.append(&[Event::Outcome {
                    step: id,
                    outcome: Outcome::Done { detail },
                }])
                .await?;
            }
            Ok(Seen::Not) => {
                let attempt = match self.state.doing {
                    Doing::Running { attempt, .. } | Doing::Unknown { attempt, .. } => attempt + 1,
                    Doing::Idle { attempts } | Doing::Failed { attempts, .. } => attempts + 1,
                };
                let generation = self.fence.generation;
                self.append(&[Event::Intent {
                    step: id,
                    generation,
                    attempt,
                }])
                .await?;
            }
            Err(error) if error.is_stale() => return Err(EngineError::Fenced(self.fence.generation)),
            Err(error) => {
                if !matches!(self.state.doing, Doing::Unknown { .. }) {
                    let outcome = Outcome::Unknown {
                        error: error.to_string(),
                    };
                    self.append(&[Event::Outcome { step: id, outcome }]).await?;
                }
                let now = self.world.clock.now();
                return self
                    .wait(WaitingOn {
                        what: format!("the outcome of {} {}: {error}", step.stage, step.title),
                        since: now,
                        until: None,
                        then: "it is read back again; or a person says: cutover mark-done, cutover mark-not-done"
                            .to_owned(),
                    })
                    .await;
            }
        }
        Ok(Tick::Moved)
    }

    async fn read_back(&self, action: &Action) -> Result<Seen, PortError> {
        match action {
            // Another tool that says where the schema is knows what it has done, and does the rest when it is run again. Of
            // one that does not, only a person can say whether it may be.
            Action::Migrate { migrations, .. } if migrations.iter().any(|one| one.runner.is_some()) => {
                if migrations
                    .iter()
                    .all(|one| one.runner.is_none_or(|runner| runner.observed))
                {
                    return Ok(Seen::Not);
                }
                Err(PortError::unknown(
                    Diagnostic::error(
                        "runner.unobservable",
                        "whether the migrations were applied cannot be seen from here: the runner has no `current`",
                    )
                    .help("cutover mark-done, or cutover mark-not-done"),
                ))
            }
            // Whether connections were ended afterwards cannot be seen: it is done again, and what is applied stays as it is.
            Action::Migrate { migrations, hold, .. }
                if !hold.is_empty() && migrations.iter().any(|one| one.reshapes) =>
            {
                Ok(Seen::Not)
            }
            Action::Migrate {
                database, migrations, ..
            } => {
                let seen = self.world.databases.observe(database).await?;
                if migrations.iter().all(|one| seen.has(&one.id)) {
                    let names = migrations
                        .iter()
                        .map(|one| one.id.to_string())
                        .collect::<Vec<_>>()
                        .join(", ");
                    return Ok(Seen::Done(format!("{names}, found applied")));
                }
                Ok(Seen::Not)
            }
            // Nobody can look into another system: a person says what became of it.
            Action::Call { hook } => Err(PortError::unknown(
                Diagnostic::error(
                    "gate.unobservable",
                    format!("whether {} was reached cannot be seen from here", hook.name),
                )
                .help("cutover mark-done, or cutover mark-not-done"),
            )),
            // These look for themselves what is there already: an existing backup is verified, not made again; tests
            // and checks change nothing; a reopened backfill is open; a schema that is where it should go back to is left there; a promotion is one transaction with its outcome.
            Action::Backup { .. }
            | Action::Preflight
            | Action::Reopen { .. }
            | Action::Downgrade { .. }
            | Action::Smoke { .. }
            | Action::Promote
            | Action::Hold { .. }
            | Action::Analyze { .. }
            | Action::Pause { .. }
            | Action::Approve { .. }
            | Action::Window { .. }
            | Action::Soak { .. } => Ok(Seen::Not),
        }
    }
}
