//! The proxy between real sockets: real instances, real clients, the admin socket and, where it matters, a process of
//! its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which end by a panic")]

mod access_log;
mod announced;
mod bounding;
mod changing;
mod counting;
mod draining;
mod early;
mod event_source;
mod events;
mod frames;
mod grpc;
mod http2;
mod hygiene;
mod instance;
mod mirroring;
mod odds;
mod process;
mod publishing;
mod recorder;
mod resilience;
mod resting;
mod retrying;
mod rig;
mod selecting;
mod splitting;
mod switching;
mod telling;
mod tls;
mod visitor;
mod websocket;
