//! What a provider answered, against its conditions.

use serde_json::Value;

use crate::condition::{Condition, Unanswered};
use crate::judge::{Finding, failed, inconclusive, no_data, successful};

/// How much of a result is repeated in a sentence, in characters.
const SHOWN: usize = 60;

/// Judges a result. With one condition its opposite is the other verdict; with both, what neither holds for cannot be
/// told. (In Argo's documents no condition at all is Inconclusive, in its code Successful; here it is refused before.)
pub(crate) fn judge(result: &Value, success: Option<&str>, failure: Option<&str>) -> Finding {
    let shown = shown(result);
    let holds = |condition: Option<&str>| match condition.map(str::parse::<Condition>) {
        None => Ok(None),
        Some(Err(error)) => Err(inconclusive(format!("a condition cannot be read: {error}"))),
        Some(Ok(condition)) => match condition.holds(result) {
            Ok(answer) => Ok(Some((answer, condition))),
            Err(Unanswered::NoData(what)) => Err(no_data(0, &format!("{what}: {shown}"))),
            Err(Unanswered::WrongKind(what)) => Err(inconclusive(format!(
                "`{condition}` does not fit: {what}: {shown}"
            ))),
        },
    };
    let answers = holds(failure).and_then(|failure| Ok((failure, holds(success)?)));
    let (failure, success) = match answers {
        Ok(answers) => answers,
        Err(finding) => return finding,
    };
    match (failure, success) {
        (Some((true, condition)), _) => failed(format!("{shown}, and it fails when {condition}")),
        (_, Some((true, condition))) => successful(format!("{shown}, as it should: {condition}")),
        (None, Some((false, condition))) => failed(format!("{shown}, and it should be that {condition}")),
        (Some((false, condition)), None) => successful(format!("{shown}, which is not {condition}")),
        (Some((false, _)), Some((false, condition))) => {
            inconclusive(format!("{shown}: neither a failure, nor {condition}"))
        }
        (None, None) => inconclusive("there is no condition".to_owned()),
    }
}

/// A result in a few characters. It is a measurement; yet what could be a secret in a URL is covered.
fn shown(result: &Value) -> String {
    let text = cutover_model::cover_passwords(&result.to_string());
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("the result is {short}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::judge::Outcome;

    #[test]
    fn every_combination_has_its_word_and_sentence() {
        let (low, high) = (Some("result < 1"), Some("result > 5"));
        for (result, success, failure, outcome, words) in [
            (
                json!(0.5),
                low,
                None,
                Outcome::Successful,
                "the result is 0.5, as it should: result < 1",
            ),
            (
                json!(2),
                low,
                None,
                Outcome::Failed,
                "the result is 2, and it should be that result < 1",
            ),
            (
                json!(2),
                None,
                high,
                Outcome::Successful,
                "the result is 2, which is not result > 5",
            ),
            (
                json!(6),
                None,
                high,
                Outcome::Failed,
                "the result is 6, and it fails when result > 5",
            ),
            (
                json!(6),
                low,
                high,
                Outcome::Failed,
                "the result is 6, and it fails when result > 5",
            ),
            (
                json!(0),
                low,
                high,
                Outcome::Successful,
                "the result is 0, as it should: result < 1",
            ),
            (
                json!(3),
                low,
                high,
                Outcome::Inconclusive,
                "the result is 3: neither a failure, nor result < 1",
            ),
            (
                json!(3),
                None,
                None,
                Outcome::Inconclusive,
                "there is no condition",
            ),
            (
                json!([]),
                Some("result[0] < 1"),
                None,
                Outcome::NoData { needed: 0 },
                "the result has 0 values, no [0]: the result is []",
            ),
            (
                json!("x"),
                low,
                None,
                Outcome::Inconclusive,
                "`result < 1` does not fit: a text is no number: the result is \"x\"",
            ),
        ] {
            let found = judge(&result, success, failure);
            assert_eq!(
                (found.outcome, found.words.as_str()),
                (outcome, words),
                "{result}"
            );
        }
    }
}
