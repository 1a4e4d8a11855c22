//! Metrics providers: Prometheus, and whoever answers JSON over HTTP.
//!
//! One adapter for the port [`cutover_ports::QuerySource`], a file a provider. Owns nothing: each query is asked anew. It must not
//! know what a result means; conditions are judged by `cutover-analysis`. A failure here is the provider's, never the
//! release's.

mod ask;
mod prometheus;

pub use ask::{HttpQueries, Resolve};
