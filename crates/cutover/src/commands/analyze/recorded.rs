//! What was recorded in a file: requests of both revisions, two series of points, or several of them for a score.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use cutover_analysis::{Canary, Chart, Recording, Series, UnfitRecording, judge, score};
use cutover_model::ExitCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{answer, classified, compared, unfit};
use crate::failure::{Failure, Outcome};
use crate::render::{Printer, chart, svg};

/// A longer file is refused, in bytes: about ten million requests.
const MOST: u64 = 1 << 30;

/// What tells the two forms apart.
#[derive(Deserialize)]
struct Form {
    method: Option<String>,
}

/// The judgement is the answer, whatever it is: the exit code says that it was made.
pub(super) fn run(printer: &Printer, path: &Path, to: Option<&Path>) -> Outcome {
    let name = path.display().to_string();
    let text = read(path).map_err(|error| unfit(format!("{name}: {error}")))?;
    let text = without_nan(text.trim_start_matches('\u{feff}'));
    // A list would pass for the fields in their order.
    if text.trim_start().starts_with('[') {
        return Err(unfit(format!("{name}: this is a list, and must be an object")));
    }
    match typed::<Form>(&name, &text)?.method.as_deref() {
        None | Some("sequential") => requests(printer, &name, &text, to),
        Some("mannWhitney" | "kayenta") if to.is_some() => {
            Err(unfit("a chart is of requests, and these are series of points"))
        }
        Some("mannWhitney") => points(printer, &name, &text),
        Some("kayenta") => metrics(printer, &name, &text),
        Some(other) => Err(unfit(format!(
            "{name}: `method` is {other}, and must be sequential, mannWhitney or kayenta"
        ))),
    }
}

fn points(printer: &Printer, name: &str, text: &str) -> Outcome {
    let series: Series = typed(name, text)?;
    if let Some((place, problem)) = series.problem() {
        return Err(unfit(format!("{name}: `{place}` {problem}")));
    }
    Ok(compared(printer, &series))
}

fn metrics(printer: &Printer, name: &str, text: &str) -> Outcome {
    let canary: Canary = typed(name, text)?;
    if let Some((place, problem)) = canary.problem() {
        return Err(unfit(format!("{name}: `{place}` {problem}")));
    }
    let found = score(&canary);
    let mut lines = vec![format!("{:?}: {}", found.classification, found.reason)];
    for group in &found.groups {
        let score = match group.score {
            Some(score) => format!("{score:.1}"),
            None => "no data".to_owned(),
        };
        lines.push(format!("{}: {score}, weight {:.1}", group.name, group.weight));
    }
    for metric in &found.metrics {
        let word = classified(metric.classification, metric.critical_failure);
        lines.push(format!("{}: {word}: {}", metric.name, metric.reason));
    }
    Ok(answer(printer, &found, &lines.join("\n"), ExitCode::Done))
}

fn requests(printer: &Printer, name: &str, text: &str, to: Option<&Path>) -> Outcome {
    let recording: Recording = typed(name, text)?;
    recording
        .check()
        .map_err(|UnfitRecording { place, problem }| unfit(format!("{name}: `{place}` {problem}")))?;
    let found = judge(&recording);
    let drawn = Chart::of(&recording, &found);
    if let Some(to) = to {
        draw(&drawn, &format!("{}: {}", found.verdict, found.reason), to)?;
    }
    let mut line = format!(
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
    let picture = chart(&drawn, 0).paint(printer.style());
    if !picture.is_empty() {
        line.push_str("\n\n");
        line.push_str(picture.trim_end());
    }
    Ok(answer(printer, &found, &line, ExitCode::Done))
}

/// Writes a chart into a file.
///
/// # Errors
/// `analysis.no-chart`, when it cannot be written.
pub(crate) fn draw(drawn: &Chart, sentence: &str, to: &Path) -> Result<(), Failure> {
    std::fs::write(to, svg(drawn, sentence)).map_err(|error| {
        Failure::new(
            "analysis.no-chart",
            format!("{}: {error}", to.display()),
            "cutover analyze --input FILE.json --chart /tmp/chart.svg",
        )
    })
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let from: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path)?)
    };
    from.take(MOST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST {
        return Err(std::io::Error::other("it is longer than 1 GiB"));
    }
    Ok(text)
}

/// From the text and not from a value: so the message says in which line.
fn typed<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| unfit(format!("{name}: {error}")))
}

/// JSON has no word for a number that is missing; Python writes `NaN` for it all the same. It becomes `null`.
fn without_nan(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', 'N']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let taken = if from.starts_with("NaN") {
            out.push_str("null");
            3
        } else {
            let end = if from.starts_with('"') { string(from) } else { 1 };
            out.push_str(&from[..end]);
            end
        };
        rest = &from[taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The length of the string that a text begins with, its quotation marks included.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_is_none_becomes_null() {
        for (text, expected) in [
            (r#"{"a":[1,NaN, NaN]}"#, r#"{"a":[1,null, null]}"#),
            (
                r#"{"NaN":"NaN \"NaN\" ","N":NaN}"#,
                r#"{"NaN":"NaN \"NaN\" ","N":null}"#,
            ),
            (r#"{"é":"\\","b":NaN}"#, r#"{"é":"\\","b":null}"#),
            (r#"{"open NaN"#, r#"{"open NaN"#),
            ("Nö", "Nö"),
            ("", ""),
        ] {
            assert_eq!(without_nan(text), expected);
        }
    }
}
