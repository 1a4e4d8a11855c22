//! The embedded data plane: a reverse proxy in a process of its own.
//!
//! It goes on serving when the controller is gone, keeps its last table on disk and comes back with it. Thread per
//! core: each worker owns its connections, its pool and its random numbers, and reads one immutable snapshot of the
//! routes. A new table is compared, kept, swapped and confirmed by every worker before the admin call answers.
//!
//! Owns: what is served now, who wrote it last (the fence), and the counters of everything routed. Must not know of
//! upgrades, plans or releases: a revision is a name with a share and addresses.
//!
//! [`run()`] is the process, [`start`] the same on threads of the caller's process, [`Client`] the other side of the
//! admin socket, [`ProxyRouter`] the engine's ports over it.

mod access_entry;
mod access_log;
mod admin;
mod alarms;
mod answer_body;
mod answer_fields;
mod answer_head;
mod arrival;
mod assign;
mod balance;
mod certificate_watch;
mod certificates;
mod chunks;
mod client;
mod client_io;
mod connection;
mod cookie;
mod door;
mod exchange;
mod fd_door;
mod fields;
mod forward;
mod forwarded;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod grpc;
mod handover;
mod head_scan;
mod head_timer;
mod health;
mod histogram;
mod hold;
mod holding;
mod http2;
mod instance_body;
mod instance_io;
mod metrics_door;
mod mirror;
mod mirror_compare;
mod mirror_state;
mod multiplexed;
mod odds;
mod options;
mod outgoing;
mod outlier;
mod own_answer;
mod patience;
mod pick;
mod pool;
mod prometheus;
mod proxy_protocol;
mod proxy_status;
mod publish;
mod recheck;
mod registry;
mod request;
mod request_body;
mod resilience;
mod retry_budget;
mod router;
mod rules;
mod run;
mod saved;
mod seen;
mod session;
mod shared;
mod snapshot;
mod splice;
mod state;
mod stats;
mod tls;
mod trace_context;
mod turns;
mod upload;
mod waiting;
mod wall_clock;
mod wire;
mod worker;

pub use certificates::{CertificateError, check_certificates};
pub use client::{Client, ClientError};
pub use options::{Limits, ProxyOptions};
pub use router::ProxyRouter;
pub use run::{ProxyError, RunningProxy, run, run_announced, start};
pub use saved::LoadError;
pub use wire::{
    AccessLogStats, DrainStatus, HoldRequest, HoldView, InstanceInFlight, InstanceStats, ListenerView,
    MirrorStats, PublishReceipt, PublishRequest, Refusal, ReleaseRequest, RevisionStats, RouteStats, Stats,
    TableView, TlsStats,
};
