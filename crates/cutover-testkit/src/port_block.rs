//! Ports for an application under test, which picks among them by itself.

use std::fs::File;
use std::net::TcpListener;

use nix::fcntl::{Flock, FlockArg};

/// The blocks lie below the ports that [`crate::free_port`] gives, so that the two never meet.
const FIRST: u16 = 10_000;
const SIZE: u16 = 40;
const BLOCKS: u16 = 250;

/// Neighbouring ports, below 32768, that no other test on this machine is given as long as this lives: two supervisors that
/// pick from one range can pick the same port at the same moment.
#[derive(Debug)]
pub struct PortBlock {
    first: u16,
    /// Held, not read: the kernel lets go of it when the process ends, however it ends.
    _lock: Flock<File>,
}

impl PortBlock {
    /// A block that nobody has and on which nobody listens.
    ///
    /// # Panics
    /// When there is none, or the folder of the locks cannot be used.
    #[must_use]
    pub fn reserve() -> Self {
        let folder = std::env::temp_dir().join("cutover-test-ports");
        std::fs::create_dir_all(&folder).expect("a folder for the locks");
        let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).unwrap_or(0);
        for step in 0..BLOCKS {
            let block = (start + step) % BLOCKS;
            let path = folder.join(block.to_string());
            let Ok(file) = File::options().create(true).append(true).open(&path) else {
                continue;
            };
            let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
                continue;
            };
            let first = FIRST + block * SIZE;
            if (first..first + SIZE).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return Self { first, _lock: lock };
            }
        }
        panic!(
            "no free block of ports between {FIRST} and {}",
            FIRST + BLOCKS * SIZE
        );
    }

    /// The first port.
    #[must_use]
    pub const fn first(&self) -> u16 {
        self.first
    }

    /// The last port.
    #[must_use]
    pub const fn last(&self) -> u16 {
        self.first + SIZE - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_a_block_twice() {
        let (one, two) = (PortBlock::reserve(), PortBlock::reserve());
        assert_ne!(one.first(), two.first());
        let first = one.first();
        drop(one);
        assert!(first >= FIRST && two.last() < 20_000);
    }
}
