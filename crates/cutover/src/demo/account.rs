//! The demo's account: what clients met of each upgrade, and whether the promise was kept.

use cutover_engine::load;
use cutover_model::{Action, Diagnostic, Plan, StrategyKind, UpgradePhase, Version, WayBack, Weight};
use serde::Serialize;
use shop::load::LoadReport;

use crate::context::Context;
use crate::drive::End;
use crate::failure::Failure;
use crate::render::{Judgement, Run};

/// How often a bound on an error rate is looked at, as Flagger documents it, in seconds.
const RULE_INTERVAL: u64 = 60;

/// What `cutover demo --output json` prints. Its fields are public: they are documented, and none is taken away.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    pub(super) requests: Requests,
    /// Acknowledged writes with a wrong value at the end.
    pub(super) lost_writes: u64,
    pub(super) upgrades: Vec<UpgradeAccount>,
}

/// All requests of the demo.
#[derive(Debug, Serialize)]
pub(super) struct Requests {
    /// Requests that left.
    pub(super) sent: u64,
    /// Requests that were not answered well, without the error answers that the bad candidate itself gave.
    pub(super) failed: u64,
}

/// One upgrade, as clients met it.
#[derive(Debug, Serialize)]
pub(super) struct UpgradeAccount {
    pub(super) from: Option<Version>,
    pub(super) to: Version,
    pub(super) strategy: StrategyKind,
    pub(super) phase: UpgradePhase,
    /// From its beginning to its end.
    pub(super) duration_ms: u64,
    /// How long the router took to acknowledge the switch.
    pub(super) switch_ms: Option<u64>,
    /// Requests that the candidate answered.
    pub(super) requests_exposed: u64,
    /// Requests that would have reached the candidate by the first look of a rule that looks at its error rate once a minute: at
    /// this load, with its first share.
    pub(super) requests_until_a_rule_looks: u64,
    /// Requests that failed meanwhile, without the candidate's own error answers.
    pub(super) requests_failed: u64,
    /// Error answers of the candidate.
    pub(super) candidate_errors: u64,
    pub(super) verdict: Option<Judgement>,
    /// What "go back" means after it.
    pub(super) way_back: String,
}

impl UpgradeAccount {
    /// From the journal, and from the load's account before and after.
    pub(super) async fn new(
        ctx: &Context,
        end: &End,
        rate: u32,
        before: &LoadReport,
        after: &LoadReport,
    ) -> Result<Self, Failure> {
        let (plan, records, state) = load(&ctx.store, &end.id).await?;
        let run = Run {
            id: &end.id,
            plan: &plan,
            state: &state,
            records: &records,
        };
        let to = plan.to.to_string();
        let errors = |report: &LoadReport| {
            report
                .by_version
                .get(&to)
                .map_or(0, |counts| counts.error_answers)
        };
        let way_back = match (state.phase, state.way_back(&plan)) {
            (UpgradePhase::Aborted | UpgradePhase::Failed, _) => match &plan.from {
                Some(from) => format!("gone: back on {from}"),
                None => "gone: nothing is deployed".to_owned(),
            },
            (
                _,
                WayBack::To {
                    version: Some(version),
                    by,
                },
            ) => format!("to {version} by {by}"),
            (_, WayBack::To { version: None, by }) => by,
            (_, WayBack::None { reason }) => format!("none({reason})"),
        };
        Ok(Self {
            from: plan.from.clone(),
            to: plan.to.clone(),
            strategy: plan.strategy,
            phase: state.phase,
            duration_ms: run.took().as_millis(),
            switch_ms: run.switch_ms(),
            requests_exposed: after.answered_by(&to) - before.answered_by(&to),
            requests_until_a_rule_looks: u64::from(rate)
                * RULE_INTERVAL
                * u64::from(first_share(&plan).parts())
                / u64::from(Weight::ALL.parts()),
            requests_failed: after
                .failed_apart_from(&to)
                .saturating_sub(before.failed_apart_from(&to)),
            candidate_errors: errors(after) - errors(before),
            verdict: run.verdict(),
            way_back,
        })
    }
}

/// The first share that the new version gets.
fn first_share(plan: &Plan) -> Weight {
    let holds = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Hold { desired } => Some(desired),
        _ => None,
    });
    let mut shares = holds.flat_map(|desired| {
        let new = desired.0.keys().filter(|revision| revision.version == plan.to);
        new.map(|revision| desired.weight(revision))
    });
    shares.find(|weight| !weight.is_none()).unwrap_or(Weight::NONE)
}

impl Account {
    /// What was promised and not kept.
    pub(super) fn broken(&self) -> Option<Diagnostic> {
        let mut notes = Vec::new();
        if self.requests.failed > 0 {
            notes.push((
                "requests",
                format!("{} of {} failed", self.requests.failed, self.requests.sent),
            ));
        }
        if self.lost_writes > 0 {
            notes.push((
                "writes",
                format!("{} acknowledged ones are lost", self.lost_writes),
            ));
        }
        for (upgrade, wanted) in self
            .upgrades
            .iter()
            .zip([UpgradePhase::Succeeded, UpgradePhase::Aborted])
        {
            if upgrade.phase != wanted {
                notes.push((
                    "upgrade",
                    format!("to {} is {}, not {wanted}", upgrade.to, upgrade.phase),
                ));
            }
        }
        let start = Diagnostic::error("demo.promise-broken", "the demo did not keep its promise");
        (!notes.is_empty()).then(|| {
            let all = notes
                .into_iter()
                .fold(start, |found, (key, value)| found.note(key, value));
            all.help("cutover demo --keep")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(failed: u64, lost_writes: u64, phases: [UpgradePhase; 2]) -> Account {
        let upgrades = phases.map(|phase| UpgradeAccount {
            from: None,
            to: Version::new(1, 1, 0),
            strategy: StrategyKind::Canary,
            phase,
            duration_ms: 1,
            switch_ms: None,
            requests_exposed: 1,
            requests_until_a_rule_looks: 1_200,
            requests_failed: 0,
            candidate_errors: 0,
            verdict: None,
            way_back: String::new(),
        });
        Account {
            requests: Requests { sent: 10, failed },
            lost_writes,
            upgrades: upgrades.into(),
        }
    }

    #[test]
    fn every_broken_promise_is_named() {
        use UpgradePhase::{Aborted, Failed, Succeeded};
        assert_eq!(account(0, 0, [Succeeded, Aborted]).broken(), None);
        let broken = account(1, 2, [Failed, Succeeded]).broken().unwrap();
        assert_eq!(broken.notes.len(), 4, "{broken:?}");
    }
}
