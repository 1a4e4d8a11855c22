//! What a person asks of a running upgrade.

use cutover_model::{
    Action, Command, Diagnostic, Event, Record, Timestamp, UpgradeId, UpgradePhase, WayBack,
};
use cutover_plan::{Doing, State, next};
use cutover_ports::{Append, Store, StoreError};

use crate::{EngineError, load};

/// How often a request is tried when the controller writes at the same moment.
const TRIES: u32 = 50;

/// Journals a person's request; the controller that holds the lease, now or later, carries it out.
///
/// # Errors
/// With code and reason when it cannot be carried out from here: an abort past a contract, an approval of nothing.
pub async fn request(
    store: &dyn Store,
    id: &UpgradeId,
    command: Command,
    by: &str,
    why: Option<&str>,
    now: Timestamp,
) -> Result<Record, EngineError> {
    let event = Event::Requested {
        command,
        by: by.to_owned(),
        why: why.map(str::to_owned),
    };
    let mut tries = 0;
    loop {
        let (plan, _, state) = load(store, id).await?;
        if let Some(refusal) = refusal(&plan, &state, command) {
            return Err(EngineError::Refused(Box::new(refusal)));
        }
        let record = Record {
            seq: state.seq + 1,
            at: now,
            event: event.clone(),
        };
        let phase = next(&plan, &state, &record)?.phase;
        let events = [event.clone()];
        let write = Append {
            expected: state.seq,
            events: &events,
            phase,
            promotion: None,
            now,
        };
        match store.append(None, id, write).await {
            Ok(mut records) => {
                return records
                    .pop()
                    .ok_or_else(|| EngineError::NoUpgrade(id.to_string()));
            }
            Err(StoreError::Conflict { .. }) if tries < TRIES => tries += 1,
            Err(other) => return Err(other.into()),
        }
    }
}

/// Why a request cannot be carried out from here.
fn refusal(plan: &cutover_model::Plan, state: &State, command: Command) -> Option<Diagnostic> {
    if state.phase.is_final() {
        return Some(
            Diagnostic::error("upgrade.over", format!("this upgrade has ended: {}", state.phase))
                .help("cutover history"),
        );
    }
    let no = |code: &str, message: String| Some(Diagnostic::error(code, message).help("cutover status"));
    match command {
        Command::Abort if state.contract_begun => {
            let WayBack::None { reason } = state.way_back(plan) else {
                return None;
            };
            Some(Diagnostic::error("upgrade.no-way-back", reason).help("cutover retry"))
        }
        Command::Abort if state.is_back() => {
            no("upgrade.aborting", "it is on the way back already".to_owned())
        }
        Command::Abort if state.step(plan).is_none() => Some(
            Diagnostic::error(
                "upgrade.over",
                format!("{} is recorded as stable already", plan.to),
            )
            .help("cutover rollback"),
        ),
        Command::Resume if state.paused.is_none() => match &state.doing {
            Doing::Failed { error, .. } if !state.is_back() => Some(
                Diagnostic::error("upgrade.step-failed", format!("its step has failed: {error}"))
                    .note("try it again", "cutover retry")
                    .note("go back", "cutover abort")
                    .help("cutover status"),
            ),
            _ => no("upgrade.not-paused", format!("it is not paused: {}", state.phase)),
        },
        Command::Retry
            if state.stuck.is_none()
                && !matches!(state.doing, Doing::Failed { .. })
                && !(tells(plan, state) && matches!(state.doing, Doing::Unknown { .. })) =>
        {
            no(
                "upgrade.not-stuck",
                format!("nothing has failed: {}", state.phase),
            )
        }
        Command::Approve if state.phase != UpgradePhase::WaitingForGate => {
            no("upgrade.no-gate", format!("no gate waits: {}", state.phase))
        }
        Command::Promote if !promotable(plan, state) => no(
            "upgrade.no-gate",
            "nothing waits that a promotion could end".to_owned(),
        ),
        Command::MarkDone | Command::MarkNotDone if !matches!(state.doing, Doing::Unknown { .. }) => {
            no("upgrade.not-unknown", "every outcome is known".to_owned())
        }
        // What can be read back is read back: a person is asked only once that has failed.
        Command::MarkDone | Command::MarkNotDone if state.waiting.is_none() => {
            no("upgrade.not-unknown", "the outcome is being read back".to_owned())
        }
        _ => None,
    }
}

/// Whether the step calls another system: it may be called again.
fn tells(plan: &cutover_model::Plan, state: &State) -> bool {
    let step = state.step(plan);
    step.is_some_and(|step| matches!(step.action, Action::Call { .. }))
}

fn promotable(plan: &cutover_model::Plan, state: &State) -> bool {
    let waits = state.step(plan).is_some_and(|step| {
        matches!(
            step.action,
            Action::Pause { .. }
                | Action::Approve { .. }
                | Action::Window { .. }
                | Action::Call { .. }
                | Action::Soak { .. }
                | Action::Analyze { .. }
        )
    });
    waits && matches!(state.doing, Doing::Running { .. })
}
