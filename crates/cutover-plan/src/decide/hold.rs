//! Holds: what to do until the world is as desired, and when to stop waiting for it.

use cutover_model::{InstanceState, RevisionId, Span, Step, Timestamp};

use super::{At, Decision, Failure};
use crate::reconcile::Reconciled;

/// How long the way back may wait for stable to become ready before a person is called. As long as a launch's default
/// progress deadline: what cannot start in that time will not.
const BACK_PATIENCE: Span = Span::from_mins(10);

/// A candidate that crashed this often is not waited for until its progress deadline, and not kept among the instances
/// that serve: one that becomes ready in between would else be promoted.
const CRASHES: u32 = 3;

impl At<'_> {
    pub(super) fn hold(&self, step: &Step, since: Timestamp, deadline: Option<Timestamp>) -> Decision {
        match self.reconciled() {
            Reconciled::Reached => Decision::Complete {
                step: step.id,
                detail: step.title.clone(),
            },
            Reconciled::Do(ops) => Decision::Reconcile(ops),
            Reconciled::Wait { what, until } => {
                if self.state.is_back() {
                    return self.hold_back(&what, since, until);
                }
                if let Some(failure) = self.crashing() {
                    return Decision::Fail {
                        step: step.id,
                        failure,
                    };
                }
                if deadline.is_some_and(|deadline| self.now >= deadline) {
                    return self.overdue(step);
                }
                let until = until.or(deadline);
                let then = if self.plan.settings.auto_rollback {
                    "it goes back"
                } else {
                    "it pauses"
                };
                self.wait(&what, since, until, then)
            }
        }
    }

    pub(super) fn hold_back(&self, what: &str, since: Timestamp, until: Option<Timestamp>) -> Decision {
        let patience = BACK_PATIENCE.after(since);
        if until.is_none() && self.now >= patience {
            return Decision::Stick {
                because: format!("the way back waits for {what}"),
                code: "back.not-ready".to_owned(),
                next: vec!["cutover logs".to_owned(), "cutover retry".to_owned()],
            };
        }
        self.wait(what, since, until.or(Some(patience)), "a person is called")
    }

    /// A candidate that only crashes is not waited for.
    pub(super) fn crashing(&self) -> Option<Failure> {
        self.crashed("does not start", |to| self.seen.ready(to) == 0)
    }

    /// A candidate that was ready and crashes again and again has failed, whatever the others of it do.
    pub(super) fn crashing_again(&self) -> Option<Decision> {
        if self.state.is_back() {
            return None;
        }
        let step = self.state.step(self.plan)?.id;
        let failure = self.crashed("keeps crashing", |_| true)?;
        Some(Decision::Fail { step, failure })
    }

    pub(super) fn crashed(&self, what: &str, counts: impl Fn(&RevisionId) -> bool) -> Option<Failure> {
        self.plan
            .services
            .iter()
            .filter_map(|change| change.to.as_ref())
            .filter(|to| self.plan.initial.replicas(to) == 0 && counts(to))
            .find_map(|to| {
                self.seen.of(to).find_map(|instance| match &instance.state {
                    InstanceState::Crashed { reason } if instance.restarts >= CRASHES => Some(Failure {
                        error: format!(
                            "{} {} {what}: {} times, {reason}",
                            to.service,
                            to.version,
                            instance.restarts + 1
                        ),
                        code: "launch.crashing".to_owned(),
                    }),
                    _ => None,
                })
            })
    }
}
