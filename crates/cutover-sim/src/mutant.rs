//! Deliberate faults in what the engine is told, one for each invariant: the simulator must find every one of them.
//!
//! They sit at the ports and in the plan that is handed over, never in the engine: the code that is tested is the code
//! that ships. The world goes on judging by the truth.

use cutover_model::{Action, DesiredRevision, MigrationPhase, Plan, Stage, Undo, Weight};

use crate::Invariant;

/// A deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The target calls an instance ready that is still starting.
    ReadyTooEarly,
    /// The router says that nothing is in flight.
    NothingInFlight,
    /// The plan's undo wants one instance of stable, however many carried the traffic.
    ThinUndo,
    /// The plan undoes its checks by a change.
    EagerUndo,
    /// One of the plan's later shifts has less weight than the one before.
    WeightsFall,
    /// The planner is told that everything is compatible with everything.
    AllCompatible,
    /// The target starts a crashed instance again with the newest configuration.
    NewestConfiguration,
    /// The store forgets what is waited for.
    SilentWait,
    /// Nobody compares generations.
    NoFences,
    /// The plan calls its contract an expand.
    HiddenContract,
    /// The target does not show instances that are on their way out.
    HiddenStopping,
    /// The plan forgets to remove the old revision.
    NoRetirement,
}

impl Mutant {
    /// All of them: the first breaks I1, the last I12.
    pub const ALL: [Self; 12] = [
        Self::ReadyTooEarly,
        Self::NothingInFlight,
        Self::ThinUndo,
        Self::EagerUndo,
        Self::WeightsFall,
        Self::AllCompatible,
        Self::NewestConfiguration,
        Self::SilentWait,
        Self::NoFences,
        Self::HiddenContract,
        Self::HiddenStopping,
        Self::NoRetirement,
    ];

    /// What it breaks.
    #[must_use]
    pub const fn breaks(self) -> Invariant {
        match self {
            Self::ReadyTooEarly => Invariant::I1,
            Self::NothingInFlight => Invariant::I2,
            Self::ThinUndo => Invariant::I3,
            Self::EagerUndo => Invariant::I4,
            Self::WeightsFall => Invariant::I5,
            Self::AllCompatible => Invariant::I6,
            Self::NewestConfiguration => Invariant::I7,
            Self::SilentWait => Invariant::I8,
            Self::NoFences => Invariant::I9,
            Self::HiddenContract => Invariant::I10,
            Self::HiddenStopping => Invariant::I11,
            Self::NoRetirement => Invariant::I12,
        }
    }

    /// The plan as the engine gets it.
    #[must_use]
    pub(crate) fn plan(self, mut plan: Plan) -> Plan {
        match self {
            Self::ThinUndo => {
                for step in &mut plan.steps {
                    if let Undo::Hold(desired) = &mut step.undo {
                        desired
                            .0
                            .values_mut()
                            .for_each(|want| want.replicas = want.replicas.min(1));
                    }
                }
            }
            Self::EagerUndo => {
                let mut more = plan.initial.clone();
                more.0.values_mut().for_each(|want| want.replicas += 1);
                if let Some(first) = plan.steps.first_mut() {
                    first.undo = Undo::Hold(more);
                }
            }
            Self::WeightsFall => falling(&mut plan),
            Self::HiddenContract => {
                for step in &mut plan.steps {
                    if let Action::Migrate { migrations, .. } = &mut step.action
                        && step.stage == Stage::Contract
                    {
                        migrations
                            .iter_mut()
                            .for_each(|one| one.phase = MigrationPhase::Expand);
                        step.undo = Undo::Nothing("mutant".to_owned());
                    }
                }
            }
            Self::NoRetirement => {
                let mut kept = None;
                for step in &mut plan.steps {
                    if let Action::Hold { desired } = &mut step.action {
                        if step.stage == Stage::Retire
                            && let Some(kept) = &kept
                        {
                            desired.clone_from(kept);
                        }
                        kept = Some(desired.clone());
                    }
                }
            }
            Self::ReadyTooEarly
            | Self::NothingInFlight
            | Self::AllCompatible
            | Self::NewestConfiguration
            | Self::SilentWait
            | Self::NoFences
            | Self::HiddenStopping => {}
        }
        plan
    }
}

/// The last shift of a split moves most of the weight back to stable.
fn falling(plan: &mut Plan) {
    let services = plan.services.clone();
    let mut shifts = plan.steps.iter_mut().filter(|step| step.stage == Stage::Shift);
    let (Some(_), Some(last)) = (shifts.next(), shifts.next_back()) else {
        return;
    };
    let Action::Hold { desired } = &mut last.action else {
        return;
    };
    for change in &services {
        let (Some(from), Some(to)) = (&change.from, &change.to) else {
            continue;
        };
        let both = (desired.0.get(from).copied(), desired.0.get(to).copied());
        if let (Some(old), Some(new)) = both
            && from != to
            && new.weight == Some(Weight::ALL)
        {
            let little = Weight::percent(1);
            *desired = desired
                .clone()
                .with(
                    from,
                    DesiredRevision {
                        weight: Some(little.rest()),
                        ..old
                    },
                )
                .with(
                    to,
                    DesiredRevision {
                        weight: Some(little),
                        ..new
                    },
                );
        }
    }
}
