//! Constant load on a stage, and what must hold of it.

use std::net::SocketAddr;

use shop::load::{Load, LoadOptions, LoadReport};

/// Constant open-loop load: reads and writes, no retries.
pub struct Traffic {
    load: Load,
    target: SocketAddr,
}

impl std::fmt::Debug for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traffic")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Traffic {
    /// Starts it, at so many requests a second.
    #[must_use]
    pub fn start(target: SocketAddr, rate: u32) -> Self {
        let mut options = LoadOptions::new(target);
        options.rate = rate;
        Self {
            load: Load::start(options),
            target,
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> LoadReport {
        self.load.snapshot()
    }

    /// Ends it, and reads every acknowledged write back.
    ///
    /// # Panics
    /// When the writes cannot be read back.
    pub async fn end(self) -> LoadReport {
        self.load.stop().await;
        self.load
            .verify_writes(self.target)
            .await
            .expect("the writes can be read back")
    }

    /// Ends it: no request failed, none got an error answer, and no acknowledged write is lost.
    ///
    /// # Panics
    /// When one did, with the first of them.
    pub async fn end_without_a_loss(self) -> LoadReport {
        let report = self.end().await;
        assert!(report.sent > 0, "there was load");
        assert_eq!(
            (
                report.failed,
                report.error_answers,
                report.overloaded,
                report.lost_writes
            ),
            (0, 0, 0, Some(0)),
            "failures {:?}\nerrors {:?}\nlost {:?}",
            report.failures,
            report.errors,
            report.lost
        );
        report
    }
}
