//! The tables, and what misses a goal.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::tool::Tool;
use crate::trial::{Measured, Plan, Row, What};

/// Milliseconds that a run which finds nothing to do may take, per file: 20 at 1,000, 100 at 10,000.
const fn allowed(files: usize) -> f64 {
    if files <= 1_000 { 20.0 } else { 100.0 }
}

#[derive(Serialize)]
pub(crate) struct Report {
    tools: Vec<String>,
    rounds: usize,
    rounds_of_nothing: usize,
    measured: Vec<Measured>,
}

impl Report {
    pub(crate) fn new(plan: &Plan, tools: &[Tool]) -> Self {
        Self {
            tools: tools
                .iter()
                .map(|tool| format!("{} {}", tool.kind.name(), tool.version))
                .collect(),
            rounds: plan.rounds,
            rounds_of_nothing: plan.rounds_of_nothing(),
            measured: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, measured: Measured) {
        self.measured.push(measured);
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "Medians of {} rounds, and of {} where there is nothing to do; in brackets, how many times as long as Cutover. \
             All write to SQLite with synchronous=FULL, its own default; Cutover has quick files there share a commit.\n\n| | {} |\n|---|{}\n",
            self.rounds,
            self.rounds_of_nothing,
            self.tools.join(" | "),
            "---|".repeat(self.tools.len())
        );
        for (server, row) in self.rows() {
            let what = match row.what {
                What::Apply => "apply",
                What::Nothing => "nothing to do,",
            };
            // Into a String, this cannot fail.
            let _ = write!(out, "| {server}, {what} {} |", row.files);
            for (at, millis) in row.millis.iter().enumerate() {
                let shown = milliseconds(median(millis));
                let _ = match at {
                    0 => write!(out, " {shown} |"),
                    _ => write!(out, " {shown} ({:.1}) |", ratio(row, at)),
                };
            }
            out.push('\n');
        }
        out
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, &Row)> {
        self.measured
            .iter()
            .flat_map(|one| one.rows.iter().map(|row| (one.server, row)))
    }

    /// Says which goals were missed, if any.
    pub(crate) fn missed(&self) -> Result<()> {
        let mut missed = Vec::new();
        for (server, row) in self.rows() {
            match row.what {
                What::Nothing => {
                    let took = row.millis.first().map_or(f64::MAX, |millis| median(millis));
                    if took > allowed(row.files) {
                        missed.push(format!("{server}: {} files, {}", row.files, milliseconds(took)));
                    }
                }
                What::Apply => {
                    let faster = (1..row.millis.len()).filter(|at| ratio(row, *at) < 1.0);
                    missed.extend(faster.map(|at| format!("{server}: {} applies faster", self.tools[at])));
                }
            }
        }
        if missed.is_empty() {
            return Ok(());
        }
        bail!("missed: {}", missed.join("; "))
    }
}

/// The median of the rounds' ratios to the first tool.
fn ratio(row: &Row, at: usize) -> f64 {
    let ratios: Vec<f64> = row.millis[at]
        .iter()
        .zip(&row.millis[0])
        .map(|(other, own)| other / own)
        .collect();
    median(&ratios)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::MAX)
}

fn milliseconds(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1} ms")
    } else {
        format!("{value:.0} ms")
    }
}
