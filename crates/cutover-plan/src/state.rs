//! Where an upgrade stands: the fold of its journal.

use std::collections::BTreeMap;

use cutover_model::{
    Command, Desired, Event, Generation, HookAnswer, InstanceId, Plan, Step, StepId, Timestamp, UpgradePhase,
    Verdict, WaitingOn, WayBack,
};
use serde::{Deserialize, Serialize};

use crate::Met;

/// Which way it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Course {
    /// Through the plan's steps.
    Forward,
    /// Through the undo's.
    Back(Back),
}

/// The way back, as it was computed when it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Back {
    /// Why.
    pub because: String,
    /// Stable code of the cause.
    pub code: String,
    /// Whether stable takes what it can at once (invariant I3).
    pub urgent: bool,
    /// The undo.
    pub steps: Vec<Step>,
    /// Since when.
    pub since: Timestamp,
}

/// What the current step is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Doing {
    /// It has not begun.
    Idle {
        /// How many attempts have failed before.
        attempts: u32,
    },
    /// Its intent is written; no outcome is.
    #[serde(rename_all = "camelCase")]
    Running {
        /// Since the first intent.
        since: Timestamp,
        /// From 1.
        attempt: u32,
        /// Whose intent: another generation's is unknown until it is observed.
        generation: Generation,
    },
    /// Nobody knows whether it happened.
    #[serde(rename_all = "camelCase")]
    Unknown {
        /// Since when.
        since: Timestamp,
        /// From 1.
        attempt: u32,
        /// What was seen last.
        error: String,
    },
    /// It did not happen.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// Since when.
        since: Timestamp,
        /// How many attempts there were.
        attempts: u32,
        /// Why.
        error: String,
        /// Stable code of the cause.
        code: String,
    },
}

/// What is known of an analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisNote {
    /// When it was measured last.
    pub at: Timestamp,
    /// When the next measurement is due; none when it is over.
    pub next: Option<Timestamp>,
    /// The verdict; none while it goes on.
    pub verdict: Option<Verdict>,
    /// One sentence with numbers.
    pub because: String,
    /// Requests on the candidate.
    pub requests: u64,
    /// Failed ones among them.
    pub errors: u64,
    /// Whether the candidate fails hard.
    pub hard: bool,
    /// What the analysis itself needs to go on.
    pub state: String,
}

impl AnalysisNote {
    /// What the journal says of it.
    #[must_use]
    pub fn measured(self, analysis: String) -> Event {
        Event::Measured {
            analysis,
            verdict: self.verdict,
            because: self.because,
            requests: self.requests,
            errors: self.errors,
            hard: self.hard,
            next: self.next,
            state: self.state,
        }
    }
}

/// What is known of the webhook that the current step calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallNote {
    /// When it was called last.
    pub at: Timestamp,
    /// What it answered.
    pub answer: HookAnswer,
    /// How often it was called.
    pub tries: u32,
    /// When it is called again; none when it is not.
    pub next: Option<Timestamp>,
}

/// Why a person is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stuck {
    /// Why.
    pub because: String,
    /// Stable code of the cause.
    pub code: String,
    /// Commands to run.
    pub next: Vec<String>,
}

/// When a step ran, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepTime {
    /// Whether it belongs to the way back.
    pub back: bool,
    /// The step.
    pub step: StepId,
    /// Its intent.
    pub started: Timestamp,
    /// Its outcome.
    pub ended: Option<Timestamp>,
    /// What came of it.
    pub detail: String,
}

/// Where an upgrade stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The last record's place.
    pub seq: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the last record was written.
    pub at: Timestamp,
    /// Where it stands, in one word.
    pub phase: UpgradePhase,
    /// Which way.
    pub course: Course,
    /// The current step's index in the course's list; its length when all are done.
    pub cursor: usize,
    /// How far the plan's own steps were begun, for the undo: index of the first that never was.
    pub begun: usize,
    /// What the current step is doing.
    pub doing: Doing,
    /// The state that is kept true: the last hold that began.
    pub desired: Desired,
    /// Since when a person has paused it.
    pub paused: Option<Timestamp>,
    /// An abort that was asked for and has not begun.
    pub abort_requested: Option<String>,
    /// What a person said to the current step: go on, yes, done, not done.
    pub answer: Option<Command>,
    /// Who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// What the current step's webhook answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<CallNote>,
    /// Deadlines of drains that have begun.
    pub drains: BTreeMap<InstanceId, Timestamp>,
    /// Observed healthy time of the current soak, in milliseconds.
    pub soaked_ms: u64,
    /// When it was observed last.
    pub soaked_at: Option<Timestamp>,
    /// Analyses by name.
    pub analyses: BTreeMap<String, AnalysisNote>,
    /// What clients met of it; none where nothing was counted before the first instance was touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<Met>,
    /// What is waited for.
    pub waiting: Option<WaitingOn>,
    /// Whether the intent of a contract was written that the version before cannot live with (invariant I10).
    pub contract_begun: bool,
    /// Why a person is needed.
    pub stuck: Option<Stuck>,
    /// When each step ran.
    pub times: Vec<StepTime>,
    /// The controller's generation.
    pub generation: Generation,
    /// How it ended, in one sentence.
    pub summary: Option<String>,
}

impl State {
    /// The steps of the course that it is on.
    #[must_use]
    pub fn steps<'a>(&'a self, plan: &'a Plan) -> &'a [Step] {
        match &self.course {
            Course::Forward => &plan.steps,
            Course::Back(back) => &back.steps,
        }
    }

    /// The current step; none when all are done.
    #[must_use]
    pub fn step<'a>(&'a self, plan: &'a Plan) -> Option<&'a Step> {
        self.steps(plan).get(self.cursor)
    }

    /// Whether it is on the way back.
    #[must_use]
    pub const fn is_back(&self) -> bool {
        matches!(self.course, Course::Back(_))
    }

    /// What "go back" means now: of the last step that has begun.
    #[must_use]
    pub fn way_back(&self, plan: &Plan) -> WayBack {
        if self.contract_begun {
            return WayBack::None {
                reason: format!(
                    "a contract migration has begun: versions below {} cannot live with it; roll forward, or restore a \
                     backup and lose what was written since",
                    plan.to
                ),
            };
        }
        let begun = match self.begun {
            0 => {
                return WayBack::To {
                    version: plan.from.clone(),
                    by: "nothing is touched yet".to_owned(),
                };
            }
            n => plan.steps.get(n - 1),
        };
        begun.map_or_else(
            || WayBack::None {
                reason: "nothing was planned".to_owned(),
            },
            |step| step.way_back.clone(),
        )
    }
}
