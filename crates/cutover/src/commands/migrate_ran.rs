//! What a run up or down came to, and how it is told: lines, or one value.

use cutover_migrate::{Pending, Waiting};
use cutover_model::{DatabaseName, Diagnostic, ExitCode};
use cutover_ports::MigrationReport;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::failure::{Failure, Outcome};

#[derive(Debug, Default)]
pub(super) struct Ran {
    /// What was run, in order.
    pub(super) done: Vec<(DatabaseName, MigrationReport)>,
    /// Contracts that were passed over.
    pub(super) waiting: Vec<(DatabaseName, Waiting)>,
    /// What is wrong with the databases afterwards.
    pub(super) findings: Vec<Diagnostic>,
    /// Why it did not go on.
    pub(super) failed: Option<Failure>,
}

impl Ran {
    /// Nothing yet, and something to tell of the files.
    pub(super) fn finding(findings: Vec<Diagnostic>) -> Self {
        Self {
            findings,
            ..Self::default()
        }
    }

    pub(super) fn wait_for(&mut self, name: &DatabaseName, pending: Pending) {
        let waiting = pending.waiting.into_iter();
        self.waiting.extend(waiting.map(|one| (name.clone(), one)));
    }

    /// Tells it, and answers how the command ends. `contracts` runs those that wait.
    pub(super) fn conclude(self, ctx: &Context, contracts: &str) -> Outcome {
        if ctx.printer.is_json() {
            let value = self.value();
            return match self.failed {
                // What was done is told with the error, in one value.
                Some(mut failure) => {
                    failure.beside = value;
                    Err(failure)
                }
                None => {
                    let mut value = value;
                    value.insert("error".to_owned(), Value::Null);
                    ctx.printer.json_pretty(&value);
                    Ok(ExitCode::Done)
                }
            };
        }
        for (name, report) in &self.done {
            let rows = report
                .rows
                .map(|rows| format!(", {rows} rows"))
                .or_else(|| report.moved.as_ref().map(|(from, to)| format!(", {from} → {to}")))
                .unwrap_or_default();
            ctx.printer
                .data(&format!("  ✓ {name}  {}  {}{rows}\n", report.id, report.took));
        }
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        if self.done.is_empty() {
            ctx.printer.data("Nothing to do.\n");
        }
        if !self.findings.is_empty() {
            let style = ctx.printer.talk_style();
            ctx.printer
                .talk(&crate::render::some_diagnostics(&self.findings, &style));
        }
        for (name, waiting) in &self.waiting {
            ctx.printer.advise(&format!(
                "  · {name}  {}  waits until no instance below {} is left; then: {contracts}\n",
                waiting.id, waiting.retires
            ));
        }
        Ok(ExitCode::Done)
    }

    fn value(&self) -> Map<String, Value> {
        let done: Vec<_> = self
            .done
            .iter()
            .map(|(name, report)| {
                json!({
                    "database": name,
                    "migration": report.id.to_string(),
                    "took": report.took,
                    "rows": report.rows,
                    "already": report.already,
                })
            })
            .collect();
        let waiting: Vec<_> = self
            .waiting
            .iter()
            .map(|(name, one)| {
                json!({ "database": name, "migration": one.id.to_string(), "retires": one.retires })
            })
            .collect();
        Map::from_iter([
            ("done".to_owned(), json!(done)),
            ("complete".to_owned(), json!(self.failed.is_none())),
            ("waiting".to_owned(), json!(waiting)),
            ("findings".to_owned(), json!(self.findings)),
        ])
    }
}
