//! Webhooks: one try, and what it answered into the journal.

use cutover_model::{Action, Event, HookOutcome, StepId};
use cutover_plan::{CallNote, Course};
use cutover_ports::{HookBody, HookCall};

use crate::EngineError;
use crate::engine::{Engine, Tick};

impl Engine {
    /// Calls the step's webhook once. An answer that is another than the last is journalled; a gate that answers the same
    /// again is not, so that a night before a closed one does not fill the journal.
    pub(crate) async fn call(&mut self, id: StepId) -> Result<Tick, EngineError> {
        let Some(step) = self.state.step(&self.plan).filter(|step| step.id == id).cloned() else {
            return Ok(Tick::Moved);
        };
        let Action::Call { hook } = &step.action else {
            return Ok(Tick::Moved);
        };
        let before = self.state.called.clone();
        let tries = before.as_ref().map_or(0, |note| note.tries) + 1;
        let (way, because) = match &self.state.course {
            Course::Forward => ("", None),
            Course::Back(back) => ("back-", Some(back.because.clone())),
        };
        let call = HookCall {
            hook,
            key: format!("{}-{way}{id}", self.id),
            body: HookBody {
                name: hook.name.clone(),
                at: hook.at,
                upgrade: self.id.clone(),
                plan: self.plan.id.clone(),
                kind: self.plan.kind,
                application: self.plan.application.clone(),
                environment: self.plan.environment.clone(),
                from: self.plan.from.clone(),
                version: self.plan.to.clone(),
                step: id,
                title: step.title.clone(),
                attempt: tries,
                because,
            },
        };
        // It may take as long as its time-out, and nothing else is done meanwhile.
        self.renew().await?;
        let answer = self.world.webhooks.call(&call).await;
        let now = self.world.clock.now();
        let next = match answer.outcome {
            HookOutcome::Yes | HookOutcome::No => None,
            HookOutcome::NotYet | HookOutcome::Lost => Some(hook.pause(tries).after(now)),
        };
        let news = before.as_ref().is_none_or(|note| note.answer != answer);
        if news {
            self.append(&[Event::Called {
                step: id,
                answer,
                tries,
                next,
            }])
            .await?;
        } else {
            self.state.called = Some(CallNote {
                at: now,
                answer,
                tries,
                next,
            });
        }
        Ok(Tick::Moved)
    }
}
