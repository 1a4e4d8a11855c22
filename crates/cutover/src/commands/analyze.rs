//! `cutover analyze`: a judgement without an upgrade, of what was recorded or of what a service says of itself.

use std::io::Read as _;
use std::path::Path;

use cutover_analysis::{
    FigureBounds, Figures, Recording, Series, UnfitRecording, classify, judge, judge_figures,
};
use cutover_model::{Diagnostic, ExitCode, Span, Verdict};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::Analyze;
use crate::failure::{Failure, Outcome};
use crate::render::Printer;

/// For one answer of a service.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

const HELP: &str = "cutover analyze --help";

pub(super) async fn run(printer: &Printer, analyze: &Analyze) -> Outcome {
    match (&analyze.source.input, &analyze.source.url) {
        (Some(path), _) => recorded(printer, path),
        (None, Some(url)) => service(printer, url, analyze).await,
        (None, None) => Err(unfit("--input or --url is needed")),
    }
}

fn unfit(message: impl Into<String>) -> Failure {
    Failure::usage(vec![Diagnostic::error("analyze.input", message).help(HELP)])
}

/// The judgement is the answer, whatever it is: the exit code says that it was made.
fn recorded(printer: &Printer, path: &Path) -> Outcome {
    let name = path.display().to_string();
    let text = if name == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| unfit(format!("{name}: {error}")))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| unfit(format!("{name}: {error}")))?;
    let Some(object) = value.as_object() else {
        return Err(unfit(format!("{name}: this is JSON, but no object")));
    };
    if object.contains_key("method") {
        let series: Series = typed(&name, &text)?;
        if let Some((place, problem)) = series.problem() {
            return Err(unfit(format!("{name}: `{place}` {problem}")));
        }
        let found = classify(&series);
        let line = format!("{:?}: {}", found.classification, found.reason);
        return Ok(answer(printer, &found, &line, ExitCode::Done));
    }
    let recording: Recording = typed(&name, &text)?;
    recording
        .check()
        .map_err(|UnfitRecording { place, problem }| unfit(format!("{name}: `{place}` {problem}")))?;
    let found = judge(&recording);
    let line = format!(
        "{}: {}\n{} requests of the candidate{}, ln E = {:.3}, failed from {:.3} on",
        found.verdict,
        found.reason,
        found.candidate_requests,
        found
            .at_ms
            .map(|at| format!(" until {at} ms"))
            .unwrap_or_default(),
        found.log_evidence,
        -recording.alpha.ln()
    );
    Ok(answer(printer, &found, &line, ExitCode::Done))
}

/// From the text and not from a value: so the message says in which line.
fn typed<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| unfit(format!("{name}: {error}")))
}

fn answer(printer: &Printer, found: &impl Serialize, line: &str, exit: ExitCode) -> ExitCode {
    if printer.is_json() {
        printer.json_pretty(found);
    } else {
        printer.data(&format!("{line}\n"));
    }
    exit
}

/// What is said of a running service.
#[derive(Debug, Serialize)]
struct Said {
    verdict: Verdict,
    reason: String,
}

/// 0 when it keeps its bounds, 1 when it does not, 4 when that cannot be told.
async fn service(printer: &Printer, url: &str, analyze: &Analyze) -> Outcome {
    let bounds = FigureBounds {
        max_error_rate: analyze.max_error_rate,
        max_avg_ms: analyze.max_avg_ms,
    };
    if bounds == FigureBounds::default() {
        return Err(unfit(
            "without a bound nothing can fail: --max-error-rate, --max-avg-ms, or both",
        ));
    }
    let negative = [bounds.max_error_rate, bounds.max_avg_ms].into_iter().flatten();
    if negative.clone().any(|bound| bound.is_nan() || bound < 0.0) {
        return Err(unfit("a bound must not be negative"));
    }
    let mut figures = ask(url).await?;
    if analyze.window > Span::ZERO {
        tokio::time::sleep(analyze.window.as_duration()).await;
        figures = ask(url).await?.since(&figures);
    }
    let (verdict, reason) = judge_figures(&figures, &bounds);
    let exit = match verdict {
        Verdict::Successful => ExitCode::Done,
        Verdict::Failed | Verdict::Error => ExitCode::Failed,
        Verdict::Inconclusive => ExitCode::Waiting,
    };
    let line = format!("{verdict}: {reason}");
    Ok(answer(printer, &Said { verdict, reason }, &line, exit))
}

async fn ask(url: &str) -> Result<Figures, Failure> {
    let refused = |why: String| {
        let shown = cutover_model::cover_passwords(url);
        Failure::new(
            "analyze.no-answer",
            format!("{shown}: {why}"),
            "curl -H 'Accept: application/json' URL",
        )
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWER_WITHIN)
        .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| refused(error.to_string()))?;
    let asked = client.get(url).header("accept", "application/json").send().await;
    let answer = asked
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| refused(root(&error)))?;
    let body = answer.bytes().await.map_err(|error| refused(root(&error)))?;
    serde_json::from_slice(&body)
        .map_err(|error| refused(format!("the answer is not JSON with figures: {error}")))
}

/// The innermost cause: the others only say that a request failed, and name the URL with all that is in it.
fn root(error: &reqwest::Error) -> String {
    if let Some(status) = error.status() {
        return format!("status {status}");
    }
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
