//! Persons: they ask for anything at any moment, and they help where an upgrade waits for one.

use cutover_engine::{EngineError, request};
use cutover_model::{Command, UpgradeId};

use crate::Invariant;
use crate::world::Sim;

/// Everything a person can ask for without looking. `mark-done` is a claim about the world: a wrong one is beyond what
/// any engine could put right.
pub(crate) const COMMANDS: [Command; 7] = [
    Command::Pause,
    Command::Resume,
    Command::Promote,
    Command::Approve,
    Command::Abort,
    Command::Retry,
    Command::MarkNotDone,
];

impl Sim {
    /// A person asks; whether it was taken. Nothing goes wrong on a person's own way to the store.
    pub(crate) async fn person(&self, id: &UpgradeId, command: Command, why: &str) -> bool {
        let (now, contract, over) = {
            let mut world = self.lock();
            world.halts.spared = true;
            let facts = world.facts();
            let contract = facts.is_some_and(|facts| facts.contract);
            let over = facts.is_some_and(|facts| facts.ended.is_some());
            (world.now(), contract, over)
        };
        let answer = request(self, id, command, "sim", Some(why), now).await;
        let mut world = self.lock();
        world.halts.spared = false;
        // I10: past the intent of a contract an abort is refused, with the reason.
        if command == Command::Abort && contract && !over {
            let refused = match &answer {
                Err(EngineError::Refused(what)) => what.code == "upgrade.no-way-back",
                _ => false,
            };
            if !refused {
                world.violate(
                    Invariant::I10,
                    format!("an abort past a contract is answered {answer:?}"),
                );
            }
        }
        answer.is_ok()
    }
}
