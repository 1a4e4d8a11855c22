//! What kind of load.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What kind of load. Start from [`LoadOptions::new`] and change what matters.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Who is asked: a shop, or the proxy before it.
    pub target: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// Requests a second, at least 1.
    pub rate: u32,
    /// The same seed asks the same questions in the same order.
    pub seed: u64,
    /// The share of requests that create or change a user, 0 to 1.
    pub write_share: f64,
    /// How long an answer may take before the request counts as failed.
    pub timeout: Duration,
    /// With this many requests unanswered the load skips its turn and counts `overloaded`: the machine of the load,
    /// not the service, would be what is measured.
    pub most_outstanding: usize,
    /// How many failures and how many error answers the report lists one by one.
    pub troubles_kept: usize,
}

impl LoadOptions {
    /// 200 requests a second, one in four a write.
    pub fn new(target: SocketAddr) -> Self {
        Self {
            target,
            host: "shop.example".to_owned(),
            rate: 200,
            seed: 1,
            write_share: 0.25,
            timeout: Duration::from_secs(10),
            most_outstanding: 4096,
            troubles_kept: 100,
        }
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))
    }
}
