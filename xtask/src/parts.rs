//! The parts of a task: each is announced, timed, and listed at the end.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What ran so far, and how long it took.
#[derive(Default)]
pub(crate) struct Parts {
    finished: Vec<Part>,
}

struct Part {
    name: &'static str,
    took: Duration,
    held: bool,
}

impl Parts {
    /// Runs one part. Its name is put before its error.
    pub(crate) fn run<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("── {name}");
        let start = now();
        let outcome = work();
        self.finished.push(Part {
            name,
            took: start.elapsed(),
            held: outcome.is_ok(),
        });
        outcome.with_context(|| format!("{name} failed"))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures real builds and real tests: there is no clock to inject"
)]
fn now() -> Instant {
    Instant::now()
}

/// A table: mark, name, seconds.
impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .finished
            .iter()
            .map(|part| part.name.chars().count())
            .max()
            .unwrap_or(0);
        for part in &self.finished {
            let mark = if part.held { '✓' } else { '✗' };
            writeln!(
                f,
                "  {mark} {:<width$}  {:>8.1} s",
                part.name,
                part.took.as_secs_f64()
            )?;
        }
        let whole: Duration = self.finished.iter().map(|part| part.took).sum();
        write!(f, "    {:<width$}  {:>8.1} s", "all", whole.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_what_ran_and_marks_what_failed() {
        let mut parts = Parts::default();
        parts.run("good", || Ok(())).unwrap();
        let error = parts
            .run("bad one", || -> Result<()> { anyhow::bail!("no") })
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "bad one failed: no");

        let table = parts.to_string();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("  ✓ good   "), "{table}");
        assert!(lines[1].starts_with("  ✗ bad one"), "{table}");
        assert!(lines[2].starts_with("    all"), "{table}");
    }
}
