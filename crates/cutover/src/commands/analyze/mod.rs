//! `cutover analyze`: a judgement without an upgrade, of what was recorded, what Prometheus measured, or what a service
//! says of itself.

mod measured;
mod recorded;
mod service;

pub(super) use recorded::draw;

use cutover_analysis::{Classification, Series, classify};
use cutover_model::{Diagnostic, ExitCode, Verdict};
use serde::Serialize;

use crate::cli::Analyze;
use crate::failure::{Failure, Outcome};
use crate::render::Printer;

const HELP: &str = "cutover analyze --help";

pub(super) async fn run(printer: &Printer, analyze: &Analyze) -> Outcome {
    let source = &analyze.source;
    match (&source.input, &source.url, &source.prometheus) {
        (Some(path), _, _) => recorded::run(printer, path, analyze.chart.as_deref()),
        (None, Some(url), _) => service::run(printer, url, analyze).await,
        (None, None, Some(address)) => measured::run(printer, address, &analyze.measured).await,
        (None, None, None) => Err(unfit("--input, --url or --prometheus is needed")),
    }
}

fn unfit(message: impl Into<String>) -> Failure {
    Failure::usage(vec![Diagnostic::error("analyze.input", message).help(HELP)])
}

/// Somebody did not answer, or not with what was asked for. That is the verdict `Error`, and says nothing of the release:
/// exit code 4, as for all that cannot be told.
fn unanswered(printer: &Printer, failure: Failure) -> Outcome {
    #[derive(Serialize)]
    struct Said<'a> {
        verdict: Verdict,
        reason: &'a str,
        error: &'a Diagnostic,
    }

    let failure = failure.with_exit(ExitCode::Waiting);
    match failure.found.as_slice() {
        [error] if printer.is_json() => {
            printer.json_pretty(&Said {
                verdict: Verdict::Error,
                reason: &error.message,
                error,
            });
            Ok(failure.exit)
        }
        _ => Err(failure),
    }
}

/// Two series, compared. A critical failure is one whatever else is measured.
fn compared(printer: &Printer, series: &Series) -> ExitCode {
    let found = classify(series);
    let line = format!(
        "{}: {}",
        classified(found.classification, found.critical_failure),
        found.reason
    );
    answer(printer, &found, &line, ExitCode::Done)
}

fn classified(word: Classification, critical: bool) -> String {
    let critical = if critical { " (critical failure)" } else { "" };
    format!("{word:?}{critical}")
}

fn answer(printer: &Printer, found: &impl Serialize, line: &str, exit: ExitCode) -> ExitCode {
    if printer.is_json() {
        printer.json_pretty(found);
    } else {
        printer.data(&format!("{line}\n"));
    }
    exit
}
