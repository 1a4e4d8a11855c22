//! `cutover.yaml`: parsed and validated into an [`Application`], with places kept for messages, and the stored form
//! of a [`Release`].
//!
//! Pure: text in, values or diagnostics out. It must not read files or the environment; `${env:}` and `${file:}` stay
//! references here and are resolved by the process that acts.

mod application;
mod release;
mod service;
mod strategy;

pub use application::{Application, Backup, Contract, ContractAfter, Database, Overlay, Requires};
pub use release::{Release, StoredFile};
pub use service::{
    Degraded, Health, PortRange, Probe, ProcessTarget, ProgressDeadline, ProxyRouter, Router,
    Service, ServiceOverlay, Target,
};
pub use strategy::{
    BlueGreen, Canary, CanaryScale, CanaryStep, Count, CountText, InlineAnalysis, PauseStep,
    Recreate, Rolling, SUGGESTED_SCALE_DOWN_DELAY, Strategy,
};
