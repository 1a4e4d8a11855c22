//! `cutover analyze`: a judgement without an upgrade, of what was recorded or of what a service says of itself.

mod recorded;
mod service;

pub(super) use recorded::draw;

use cutover_model::{Diagnostic, ExitCode};
use serde::Serialize;

use crate::cli::Analyze;
use crate::failure::{Failure, Outcome};
use crate::render::Printer;

const HELP: &str = "cutover analyze --help";

pub(super) async fn run(printer: &Printer, analyze: &Analyze) -> Outcome {
    match (&analyze.source.input, &analyze.source.url) {
        (Some(path), _) => recorded::run(printer, path, analyze.chart.as_deref()),
        (None, Some(url)) => service::run(printer, url, analyze).await,
        (None, None) => Err(unfit("--input or --url is needed")),
    }
}

fn unfit(message: impl Into<String>) -> Failure {
    Failure::usage(vec![Diagnostic::error("analyze.input", message).help(HELP)])
}

fn answer(printer: &Printer, found: &impl Serialize, line: &str, exit: ExitCode) -> ExitCode {
    if printer.is_json() {
        printer.json_pretty(found);
    } else {
        printer.data(&format!("{line}\n"));
    }
    exit
}
