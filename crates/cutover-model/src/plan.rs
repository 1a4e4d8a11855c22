//! The plan: an immutable, ordered value. Made by `cutover-plan`, carried out by `cutover-engine`, drawn by the edge.

use serde::{Deserialize, Serialize};

use crate::routing::RouteRule;
use crate::{
    AnalysisTemplate, ApplicationName, DatabaseName, Desired, Digest, EnvironmentName, Migration, PlanId,
    PlanReport, ReleaseId, RevisionId, RoutePolicy, SchemaRevision, ServiceName, Slot, Span, Stage, StepId,
    StrategyKind, UpgradeKind, Version, Webhook, Window,
};

/// The version of the plan's form. An engine carries out plans of its own and older forms only.
///
/// 2 has gates by window and webhook, 3 header routes and copies by steps, 4 databases that another tool migrates, and requests
/// that wait while the schema changes.
pub const PLAN_FORMAT: u32 = 4;

/// What "go back" means from somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WayBack {
    /// There is a way.
    To {
        /// To this version; none on a first deployment.
        version: Option<Version>,
        /// How, in a few words: `weight 0, drain, remove the candidate; nothing is lost`.
        by: String,
    },
    /// There is none.
    None {
        /// Why, and what remains.
        reason: String,
    },
}

impl WayBack {
    /// The words, for one line.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::To { by, .. } => by,
            Self::None { reason } => reason,
        }
    }
}

/// How a step is undone when the upgrade goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Undo {
    /// There is nothing to undo, and why: it only looked, or what it left is harmless.
    Nothing(String),
    /// The world is brought to this state.
    Hold(Desired),
    /// These backfills count as pending again: the old version may write without filling in.
    #[serde(rename_all = "camelCase")]
    Reopen {
        /// Where.
        database: DatabaseName,
        /// Which.
        migrations: Vec<Migration>,
    },
    /// The tool that migrates the database goes back to where its schema was when the plan was made.
    #[serde(rename_all = "camelCase")]
    Downgrade {
        /// Its migration.
        migration: Migration,
        /// Where to.
        to: SchemaRevision,
    },
    /// It cannot be undone, and why. Past it an upgrade only goes forward (invariants I10 and I12).
    Impossible(String),
}

/// One smoke test: a request to each new instance, and what must come back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Smoke {
    /// The path to get.
    pub get: String,
    /// The expected status; default 200.
    #[serde(default = "ok_status")]
    #[schemars(range(min = 100, max = 599))]
    pub status: u16,
    /// A text that the body must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// How long to wait for the answer; default 5s.
    #[serde(default = "smoke_timeout")]
    pub timeout: Span,
}

const fn ok_status() -> u16 {
    200
}

const fn smoke_timeout() -> Span {
    Span::from_secs(5)
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Act: checks that change nothing.
    Preflight,
    /// Act: back up a database and verify the copy.
    #[serde(rename_all = "camelCase")]
    Backup {
        /// Which.
        database: DatabaseName,
    },
    /// Act: apply migrations, all of one phase, in order.
    #[serde(rename_all = "camelCase")]
    Migrate {
        /// Where.
        database: DatabaseName,
        /// What; their phase is the step's stage.
        migrations: Vec<Migration>,
        /// Requests of these services wait at the router while one of them runs that reshapes rows, and idle connections to the
        /// database are ended before they go on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hold: Vec<ServiceName>,
    },
    /// Act: these backfills count as pending again.
    #[serde(rename_all = "camelCase")]
    Reopen {
        /// Where.
        database: DatabaseName,
        /// Which.
        migrations: Vec<Migration>,
    },
    /// Act: the tool that migrates a database goes back to a revision.
    #[serde(rename_all = "camelCase")]
    Downgrade {
        /// Its migration.
        migration: Migration,
        /// Where to.
        to: SchemaRevision,
    },
    /// Hold: bring instances and traffic to this state, always in the same order: up, route, drain, down.
    #[serde(rename_all = "camelCase")]
    Hold {
        /// The wanted state.
        desired: Desired,
    },
    /// Act: smoke tests against the candidate alone.
    #[serde(rename_all = "camelCase")]
    Smoke {
        /// Against each instance of this revision.
        revision: RevisionId,
        /// The tests.
        tests: Vec<Smoke>,
    },
    /// Gate: measure until there is a verdict.
    #[serde(rename_all = "camelCase")]
    Analyze {
        /// The template's name.
        name: String,
        /// What to measure.
        template: AnalysisTemplate,
        /// The candidate.
        candidate: RevisionId,
        /// What it is compared with.
        stable: Option<RevisionId>,
    },
    /// Gate: wait; without a duration until a person promotes.
    #[serde(rename_all = "camelCase")]
    Pause {
        /// How long.
        duration: Option<Span>,
    },
    /// Gate: a person approves.
    #[serde(rename_all = "camelCase")]
    Approve {
        /// What is asked.
        question: String,
    },
    /// Gate: the window is open.
    #[serde(rename_all = "camelCase")]
    Window {
        /// Which.
        window: Window,
        /// Whether the step fails outside of it, instead of waiting.
        refuse: bool,
    },
    /// Gate or act, by its point: another system is asked until it says yes, or told once.
    #[serde(rename_all = "camelCase")]
    Call {
        /// Who, and when.
        hook: Webhook,
    },
    /// Gate: so much *observed healthy* time, counted in journalled ticks.
    #[serde(rename_all = "camelCase")]
    Soak {
        /// How long.
        duration: Span,
    },
    /// Act: the release is recorded as stable, in the same transaction as its event.
    Promote,
}

impl Action {
    /// Whether it is a desired state that is kept true until the next one, not something done once.
    #[must_use]
    pub const fn is_hold(&self) -> bool {
        matches!(self, Self::Hold { .. })
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its place, from 1.
    pub id: StepId,
    /// The part of the upgrade it belongs to.
    pub stage: Stage,
    /// What it does, for people, without the stage: `api 1.1.0, 1 instance`.
    pub title: String,
    /// What it does, for the engine.
    pub action: Action,
    /// After this long the step has failed; none: it has no deadline of its own.
    pub deadline: Option<Span>,
    /// How it is undone.
    pub undo: Undo,
    /// What "go back" means once it has begun.
    pub way_back: WayBack,
}

/// An analysis in the background, from one step to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guard {
    /// The template's name.
    pub name: String,
    /// What to measure.
    pub template: AnalysisTemplate,
    /// From the end of this step on.
    pub after: StepId,
    /// Until the end of this step.
    pub until: StepId,
    /// The candidate.
    pub candidate: RevisionId,
    /// What it is compared with.
    pub stable: Option<RevisionId>,
}

impl Guard {
    /// Whether it watches the old version while the schema changes under it, and not a candidate.
    #[must_use]
    pub fn watches_stable(&self) -> bool {
        self.stable.as_ref() == Some(&self.candidate)
    }
}

/// What happens to one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceChange {
    /// The service.
    pub service: ServiceName,
    /// What runs now.
    pub from: Option<RevisionId>,
    /// What is to run; equal to `from` when the service is left alone; none when it is removed.
    pub to: Option<RevisionId>,
    /// How many instances at the end.
    pub replicas: u32,
    /// Where its clients connect; none for a worker.
    pub listen: Option<String>,
    /// How its requests are routed.
    #[serde(default, skip_serializing_if = "RoutePolicy::is_default")]
    pub policy: RoutePolicy,
    /// What steps can send to the candidate whatever its share is: [`crate::StepRouting::header_routes`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header_routes: Vec<RouteRule>,
    /// The blue-green slot of `to`.
    pub slot: Option<Slot>,
}

/// Choices that hold for the whole execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Whether a failed step or verdict goes back by itself; otherwise it pauses.
    pub auto_rollback: bool,
    /// How long an instance that gets no new requests may finish those it has.
    pub drain_deadline: Span,
}

/// An immutable, ordered value: what will be done, in which order, and how each part is undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`PLAN_FORMAT`] of its maker.
    pub format: u32,
    /// The digest of everything else in it.
    pub id: PlanId,
    /// The application.
    pub application: ApplicationName,
    /// The environment.
    pub environment: EnvironmentName,
    /// What it is for.
    pub kind: UpgradeKind,
    /// How the release takes over.
    pub strategy: StrategyKind,
    /// The release it starts from: must still be the recorded one when it is executed.
    pub parent: Option<ReleaseId>,
    /// Its version.
    pub from: Option<Version>,
    /// The release it goes to.
    pub release: ReleaseId,
    /// Its version.
    pub to: Version,
    /// The observed state it was made from, a line a fact: if one is another when it is executed, execution refuses
    /// and shows which.
    pub basis: Vec<String>,
    /// The state of instances and traffic it starts from.
    pub initial: Desired,
    /// The services, in dependency order.
    pub services: Vec<ServiceChange>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// Analyses in the background.
    pub guards: Vec<Guard>,
    /// Who is told at the end of a way back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told_on_abort: Vec<Webhook>,
    /// Contract migrations that stay pending after it.
    pub pending_contracts: Vec<Migration>,
    /// Choices that hold throughout.
    pub settings: Settings,
    /// What will be done, what not, and why.
    pub report: PlanReport,
}

impl Plan {
    /// The plan with its id computed from its content.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.id = PlanId(Digest::of(b""));
        self.id = PlanId(Digest::of_value(&self));
        self
    }

    /// A step by its id.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get(usize::try_from(id.0).ok()?.checked_sub(1)?)
    }
}
