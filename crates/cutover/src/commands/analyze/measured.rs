//! What a Prometheus measured of both revisions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cutover_analysis::{Series, points_of};
use cutover_metrics::HttpQueries;
use cutover_model::{PrometheusQuery, Provider, Span};
use cutover_spec::is_plain_secret;
use serde_json::json;

use super::{compared, unanswered, unfit};
use crate::cli::Measured;
use crate::failure::{Failure, Outcome};
use crate::lookup::outside;
use crate::render::Printer;
use crate::world::SystemClock;

/// For one answer of a Prometheus.
const ANSWER_WITHIN: Span = Span::from_secs(30);

/// More points than this Prometheus does not give.
const MOST_POINTS: u64 = 11_000;

/// The comparison is the answer, whatever it is: the exit code says that it was made.
pub(super) async fn run(printer: &Printer, address: &str, measured: &Measured) -> Outcome {
    if reqwest::Url::parse(address).is_ok_and(|url| url.password().is_some()) {
        return Err(unfit(
            "whoever lists the processes of this machine would read the password in the address: \
             write --header 'Authorization: Basic ${env:NAME}'",
        ));
    }
    let mut series = series(measured)?;
    let headers = headers(&measured.header)?;
    let asked = |query: &Option<String>| {
        Provider::Prometheus(PrometheusQuery {
            address: address.to_owned(),
            query: query.clone().unwrap_or_default(),
            range: Some(measured.since),
            step: Some(measured.step),
            headers: headers.clone(),
            timeout: ANSWER_WITHIN,
        })
    };
    let points = measured.since.as_millis().checked_div(measured.step.as_millis());
    if points.is_none_or(|points| points > MOST_POINTS) {
        return Err(unfit(format!(
            "--since {} in steps of {} is no number of points from 1 to {MOST_POINTS}",
            measured.since, measured.step
        )));
    }
    let resolve = |text: &str| cutover_spec::resolve(text, &|reference| outside(&PathBuf::new(), reference));
    let source = HttpQueries::new(Arc::new(resolve), Arc::new(SystemClock));
    let points = async |query| {
        let found = source.ask(&asked(query)).await?;
        points_of(&found).map_err(|what| {
            let message = format!("the query gives no series to compare: {what}, such as sum(…) of them");
            Failure::new("metrics.unavailable", message, "cutover analyze --help")
        })
    };
    let both = async {
        let experiment = points(&measured.experiment).await?;
        Ok::<_, Failure>((experiment, points(&measured.control).await?))
    };
    match both.await {
        Ok((experiment, control)) => (series.experiment, series.control) = (experiment, control),
        // A reference that stands for nothing is ours to mend; all else is Prometheus's.
        Err(failure) if failure.is("metrics.unavailable") => return unanswered(printer, failure),
        Err(failure) => return Err(failure),
    }
    Ok(compared(printer, &series))
}

/// The same options as in a file, without points as yet.
fn series(measured: &Measured) -> Result<Series, Failure> {
    let options = json!({
        "experiment": [],
        "control": [],
        "direction": measured.direction,
        "tolerance": measured.tolerance,
        "confidence": measured.confidence,
        "effectSizeMeasure": measured.effect_size_measure,
        "allowedIncrease": measured.allowed_increase,
        "allowedDecrease": measured.allowed_decrease,
        "critical": measured.critical,
        "criticalIncrease": measured.critical_increase,
        "criticalDecrease": measured.critical_decrease,
        "mustHaveData": measured.must_have_data,
        "nanStrategy": measured.nan_strategy,
    });
    let series: Series = serde_json::from_value(options).map_err(|error| unfit(error.to_string()))?;
    match series.problem() {
        None => Ok(series),
        Some((option, problem)) => Err(unfit(format!("`{option}` {problem}"))),
    }
}

/// Whoever lists the processes of the machine reads the arguments, so what is secret must not stand there.
fn headers(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut headers = BTreeMap::new();
    for header in given {
        let Some((name, value)) = header.split_once(':') else {
            return Err(unfit("--header is `NAME: VALUE`"));
        };
        let (name, value) = (name.trim(), value.trim());
        if is_plain_secret(name, value) {
            return Err(unfit(format!(
                "what `{name}` holds is a secret, and whoever lists the processes of this machine would read it: \
                 write --header '{name}: ${{env:NAME}}'"
            )));
        }
        headers.insert(name.to_owned(), value.to_owned());
    }
    Ok(headers)
}
