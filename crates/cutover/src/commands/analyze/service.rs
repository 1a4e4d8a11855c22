//! What a running service says of itself.

use cutover_analysis::{FigureBounds, Figures, judge_figures};
use cutover_metrics::cause;
use cutover_model::{ExitCode, Span, Verdict};
use serde::Serialize;

use super::{answer, unanswered, unfit};
use crate::cli::Analyze;
use crate::failure::{Failure, Outcome};
use crate::render::Printer;

/// For one answer of a service.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// What is said of a running service.
#[derive(Debug, Serialize)]
struct Said {
    verdict: Verdict,
    reason: String,
}

/// 0 when it keeps its bounds, 1 when it does not, 4 when that cannot be told.
pub(super) async fn run(printer: &Printer, url: &str, analyze: &Analyze) -> Outcome {
    let bounds = FigureBounds {
        max_error_rate: analyze.max_error_rate,
        max_avg_ms: analyze.max_avg_ms,
    };
    if bounds == FigureBounds::default() {
        return Err(unfit(
            "without a bound nothing can fail: --max-error-rate, --max-avg-ms, or both",
        ));
    }
    let mut given = [bounds.max_error_rate, bounds.max_avg_ms].into_iter().flatten();
    if let Some(bound) = given.find(|bound| !(bound.is_finite() && *bound >= 0.0)) {
        return Err(unfit(format!(
            "{bound} is no bound: it must be a number, 0 or more"
        )));
    }
    let figures = match figures(url, analyze.window).await {
        Ok(figures) => figures,
        Err(failure) => return unanswered(printer, failure),
    };
    let (verdict, reason) = judge_figures(&figures, &bounds);
    let exit = match verdict {
        Verdict::Successful => ExitCode::Done,
        Verdict::Failed => ExitCode::Failed,
        Verdict::Inconclusive | Verdict::Error => ExitCode::Waiting,
    };
    let line = format!("{verdict}: {reason}");
    Ok(answer(printer, &Said { verdict, reason }, &line, exit))
}

/// All since the service's start, or what happens within a window from now on.
async fn figures(url: &str, window: Span) -> Result<Figures, Failure> {
    let figures = ask(url).await?;
    if window == Span::ZERO {
        return Ok(figures);
    }
    tokio::time::sleep(window.as_duration()).await;
    Ok(ask(url).await?.since(&figures))
}

async fn ask(url: &str) -> Result<Figures, Failure> {
    // A token may stand in the query, and a password before the host.
    let shown = url.split(['?', '#']).next().unwrap_or(url);
    let shown = cutover_model::cover_passwords(shown);
    let refused = |why: String| {
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
        .map_err(|error| refused(root(error)))?;
    let body = answer.bytes().await.map_err(|error| refused(root(error)))?;
    // A list would pass for the figures in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(refused("the answer is a list, and must be an object".to_owned()));
    }
    let figures: Figures = serde_json::from_slice(&body)
        .map_err(|error| refused(format!("the answer is not JSON with figures: {error}")))?;
    match figures.problem() {
        None => Ok(figures),
        Some(problem) => Err(refused(format!("the answer cannot be true: {problem}"))),
    }
}

/// Why nobody answered as they should.
fn root(error: reqwest::Error) -> String {
    match error.status() {
        Some(status) => format!("status {status}"),
        None if error.is_timeout() => "no answer within 10 s".to_owned(),
        None => cause(error),
    }
}
