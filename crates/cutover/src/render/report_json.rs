//! The report as JSON. Its fields are public: they are documented, and none is taken away.

use cutover_model::Span;
use serde_json::{Value, json};

use super::report::{Run, headline, next_commands, turned_words, until};
use super::verdicts::judged;

/// The report of an upgrade as one value.
pub(crate) fn report_json(run: &Run<'_>) -> Value {
    let (plan, state) = (run.plan, run.state);
    let (met, exposed) = (state.met.as_ref(), run.exposed());
    let back = match &state.course {
        cutover_plan::Course::Back(back) => Some(back),
        cutover_plan::Course::Forward => None,
    };
    json!({
        "id": run.id,
        "application": plan.application,
        "environment": plan.environment,
        "kind": plan.kind,
        "from": plan.from,
        "to": plan.to,
        "strategy": plan.strategy,
        "plan": plan.id,
        "phase": state.phase,
        "headline": headline(run),
        "by": run.by(),
        "started_at": state.created_at,
        "ended_at": state.at,
        "duration_ms": run.took().as_millis(),
        "switch_ms": run.switch_ms(),
        "requests_served": met.map(|met| met.served),
        "requests_failed": met.map(|met| met.failed),
        "requests_exposed": exposed.map(|one| one.requests),
        "candidate_errors": exposed.map(|one| one.errors),
        "requests_cut": run.cut(),
        "verdict": run.verdict(),
        "verdicts": judged(plan, state).iter().map(|one| json!({
            "analysis": one.words(),
            "verdict": one.judgement(),
            "because": one.note.because,
            "requests": one.note.requests,
            "errors": one.note.errors,
        })).collect::<Vec<_>>(),
        "because": back.map(|back| &back.because).or_else(|| state.stuck.as_ref().map(|stuck| &stuck.because)),
        "code": back.map(|back| &back.code).or_else(|| state.stuck.as_ref().map(|stuck| &stuck.code)),
        "turned_back_at": turned_words(run),
        "stages": stages(run),
        // Once it is back, there is nothing to go back from.
        "way_back": back.is_none().then(|| state.way_back(plan)),
        "way_back_until": until(run),
        "pending_contracts": plan.pending_contracts.iter().map(|one| one.id.to_string()).collect::<Vec<_>>(),
        "next": next_commands(run).into_iter().map(|(_, command)| command).collect::<Vec<_>>(),
    })
}

fn stages(run: &Run<'_>) -> Vec<Value> {
    run.state
        .times
        .iter()
        .map(|time| {
            let steps = match (&run.state.course, time.back) {
                (cutover_plan::Course::Back(back), true) => &back.steps,
                _ => &run.plan.steps,
            };
            let step = steps.iter().find(|step| step.id == time.step);
            json!({
                "step": time.step,
                "back": time.back,
                "stage": step.map(|step| step.stage),
                "title": step.map(|step| &step.title),
                "detail": time.detail,
                "ms": time.ended.map(|ended| Span::between(time.started, ended).as_millis()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn of_one_that_was_caught() {
        let mut told = fixtures::caught();
        told.state.met = Some(cutover_plan::Met {
            served: 2_118,
            failed: 0,
            exposed: 38,
            candidate_errors: 9,
            ..cutover_plan::Met::default()
        });
        insta::assert_json_snapshot!(report_json(&told.run()));
    }

    #[test]
    fn of_a_good_upgrade() {
        insta::assert_json_snapshot!(report_json(&fixtures::succeeded().run()));
    }
}
