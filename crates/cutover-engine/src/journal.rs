//! From a journal to a state.

use cutover_model::{PLAN_FORMAT, Plan, Record, UpgradeId};
use cutover_plan::{IllegalTransition, State, next, start};
use cutover_ports::Store;

use crate::EngineError;

/// The state that a whole journal makes.
///
/// # Errors
/// When a record cannot follow the ones before.
pub fn fold(plan: &Plan, records: &[Record]) -> Result<State, IllegalTransition> {
    let Some((first, rest)) = records.split_first() else {
        return Err(IllegalTransition {
            seq: 0,
            event: "nothing".to_owned(),
            state: "an empty journal".to_owned(),
        });
    };
    rest.iter()
        .try_fold(start(plan, first)?, |state, record| next(plan, &state, record))
}

/// An upgrade's plan, records and state, from the store alone.
///
/// # Errors
/// When there is none, when it is of a newer form, or when the store or the journal is damaged.
pub async fn load(store: &dyn Store, id: &UpgradeId) -> Result<(Plan, Vec<Record>, State), EngineError> {
    let plan = store
        .plan(id)
        .await?
        .ok_or_else(|| EngineError::NoUpgrade(id.to_string()))?;
    if plan.format > PLAN_FORMAT {
        return Err(EngineError::NewerPlan {
            found: plan.format,
            known: PLAN_FORMAT,
        });
    }
    let records = store.records(id, 0).await?;
    let state = fold(&plan, &records)?;
    Ok((plan, records, state))
}
