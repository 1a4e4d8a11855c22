//! The journal as it is written, passed on to whoever shows it.

use cutover_engine::Observer;
use cutover_model::{Plan, Record};
use cutover_plan::State;
use tokio::sync::mpsc::UnboundedSender;

/// One more record, with the state after it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) state: State,
    pub(crate) record: Record,
}

/// Passes records on without ever making the engine wait.
pub(crate) struct Tap(UnboundedSender<Seen>);

impl Tap {
    pub(crate) const fn new(sender: UnboundedSender<Seen>) -> Self {
        Self(sender)
    }
}

impl Observer for Tap {
    fn record(&mut self, _: &Plan, state: &State, record: &Record) {
        let seen = Seen {
            state: state.clone(),
            record: record.clone(),
        };
        // Nobody looks any more: that is no reason to stop.
        drop(self.0.send(seen));
    }
}
