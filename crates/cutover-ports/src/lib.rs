//! The small traits between the engine and the world, and the values that cross them.
//!
//! Every operation is idempotent ("ensure"), object safe, and says how it ended in the engine's three outcomes: a
//! [`PortError`] is either *definitely not done* or *unknown*. Who implements a port reads back before it answers `Ok`.
//! No adapter is known here.

mod checks;
mod clock;
mod command;
mod database;
mod error;
mod instances;
mod metrics;
mod query;
mod router;
mod smoke;
mod store;
mod target;
mod webhook;

pub use checks::{Check, Checks};
pub use clock::Clock;
pub use command::{CommandDriver, CommandError, CommandPlace, CommandSession};
pub use database::{BackupReport, Backups, Databases, MigrateOptions, MigrationReport};
pub use error::{Certainty, PortError};
pub use instances::{InstanceMetrics, LogEnds, Usage};
pub use metrics::MetricSource;
pub use query::{QuerySource, Question};
pub use router::{InFlight, RouteAck, Router, RouterState, Waiting};
pub use smoke::{SmokeFailure, SmokeTester};
pub use store::{Append, Holder, Lease, LeaseError, Promotion, Stable, Store, StoreError, UpgradeHead};
pub use target::{RevisionSpec, Revisions, Target};
pub use webhook::{HookBody, HookCall, Webhooks};
