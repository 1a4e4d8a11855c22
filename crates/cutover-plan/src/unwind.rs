//! The way back, computed from where an upgrade stands.

use cutover_model::{Action, Plan, Stage, Step, StepId, Undo, WayBack};

use crate::{Course, State};

/// The steps that bring everything back to the state before, from the undo of each step that has begun, last first.
/// Equal states in a row are one step: for most strategies the whole way back is one hold of the initial state. Who wanted
/// to be told of it is told at the end.
///
/// Empty when nothing was changed (invariant I4), and when it is on the way back already.
#[must_use]
pub fn unwind(plan: &Plan, state: &State) -> Vec<Step> {
    if matches!(state.course, Course::Back(_)) {
        return Vec::new();
    }
    let mut actions: Vec<(String, Action)> = Vec::new();
    let mut downgraded: Vec<(String, Action)> = Vec::new();
    let mut reopened: Vec<(String, Action)> = Vec::new();
    for step in plan.steps.iter().take(state.begun).rev() {
        match &step.undo {
            Undo::Hold(desired) => {
                let action = Action::Hold {
                    desired: desired.clone(),
                };
                if actions.last().is_none_or(|(_, last)| *last != action) {
                    actions.push((back_title(plan), action));
                }
            }
            Undo::Reopen { database, migrations } => reopened.push((
                format!("{database}: backfills count as pending again"),
                Action::Reopen {
                    database: database.clone(),
                    migrations: migrations.clone(),
                },
            )),
            // Once nobody of the new version is left who reads what goes.
            Undo::Downgrade { migration, to } => downgraded.push((
                format!("{}: {} to {to}", migration.database, migration.id),
                Action::Downgrade {
                    migration: migration.clone(),
                    to: to.clone(),
                },
            )),
            Undo::Nothing(_) | Undo::Impossible(_) => {}
        }
    }
    let mut begun = plan.steps.iter().take(state.begun);
    let told: Vec<(String, Action)> = if begun.any(touches) {
        let told = plan.told_on_abort.iter().cloned();
        told.map(|hook| (crate::gates::hook_title(&hook), Action::Call { hook }))
            .collect()
    } else {
        Vec::new()
    };
    let way_back = WayBack::To {
        version: plan.from.clone(),
        by: "this is the way back".to_owned(),
    };
    actions
        .into_iter()
        .chain(downgraded)
        .chain(reopened)
        .chain(told)
        .zip(1..)
        .map(|((title, action), id)| Step {
            id: StepId(id),
            stage: Stage::Back,
            title,
            action,
            deadline: None,
            undo: Undo::Nothing("this is the way back".to_owned()),
            way_back: way_back.clone(),
        })
        .collect()
}

/// Whether a step changes anything, here or (by a webhook that is told) elsewhere.
pub(crate) fn touches(step: &Step) -> bool {
    match &step.action {
        Action::Migrate { .. }
        | Action::Reopen { .. }
        | Action::Downgrade { .. }
        | Action::Hold { .. }
        | Action::Promote => true,
        Action::Call { hook } => !hook.at.asks(),
        Action::Preflight
        | Action::Backup { .. }
        | Action::Smoke { .. }
        | Action::Analyze { .. }
        | Action::Pause { .. }
        | Action::Approve { .. }
        | Action::Window { .. }
        | Action::Soak { .. } => false,
    }
}

fn back_title(plan: &Plan) -> String {
    match &plan.from {
        Some(from) if *from == plan.to => format!("everything as before on {from}"),
        Some(from) => format!("everything on {from}, {} drained and removed", plan.to),
        None => format!("{} drained and removed", plan.to),
    }
}
