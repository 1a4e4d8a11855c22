//! What happened: one enum that journal, command line, logs and API all render.

use serde::{Deserialize, Serialize};

use crate::{
    Generation, HookAnswer, InstanceId, PlanId, RevisionId, Step, StepId, Timestamp, TrafficCounts,
    UpgradeKind, UpgradePhase, Verdict, Version, WaitingOn,
};

/// The engine's own version, recorded so that a newer engine knows what it continues.
pub const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How an act ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is done: read back from the world.
    Done {
        /// What came of it, in a few words: `214 MB, verified`.
        detail: String,
    },
    /// It certainly did not happen.
    DefinitelyNot {
        /// Why.
        error: String,
        /// Stable code of the cause.
        code: String,
    },
    /// Nobody knows yet: observe before deciding.
    Unknown {
        /// What was seen last.
        error: String,
    },
}

/// What a person asks of a running upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Hold where it is.
    Pause,
    /// Go on.
    Resume,
    /// Do not wait any longer at this pause, analysis or soak.
    Promote,
    /// Yes to the gate that waits.
    Approve,
    /// Stop and send traffic back.
    Abort,
    /// Try again what is stuck.
    Retry,
    /// What could not be observed *was* done.
    MarkDone,
    /// What could not be observed was *not* done.
    MarkNotDone,
}

impl Command {
    /// The word on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Approve => "approve",
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::MarkDone => "mark-done",
            Self::MarkNotDone => "mark-not-done",
        }
    }
}

/// Something noticed within a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Progress {
    /// Instances of a revision are ready.
    #[serde(rename_all = "camelCase")]
    Ready {
        /// The revision.
        revision: RevisionId,
        /// How many.
        ready: u32,
        /// Of how many.
        wanted: u32,
    },
    /// The router acknowledged a snapshot.
    #[serde(rename_all = "camelCase")]
    Routed {
        /// What it serves now, per revision, in parts per 10,000.
        weights: Vec<(RevisionId, u32)>,
        /// How long the acknowledgement took, in milliseconds.
        took_ms: u64,
    },
    /// An instance gets no new requests and may finish those it has until the deadline.
    #[serde(rename_all = "camelCase")]
    Draining {
        /// The instance.
        instance: InstanceId,
        /// Its revision.
        revision: RevisionId,
        /// Until when.
        until: Timestamp,
    },
    /// An instance was removed.
    #[serde(rename_all = "camelCase")]
    Removed {
        /// The instance.
        instance: InstanceId,
        /// Its revision.
        revision: RevisionId,
        /// Requests that were still open when its drain deadline passed.
        cut: u64,
    },
    /// So much of a long act is done.
    #[serde(rename_all = "camelCase")]
    Part {
        /// What: `rows`, `MB`.
        unit: String,
        /// Done so far.
        done: u64,
        /// Of how many, when known.
        total: Option<u64>,
    },
}

/// Something that happened to an upgrade. The journal is a list of these, and the state is their fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Event {
    /// The upgrade was recorded.
    #[serde(rename_all = "camelCase")]
    Created {
        /// The plan it executes.
        plan: PlanId,
        /// [`crate::PLAN_FORMAT`] of that plan.
        plan_format: u32,
        /// [`ENGINE_VERSION`] of the recorder.
        engine: String,
        /// What it is for.
        kind: UpgradeKind,
        /// From.
        from: Option<Version>,
        /// To.
        to: Version,
        /// Who asked.
        by: String,
    },
    /// A controller took the lease and goes on.
    #[serde(rename_all = "camelCase")]
    Controlled {
        /// Its generation.
        generation: Generation,
        /// Who: host, pid and [`ENGINE_VERSION`].
        holder: String,
    },
    /// Intent: a step is about to act.
    #[serde(rename_all = "camelCase")]
    Intent {
        /// The step.
        step: StepId,
        /// The writer's generation.
        generation: Generation,
        /// From 1.
        attempt: u32,
    },
    /// Something noticed within a step.
    #[serde(rename_all = "camelCase")]
    Progress {
        /// The step.
        step: StepId,
        /// What.
        what: Progress,
    },
    /// The outcome of a step, after reading back.
    #[serde(rename_all = "camelCase")]
    Outcome {
        /// The step.
        step: StepId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Nothing moves, and why.
    #[serde(rename_all = "camelCase")]
    Waiting {
        /// What is waited for.
        on: WaitingOn,
    },
    /// A measurement of an analysis.
    #[serde(rename_all = "camelCase")]
    Measured {
        /// The analysis: a step's template or a guard's name.
        analysis: String,
        /// The verdict so far; none while it goes on.
        verdict: Option<Verdict>,
        /// One sentence with numbers.
        because: String,
        /// Requests on the candidate so far.
        requests: u64,
        /// Failed ones among them.
        errors: u64,
        /// Whether the candidate fails so hard that going back cannot wait for anything.
        hard: bool,
        /// When the next measurement is due; none when it is over.
        next: Option<Timestamp>,
        /// What the analysis needs to go on after a restart, as JSON of `cutover-analysis`.
        state: String,
    },
    /// What the router had counted at this moment: before the first step that moves anything, at the end of each that does, when
    /// it turns back, and at the end.
    #[serde(rename_all = "camelCase")]
    Counted {
        /// Since the router was started.
        counts: TrafficCounts,
    },
    /// Another system was asked or told.
    #[serde(rename_all = "camelCase")]
    Called {
        /// The step.
        step: StepId,
        /// What it answered.
        answer: HookAnswer,
        /// How often it was called for this step so far.
        tries: u32,
        /// When it is called again; none when it is not.
        next: Option<Timestamp>,
    },
    /// Observed healthy time of a soak.
    #[serde(rename_all = "camelCase")]
    SoakTick {
        /// The step.
        step: StepId,
        /// Milliseconds added; capped, so that a clock jump cannot end a soak.
        healthy_ms: u64,
        /// When it was observed.
        observed_at: Timestamp,
    },
    /// A person asked for something.
    #[serde(rename_all = "camelCase")]
    Requested {
        /// What.
        command: Command,
        /// Who.
        by: String,
        /// Why.
        why: Option<String>,
    },
    /// The upgrade goes back, by these steps.
    #[serde(rename_all = "camelCase")]
    AbortStarted {
        /// Why.
        because: String,
        /// Stable code of the cause: `analysis.failed`, `requested`, …
        code: String,
        /// Whether the candidate fails so hard that stable takes what it can at once (invariant I3).
        urgent: bool,
        /// The undo, computed from the state.
        steps: Vec<Step>,
    },
    /// A person is needed.
    #[serde(rename_all = "camelCase")]
    GotStuck {
        /// Why.
        because: String,
        /// Stable code of the cause.
        code: String,
        /// Commands to run.
        next: Vec<String>,
    },
    /// The end.
    #[serde(rename_all = "camelCase")]
    Finished {
        /// How.
        phase: UpgradePhase,
        /// In one sentence.
        summary: String,
    },
}

/// An event with its place in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// From 1, without a gap.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}
