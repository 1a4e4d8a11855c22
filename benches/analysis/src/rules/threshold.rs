//! A fixed bound on an error rate over a window, looked at every interval.

use std::collections::VecDeque;

use crate::release::{Detector, Next, RISE, STEP, TOP, ramp};
use crate::world::{Arm, Second};

/// What such a rule leaves to its user.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// A look fails above this share of failed requests.
    pub max: f64,
    /// Flagger's `threshold`, Argo's `failureLimit`.
    pub limit: u32,
    /// Between two looks, in seconds.
    pub interval: u64,
}

/// The candidate in the last `length` seconds.
#[derive(Debug)]
struct Window {
    length: usize,
    seconds: VecDeque<Arm>,
    blind: bool,
}

impl Window {
    fn new(length: u64) -> Self {
        Self {
            length: length as usize,
            seconds: VecDeque::new(),
            blind: false,
        }
    }

    fn push(&mut self, seen: &Second) {
        self.blind = seen.blind;
        self.seconds.push_back(seen.candidate);
        if self.seconds.len() > self.length {
            self.seconds.pop_front();
        }
    }

    fn rate(&self) -> Option<f64> {
        let mut sum = Arm::default();
        for second in &self.seconds {
            sum.add(*second);
        }
        sum.rate().filter(|_| !self.blind)
    }
}

/// Flagger: the success rate over the last minute, looked at every `interval`; failed looks are never forgotten, no value
/// is a failed look, a failed look keeps the share where it is, and `threshold` of them take the release back at the next
/// look.
#[derive(Debug)]
pub struct Flagger {
    setting: Setting,
    window: Window,
    failed: u32,
    share: f64,
    /// How much a good look adds: the whole ramp takes as long whatever the interval.
    rise: f64,
}

impl Flagger {
    /// With a setting.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        let rise = RISE * setting.interval as f64 / STEP as f64;
        Self {
            setting,
            window: Window::new(60),
            failed: 0,
            share: rise,
            rise,
        }
    }
}

impl Detector for Flagger {
    fn second(&mut self, at: u64, seen: &Second) -> Next {
        self.window.push(seen);
        if !at.is_multiple_of(self.setting.interval) {
            return Next::Share(self.share);
        }
        if self.failed >= self.setting.limit.max(1) {
            return Next::Back;
        }
        if self.window.rate().is_some_and(|rate| rate <= self.setting.max) {
            self.share += self.rise;
            if self.share > TOP + self.rise / 2.0 {
                return Next::Promote;
            }
        } else {
            self.failed += 1;
        }
        Next::Share(self.share)
    }
}

/// Argo Rollouts: an analysis in the background of a canary with timed steps. A query over its last interval every `interval`;
/// no data pass, as with the documented `isNaN(result) || …`; more failures than `failureLimit` take the release back at
/// once. Five errors of the provider in a row (`consecutiveErrorLimit` 4) do so too.
#[derive(Debug)]
pub struct Argo {
    setting: Setting,
    window: Window,
    failed: u32,
    errors: u32,
}

impl Argo {
    /// With a setting.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        Self {
            setting,
            window: Window::new(setting.interval),
            failed: 0,
            errors: 0,
        }
    }
}

impl Detector for Argo {
    fn second(&mut self, at: u64, seen: &Second) -> Next {
        self.window.push(seen);
        // A provider that failed is asked again after ten seconds.
        let every = if self.errors > 0 {
            10
        } else {
            self.setting.interval
        };
        if at.is_multiple_of(every) {
            if seen.blind {
                self.errors += 1;
                if self.errors > 4 {
                    return Next::Back;
                }
            } else {
                self.errors = 0;
                let bad = self.window.rate().is_some_and(|rate| rate > self.setting.max);
                self.failed += u32::from(bad);
                if self.failed > self.setting.limit {
                    return Next::Back;
                }
            }
        }
        ramp(at).map_or(Next::Promote, Next::Share)
    }
}
