//! What a run says of itself: a summary, or the whole story.

use std::collections::BTreeMap;
use std::fmt;

/// How a run went, or many of them together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// Upgrades by how they ended.
    pub ended: BTreeMap<&'static str, u64>,
    /// Turns of the engine's loop.
    pub turns: u64,
    /// Faults that were injected: failed operations, dead controllers and instances, jumps of the clock.
    pub faults: u64,
    /// Controllers that died or were overtaken.
    pub controllers: u64,
    /// Requests that were followed from arrival to answer.
    pub requests: u64,
    /// Those that an instance's death cut.
    pub broken: u64,
    /// Those that were still open when a drain's deadline had passed.
    pub cut: u64,
}

impl Summary {
    /// One upgrade ended so.
    pub(crate) fn count(&mut self, word: &'static str) {
        *self.ended.entry(word).or_default() += 1;
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        for (phase, n) in &other.ended {
            *self.ended.entry(phase).or_default() += n;
        }
        self.turns += other.turns;
        self.faults += other.faults;
        self.controllers += other.controllers;
        self.requests += other.requests;
        self.broken += other.broken;
        self.cut += other.cut;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "runs         {}", self.runs)?;
        let ended: Vec<String> = self
            .ended
            .iter()
            .map(|(phase, n)| format!("{n} {phase}"))
            .collect();
        writeln!(f, "upgrades     {}", ended.join(", "))?;
        writeln!(f, "turns        {}", self.turns)?;
        writeln!(f, "faults       {}", self.faults)?;
        writeln!(f, "controllers  {} died or were overtaken", self.controllers)?;
        write!(
            f,
            "requests     {} followed: {} cut by an instance's death, {} by a drain's deadline, 0 lost",
            self.requests, self.broken, self.cut
        )
    }
}
