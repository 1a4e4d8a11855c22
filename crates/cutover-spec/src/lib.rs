//! `cutover.yaml`: parsed and validated into an [`Application`], with places kept for messages, and the stored form
//! of a [`Release`].
//!
//! Pure: text in, values or diagnostics out. It must not read files or the environment; `${env:}` and `${file:}` stay
//! references here and are resolved by the process that acts.
//!
//! A text goes through four hands: `document` (YAML with places), `shape` (against the schema, all that does not fit),
//! serde (into the types), `validate` (what must hold together).

mod application;
mod changelog;
mod defaults;
mod document;
mod draft;
mod findings;
mod gates;
mod lint;
mod overlay;
mod parse;
mod reference;
mod release;
mod runner;
mod schema;
mod service;
mod shape;
mod spelling;
mod strategy;
mod substitute;
mod template;
mod validate;

pub use application::{Application, Backup, Contract, ContractAfter, Database, Overlay, Requires};
pub use changelog::changelog_between;
pub use defaults::{default_analysis, stable_guard};
pub use draft::{ReleaseDraft, ServiceParts, UnfinishedDraft};
pub use gates::Gates;
pub use lint::{Lint, LintException};
pub use parse::{Parsed, parse, parse_with_warnings, place};
pub use reference::{Reference, references, resolve};
pub use release::{Artifact, Release, ReleaseFolder, StoredFile};
pub use runner::{Runner, RunnerCommands, RunnerPlace, RunnerPreset};
pub use schema::{json_schema, schema_at};
pub use service::{
    Degraded, Health, PortRange, Probe, ProcessTarget, ProgressDeadline, ProxyRouter, Router, Service,
    ServiceOverlay, Target,
};
pub use strategy::{
    BackgroundAnalysis, BlueGreen, Canary, CanaryScale, CanaryStep, Count, CountText, HeaderMatch,
    HeaderRoute, InlineAnalysis, MirrorRoute, PauseStep, Recreate, Rolling, Strategy,
};
pub use template::init_template;
pub use validate::is_plain_secret;
