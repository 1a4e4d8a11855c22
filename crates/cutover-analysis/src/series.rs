//! A series of points of the candidate (the experiment) against one of stable (the control), as Kayenta classifies them.
//!
//! Its words, parameters, defaults and edges, as they stand in `MannWhitneyClassifier.scala` and `EffectSizes.scala` of
//! Spinnaker's repository (2025); but points that are missing are never a perfect score: `Nodata` is a classification of
//! its own, and a failure where data must be there.

use cutover_model::{Direction, EffectSize, NanStrategy, SeriesTest};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::mann_whitney::{Shift, above, shift};
use crate::recording::or_null;
use crate::words::number;

/// Two series and how they are compared.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Series {
    /// Always `mannWhitney`; absent: the same.
    #[serde(default = "method", deserialize_with = "method_or_null")]
    pub method: String,
    /// The candidate's points, one an interval; null or `"NaN"` where there is none.
    #[serde(deserialize_with = "points")]
    pub experiment: Vec<Option<f64>>,
    /// Stable's.
    #[serde(deserialize_with = "points")]
    pub control: Vec<Option<f64>>,
    /// The part of the estimated shift that the confidence interval must be away from none; 0 to 1, default 0.25.
    #[serde(default = "tolerance", deserialize_with = "tolerance_or_null")]
    pub tolerance: f64,
    /// Of that interval; between 0 and 1, default 0.98.
    #[serde(default = "confidence", deserialize_with = "confidence_or_null")]
    pub confidence: f64,
    /// Which change is a bad one; default either.
    #[serde(default, deserialize_with = "or_null")]
    pub direction: Direction,
    /// How the size of the change is measured; default meanRatio.
    #[serde(default, deserialize_with = "or_null")]
    pub effect_size_measure: EffectSize,
    /// An increase counts from this effect size on; default 1 for meanRatio, 0.5 for cles.
    #[serde(default)]
    pub allowed_increase: Option<f64>,
    /// A decrease counts from this effect size down; the same defaults.
    #[serde(default)]
    pub allowed_decrease: Option<f64>,
    /// Where it is `critical`, an increase is a critical failure from this effect size on; the same defaults.
    #[serde(default)]
    pub critical_increase: Option<f64>,
    /// Where it is `critical`, a decrease is a critical failure from this effect size down; the same defaults.
    #[serde(default)]
    pub critical_decrease: Option<f64>,
    /// Whether High, Low and Nodata are critical failures.
    #[serde(default, deserialize_with = "or_null")]
    pub critical: bool,
    /// Whether there must be points, even where a missing one counts as 0.
    #[serde(default, deserialize_with = "or_null")]
    pub must_have_data: bool,
    /// What a missing point counts as; default remove.
    #[serde(default, deserialize_with = "or_null")]
    pub nan_strategy: NanStrategy,
}

const MANN_WHITNEY: &str = "mannWhitney";

/// Points beyond are no measurements, and their sums no numbers.
const GREATEST: f64 = 1e300;

/// Numbers, with null or `"NaN"` (as Jackson writes it, and so Kayenta) for those that are missing.
fn points<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Option<f64>>, D::Error> {
    let point = |value: Value| match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64()),
        Value::String(text) if text == "NaN" => Ok(None),
        other => Err(D::Error::custom(format!("{other} is no point: a number or null"))),
    };
    let values = Vec::<Value>::deserialize(from)?;
    values.into_iter().map(point).collect()
}

fn method() -> String {
    MANN_WHITNEY.to_owned()
}

fn method_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(method))
}

fn tolerance_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(tolerance))
}

fn confidence_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(confidence))
}

const fn tolerance() -> f64 {
    0.25
}

const fn confidence() -> f64 {
    0.98
}

/// Kayenta's words for one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Classification {
    /// No change that matters.
    Pass,
    /// The candidate's are higher.
    High,
    /// The candidate's are lower.
    Low,
    /// There is nothing to compare.
    Nodata,
}

/// What the comparison says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The word.
    pub classification: Classification,
    /// Whether the release fails whatever the other metrics say.
    pub critical_failure: bool,
    /// In one sentence with numbers.
    pub reason: String,
    /// Whether a side has no points at all, where it is `Nodata`: too few of them are not the same as none.
    #[serde(skip)]
    pub silent: bool,
}

impl Series {
    /// Two series with the default parameters, of which more is worse.
    #[must_use]
    pub fn increase(experiment: Vec<Option<f64>>, control: Vec<Option<f64>>) -> Self {
        Self {
            method: method(),
            experiment,
            control,
            tolerance: tolerance(),
            confidence: confidence(),
            direction: Direction::Increase,
            effect_size_measure: EffectSize::default(),
            allowed_increase: None,
            allowed_decrease: None,
            critical_increase: None,
            critical_decrease: None,
            critical: false,
            must_have_data: false,
            nan_strategy: NanStrategy::default(),
        }
    }

    /// What is wrong with the parameters, and which one; none when they can be used.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.method != MANN_WHITNEY {
            return Some(("method", "must be mannWhitney"));
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return Some(("confidence", "must be between 0 and 1"));
        }
        if !(0.0..=1.0).contains(&self.tolerance) {
            return Some(("tolerance", "must be from 0 to 1"));
        }
        for (name, points) in [("experiment", &self.experiment), ("control", &self.control)] {
            if points.iter().flatten().any(|point| point.abs() > GREATEST) {
                return Some((name, "must hold no number beyond 1e300"));
            }
        }
        let sizes = [
            ("allowedIncrease", self.allowed_increase),
            ("allowedDecrease", self.allowed_decrease),
            ("criticalIncrease", self.critical_increase),
            ("criticalDecrease", self.critical_decrease),
        ];
        sizes
            .into_iter()
            .find(|(_, size)| size.is_some_and(|size| size < 0.0))
            .map(|(name, _)| (name, "must not be negative"))
    }

    fn points(&self, of: &[Option<f64>]) -> Vec<f64> {
        let finite = of.iter().map(|point| point.filter(|value| value.is_finite()));
        match self.nan_strategy {
            NanStrategy::Remove => finite.flatten().collect(),
            NanStrategy::Replace => finite.map(Option::unwrap_or_default).collect(),
        }
    }

    /// None where there is no ratio, for one of the means is 0. Then the effect size is not asked about, as in Kayenta: how
    /// many times more than nothing something is, nobody can say, and a count that was always 0 is not any more.
    fn effect_size(&self, experiment: &[f64], control: &[f64]) -> Option<f64> {
        match self.effect_size_measure {
            EffectSize::MeanRatio => {
                let (above, below) = (mean(experiment), mean(control));
                (above != 0.0 && below != 0.0).then(|| above / below)
            }
            EffectSize::Cles => Some(above(experiment, control)),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Judges what two providers answered; none when one of the answers is no series.
pub(crate) fn judge(test: &SeriesTest, experiment: &Value, control: &Value) -> Result<Comparison, String> {
    let points = |whose: &str, of| points_of(of).map_err(|what| format!("{whose} points: {what}"));
    Ok(classify(&Series {
        tolerance: test.tolerance,
        confidence: test.confidence,
        direction: test.direction,
        effect_size_measure: test.effect_size_measure,
        allowed_increase: test.allowed_increase,
        allowed_decrease: test.allowed_decrease,
        must_have_data: test.must_have_data,
        nan_strategy: test.nan_strategy,
        ..Series::increase(
            points("the candidate's", experiment)?,
            points("stable's", control)?,
        )
    }))
}

/// The points that a provider answered: a list of numbers, the only list in a list, or rows of one column.
///
/// # Errors
/// When it is something else, in words.
pub fn points_of(result: &Value) -> Result<Vec<Option<f64>>, String> {
    let Value::Array(list) = result else {
        return Err("the result is no list of numbers".to_owned());
    };
    if let [Value::Array(_)] = &list[..] {
        return points_of(&list[0]);
    }
    let point = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64().filter(|point| point.abs() <= GREATEST)),
        Value::Object(row) if row.len() == 1 => match row.values().next() {
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(Value::Null) => Ok(None),
            _ => Err("a row holds no number".to_owned()),
        },
        Value::Array(_) => Err(format!("there are {} series, and one is needed", list.len())),
        _ => Err("the result is no list of numbers".to_owned()),
    };
    list.iter().map(point).collect()
}

/// Classifies the candidate's series against stable's.
///
/// High (or Low) when the confidence interval of the shift lies above (below) none by more than `tolerance` times the
/// estimated shift, the direction counts, and the effect size reaches what is allowed. Of one point a side there is no such
/// interval (R and Kayenta give an error), so it is `Nodata`.
#[must_use]
pub fn classify(series: &Series) -> Comparison {
    // A source that fell silent is missing points alone. Where there must be data, zeros do not stand in for all of it.
    let silent = |points: &[Option<f64>]| series.must_have_data && points.iter().flatten().next().is_none();
    let (experiment, control) = (series.points(&series.experiment), series.points(&series.control));
    let (no_experiment, no_control) = (
        experiment.is_empty() || silent(&series.experiment),
        control.is_empty() || silent(&series.control),
    );
    if no_experiment || no_control {
        return without_points(series, no_experiment);
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    if sorted(&experiment) == sorted(&control) {
        return pass("both have the same points".to_owned());
    }
    if experiment
        .iter()
        .chain(&control)
        .all(|value| *value == experiment[0])
    {
        return pass("all points are the same".to_owned());
    }
    if experiment.len() == 1 && control.len() == 1 {
        return Comparison {
            classification: Classification::Nodata,
            critical_failure: series.critical,
            reason: "there is one point a side: too few to compare".to_owned(),
            silent: false,
        };
    }
    let found = shift(&experiment, &control, series.confidence);
    let size = series.effect_size(&experiment, &control);
    let bound = series.tolerance * found.estimate.abs();
    let none = match series.effect_size_measure {
        EffectSize::MeanRatio => 1.0,
        EffectSize::Cles => 0.5,
    };
    let words = match size {
        Some(size) => words_of(series, &found, &size_words(series, size)),
        None => {
            let (above, below) = (number(mean(&experiment)), number(mean(&control)));
            words_of(series, &found, &format!("{above} on average, stable's {below}"))
        }
    };
    let is = |within: fn(&f64, &f64) -> bool, bound: Option<f64>| {
        size.is_none_or(|size| within(&size, &bound.unwrap_or(none)))
    };
    let up = series.direction != Direction::Decrease && found.lower > bound;
    let down = series.direction != Direction::Increase && found.upper < -bound;
    let (word, reaches, is_critical) = if up {
        (
            Classification::High,
            is(f64::ge, series.allowed_increase),
            is(f64::ge, series.critical_increase),
        )
    } else if down {
        (
            Classification::Low,
            is(f64::le, series.allowed_decrease),
            is(f64::le, series.critical_decrease),
        )
    } else {
        return pass(words);
    };
    if !reaches {
        return pass(format!("{words}: within what is allowed"));
    }
    Comparison {
        classification: word,
        critical_failure: series.critical && is_critical,
        reason: words,
        silent: false,
    }
}

/// A side without any point. For a count of what did not happen (`replace`) that is a count of 0, unless there must be
/// data; otherwise nothing is said, which is never a good mark.
fn without_points(series: &Series, of_candidate: bool) -> Comparison {
    let side = if of_candidate { "the candidate" } else { "stable" };
    let what = format!("there are no points of {side}");
    if series.nan_strategy == NanStrategy::Replace && !series.must_have_data {
        return pass(format!("{what}, and a missing one counts as 0"));
    }
    Comparison {
        classification: Classification::Nodata,
        critical_failure: series.critical,
        reason: if series.must_have_data {
            format!("{what}, and there must be")
        } else {
            what
        },
        silent: true,
    }
}

fn size_words(series: &Series, size: f64) -> String {
    match series.effect_size_measure {
        EffectSize::MeanRatio if size.abs() < 1e6 => format!("{size:.2} times stable's mean"),
        EffectSize::MeanRatio => format!("{} times stable's mean", number(size)),
        EffectSize::Cles => format!("above a point of stable's with a chance of {:.0} %", size * 100.0),
    }
}

fn words_of(series: &Series, found: &Shift, effect: &str) -> String {
    format!(
        "the candidate's are {effect}; shifted by {}, with {} % confidence by {} to {}",
        number(found.estimate),
        number(series.confidence * 100.0),
        number(found.lower),
        number(found.upper)
    )
}

fn pass(reason: String) -> Comparison {
    Comparison {
        classification: Classification::Pass,
        critical_failure: false,
        reason,
        silent: false,
    }
}
