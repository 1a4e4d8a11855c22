//! Taking over: what an older controller has begun must not reach the world any more.

use cutover_model::RevisionId;
use cutover_plan::Observation;
use cutover_ports::PortError;

use crate::engine::Engine;

impl Engine {
    /// Shows target and router the own generation before anything is decided by what they say. Without it they would
    /// know of a new controller only from its first change, and until then let in what an older one, woken up, still
    /// does: remove an instance that is wanted again, route to one that is gone (invariant I9).
    ///
    /// Both writes ask for what is there already. The router's also takes the place of a table that was sent before and
    /// whose answer never came: it may be on its way still.
    pub(crate) async fn claim(&self, seen: &Observation) -> Result<(), PortError> {
        for revision in self.revisions() {
            // A revision whose secrets cannot be resolved now must not stand in the way: any other one will do.
            if let Ok(spec) = self.spec(revision).await {
                self.world.target.ensure(&self.fence, &spec, 0).await?;
                break;
            }
        }
        if self.plan.services.iter().any(|change| change.listen.is_some()) {
            self.world.router.apply(&self.fence, &seen.table).await?;
        }
        Ok(())
    }

    /// Those that are wanted, then all others of the plan.
    fn revisions(&self) -> impl Iterator<Item = &RevisionId> {
        let planned = self
            .plan
            .services
            .iter()
            .flat_map(|change| [&change.from, &change.to]);
        self.state.desired.0.keys().chain(planned.flatten())
    }
}
