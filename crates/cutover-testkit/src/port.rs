//! Ports that nobody listens on.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// The ports below where the kernel takes those of outgoing connections from, so that none of them is in the way.
const FIRST: u32 = 20_000;
const COUNT: u32 = 8_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A TCP port of the loopback address, below 32768, that was free a moment ago and that this process did not get
/// before. Processes begin at different places.
///
/// # Panics
/// When every one of them is taken.
#[must_use]
pub fn free_port() -> u16 {
    // Neighbouring processes have neighbouring ids: a step that is prime to the count spreads them.
    let base = std::process::id().wrapping_mul(7919);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + base.wrapping_add(step) % COUNT;
        let port = u16::try_from(port).expect("below 32768");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_differ() {
        let first = free_port();
        let held = TcpListener::bind(("127.0.0.1", first)).unwrap();
        let second = free_port();
        assert_ne!(first, second);
        assert!(first < 32_768 && second < 32_768);
        drop(held);
    }
}
