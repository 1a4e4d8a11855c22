//! The vocabulary of Cutover: ids, versions, weights, phases, plans, events and diagnostics.
//!
//! Everything here is a value that can be compared, printed and serialised. This crate owns no state
//! and must not know of clocks, files, networks or randomness: whoever needs a moment or a new id
//! passes it in.

mod amount;
mod analysis;
mod desired;
mod diagnostic;
mod digest;
mod event;
mod exit;
mod gate;
mod http_queries;
mod ids;
mod instance;
mod migration;
mod names;
mod password;
mod phase;
mod plan;
mod query;
mod renamed;
mod report;
mod routes;
pub mod routing;
mod runner;
mod series;
mod span;
mod traffic;
mod version;
mod waiting;
mod weight;

pub use amount::{Bytes, Grouped};
pub use analysis::{AnalysisTemplate, Baseline, DryRun, Metric, SlowAnswers};
pub use desired::{Desired, DesiredRevision, StepRouting};
pub use diagnostic::{Diagnostic, Location, Severity};
pub use digest::Digest;
pub use event::{Command, ENGINE_VERSION, Event, Outcome, Progress, Record};
pub use exit::ExitCode;
pub use gate::{
    Day, Freeze, HookAnswer, HookOutcome, HookPoint, InvalidDay, InvalidHours, OpenHours, Opening, Outside,
    UnknownZone, Webhook, Window, ZoneName,
};
pub use http_queries::{
    CloudWatchQuery, DatadogQuery, GraphiteQuery, InfluxDbQuery, NewRelicQuery, PrometheusQuery, WebQuery,
};
pub use ids::{
    Fence, Generation, InstanceId, InvalidRevisionId, PlanId, ReleaseId, RevisionId, StepId, StoreId,
    UpgradeId,
};
pub use instance::{Instance, InstanceState};
pub use migration::{AppliedMigration, DatabaseState, Migration, MigrationId};
pub use names::{ApplicationName, DatabaseName, EnvironmentName, InvalidName, ServiceName};
pub use password::{cover_passwords, cover_passwords_in_place, cover_secrets, passwords};
pub use phase::{MigrationPhase, Slot, Stage, StrategyKind, Track, UpgradeKind, UpgradePhase, Verdict};
pub use plan::{Action, Guard, PLAN_FORMAT, Plan, ServiceChange, Settings, Smoke, Step, Undo, WayBack};
pub use query::Provider;
pub use renamed::renamed;
pub use report::{Note, PlanReport};
pub use routes::{Endpoint, RouteTable, RoutedRevision, ServiceRoute};
pub use routing::RoutePolicy;
pub use runner::{Runner, SchemaRevision};
pub use series::{Direction, EffectSize, NanStrategy, SeriesTest};
pub use span::{InvalidSpan, Span};
pub use traffic::{RevisionCounts, TrafficCounts};
pub use version::{Channel, InvalidVersion, Version};
pub use waiting::WaitingOn;
pub use weight::{InvalidWeight, Weight};

/// A moment, always passed in, never read from a clock here.
pub type Timestamp = jiff::Timestamp;
