//! Every canonical scenario, disturbed at every operation.

use cutover_model::{StrategyKind, UpgradePhase};
use cutover_sim::systematic::{Course, Disturbance, End, Scenario};
use cutover_sim::{Fault, Tamper};

const STRATEGIES: [StrategyKind; 4] = [
    StrategyKind::BlueGreen,
    StrategyKind::Canary,
    StrategyKind::Rolling,
    StrategyKind::Recreate,
];

/// Without optimisation two disturbances at each operation, with it (`cargo xtask sim`) all eight.
const EACH: usize = if cfg!(debug_assertions) { 2 } else { 8 };

fn everywhere(course: Course) {
    for strategy in STRATEGIES {
        if let Err(violation) = (Scenario { strategy, course }).everywhere(EACH) {
            panic!("{violation}");
        }
    }
}

#[test]
fn an_upgrade_disturbed_at_every_operation_ends_the_same() {
    everywhere(Course::Upgrade);
}

#[test]
fn an_upgrade_with_its_contract_disturbed_at_every_operation_ends_the_same() {
    everywhere(Course::UpgradeAndContract);
}

#[test]
fn a_bad_upgrade_disturbed_at_every_operation_is_taken_back() {
    everywhere(Course::BadUpgrade);
}

#[test]
fn a_rollback_disturbed_at_every_operation_ends_the_same() {
    everywhere(Course::Rollback);
}

#[test]
fn a_contract_disturbed_at_every_operation_ends_the_same() {
    everywhere(Course::Contract);
}

fn end(strategy: StrategyKind, course: Course, disturbance: Disturbance) -> End {
    match (Scenario { strategy, course }).run(disturbance, None, false) {
        Ok(end) => end,
        Err(violation) => panic!("{strategy} {course:?} {disturbance:?}: {violation}"),
    }
}

/// A person's abort at every turn: all on old, or all on new where it came too late.
#[test]
fn an_abort_at_every_turn_ends_on_one_side() {
    for strategy in STRATEGIES {
        let new = end(strategy, Course::Upgrade, Disturbance::None);
        assert_eq!(new.phase, Some(UpgradePhase::Succeeded));
        let mut back = 0;
        for turn in 2..400 {
            let end = end(strategy, Course::Abort(turn), Disturbance::None);
            match end.phase {
                Some(UpgradePhase::Aborted | UpgradePhase::Failed) => {
                    back += 1;
                    assert_eq!(end.stable.as_deref(), Some("1.0.0"));
                    assert_eq!(
                        end.instances.values().sum::<usize>(),
                        2,
                        "{strategy} at {turn}: {end:?}"
                    );
                }
                Some(UpgradePhase::Succeeded) => {
                    assert!(end.same_world(&new), "{strategy} at {turn}");
                    break;
                }
                other => panic!("{strategy} at {turn}: {other:?}"),
            }
        }
        assert!(back > 20, "{strategy}: {back}");
    }
}

/// The way back itself is disturbed, at every operation.
#[test]
fn an_abort_disturbed_at_every_operation_ends_on_old() {
    for strategy in STRATEGIES {
        let course = Course::Abort(22);
        let clean = end(strategy, course, Disturbance::None);
        assert_eq!(clean.phase, Some(UpgradePhase::Aborted), "{strategy}");
        for at in 1..=clean.operations {
            for tamper in [
                Tamper::Fail(Fault::Twice),
                Tamper::Fail(Fault::Refused),
                Tamper::CrashAfter,
            ] {
                let end = end(strategy, course, Disturbance::At(at, tamper));
                assert_eq!(end.stable, clean.stable, "{strategy} {tamper:?} at {at}");
                assert_eq!(end.instances, clean.instances, "{strategy} {tamper:?} at {at}");
                assert_eq!(end.weights, clean.weights, "{strategy} {tamper:?} at {at}");
            }
        }
    }
}

/// An undo that truly cannot be done calls a person with a command; `retry` goes on and brings everything back.
#[test]
fn an_undo_that_fails_is_stuck_and_goes_on_by_retry() {
    for strategy in STRATEGIES {
        let clean = end(strategy, Course::Abort(22), Disturbance::None);
        let end = end(
            strategy,
            Course::Abort(22),
            Disturbance::UndoFails(Fault::Refused),
        );
        assert!(end.stuck, "{strategy}: nobody was called");
        assert_eq!(end.phase, Some(UpgradePhase::Aborted), "{strategy}");
        assert!(end.same_world(&clean), "{strategy}: {end:?} and {clean:?}");
    }
}

/// A world in which no write works leaves everything as it was.
#[test]
fn a_world_that_refuses_everything_stays_as_it_was() {
    for strategy in STRATEGIES {
        let end = end(strategy, Course::Upgrade, Disturbance::UntilStuck(Fault::Refused));
        assert!(
            matches!(end.phase, Some(UpgradePhase::Failed | UpgradePhase::Aborted)),
            "{strategy}: {end:?}"
        );
        assert_eq!(end.stable.as_deref(), Some("1.0.0"));
        assert_eq!(end.instances.len(), 1, "{strategy}: {end:?}");
    }
}
