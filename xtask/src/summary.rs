//! What the test runners said, added up.

use std::collections::BTreeMap;
use std::fmt;

/// Tests by outcome, over all runners.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    counts: BTreeMap<String, u64>,
}

impl Summary {
    /// Adds the totals found in a runner's lines: nextest's `Summary [ 1.2s] 3 tests run: 2 passed (1 slow), 1
    /// failed, 0 skipped`, or libtest's `test result: ok. 3 passed; 0 failed; 0 ignored; …`, once per binary.
    pub(crate) fn add(&mut self, lines: &[String]) {
        for line in lines {
            // nextest shows the output of a test that failed, libtest's total of that one test within, indented.
            let totals = if let Some(rest) = line.strip_prefix("test result: ") {
                rest.split_once(". ").map(|(_, totals)| totals)
            } else if line.trim_start().starts_with("Summary [") {
                line.split_once("run: ").map(|(_, totals)| totals)
            } else {
                None
            };
            for total in totals.unwrap_or_default().split([',', ';']) {
                self.add_total(total);
            }
        }
    }

    fn add_total(&mut self, total: &str) {
        let total = total.split(" (").next().unwrap_or(total).trim();
        let Some((count, outcome)) = total.split_once(' ') else {
            return;
        };
        let outcome = match outcome {
            "skipped" | "ignored" | "filtered out" => "skipped",
            "passed" | "failed" | "timed out" | "exec failed" => outcome,
            // libtest's "measured" and "finished in 0.1s".
            _ => return,
        };
        if let Ok(count) = count.parse::<u64>() {
            *self.counts.entry(outcome.to_owned()).or_default() += count;
        }
    }

    /// How many ended this way.
    pub(crate) fn count(&self, outcome: &str) -> u64 {
        self.counts.get(outcome).copied().unwrap_or(0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tests: {} passed, {} failed",
            self.count("passed"),
            self.count("failed")
        )?;
        for outcome in ["timed out", "exec failed"] {
            if self.count(outcome) > 0 {
                write!(f, ", {} {outcome}", self.count(outcome))?;
            }
        }
        write!(f, ", {} skipped", self.count("skipped"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(lines: &[&str]) -> Summary {
        let mut summary = Summary::default();
        summary.add(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        summary
    }

    #[test]
    fn nextest() {
        let all = summary(&[
            "        PASS [   0.010s] cutover-model names::tests::good",
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 14 filtered out; finished in 0.12s",
            "     Summary [   3.412s] 9 tests run: 6 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 4 skipped",
        ]);
        assert_eq!(
            all.to_string(),
            "tests: 6 passed, 2 failed, 1 timed out, 4 skipped"
        );
        assert_eq!(
            summary(&["     Summary [   0.1s] 1 test run: 1 passed, 0 skipped"]).count("passed"),
            1
        );
    }

    #[test]
    fn libtest_adds_up_its_binaries() {
        let all = summary(&[
            "test names::tests::good ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.10s",
        ]);
        assert_eq!(all.to_string(), "tests: 4 passed, 2 failed, 6 skipped");
    }
}
