//! One release under one detector, from the first request to its end.

use crate::world::{Arm, Scenario, Second, World};

/// The candidate's share rises by so much every [`STEP`].
pub const RISE: f64 = 0.05;
/// Up to this.
pub const TOP: f64 = 0.5;
/// In seconds.
pub const STEP: u64 = 60;
/// A release that is neither promoted nor taken back by then is held, in seconds.
pub const END: u64 = 3_600;

/// What a detector wants after a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// So much of the traffic for the candidate.
    Share(f64),
    /// Take it back.
    Back,
    /// All traffic for the candidate.
    Promote,
    /// Wait for a person.
    Hold,
}

/// Whoever watches a release and sets its share.
pub trait Detector {
    /// The second that ended at `at` (counted from 1), and what to do now.
    fn second(&mut self, at: u64, seen: &Second) -> Next;
}

/// The share that a ramp which nothing stops has after so many seconds; none when it is over.
#[must_use]
pub fn ramp(at: u64) -> Option<f64> {
    let share = RISE * (at / STEP + 1) as f64;
    (share < TOP + RISE / 2.0).then_some(share)
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Taken back.
    Back,
    /// Promoted.
    Promoted,
    /// Neither: a person decides.
    Held,
}

/// A release that is over.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// How.
    pub fate: Fate,
    /// After so many seconds.
    pub after: u64,
    /// Requests that reached the candidate by then, and failed ones among them.
    pub exposed: Arm,
}

/// Plays one release.
pub fn play(scenario: Scenario, seed: u64, detector: &mut dyn Detector) -> Release {
    let mut world = World::new(scenario, seed);
    let (mut share, mut exposed) = (RISE, Arm::default());
    for second in 0..END {
        share = world.forced_share(second).unwrap_or(share);
        let seen = world.second(second, share);
        exposed.add(seen.candidate);
        let fate = match detector.second(second + 1, &seen) {
            Next::Share(next) => {
                share = next;
                continue;
            }
            Next::Back => Fate::Back,
            Next::Promote => Fate::Promoted,
            Next::Hold => Fate::Held,
        };
        return Release {
            fate,
            after: second + 1,
            exposed,
        };
    }
    Release {
        fate: Fate::Held,
        after: END,
        exposed,
    }
}
