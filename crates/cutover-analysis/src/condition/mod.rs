//! Conditions on a result: `result < 0.05`, `len(result) > 0 && result[0] >= 0.95`.
//!
//! A small expression language and nothing more: no loops, no assignments, no functions of one's own, so an expression
//! always ends, and it sees the result alone. Of Argo Rollouts' conditions it has `result`, the signs, and `len`, `default`,
//! `isNaN`, `isInf`, `isNil`, `asInt`, `asFloat`, `in`; not their closures, ranges and ternaries. What says the same of
//! every result, or can never be true or false, is no condition: a release would always pass, or never be judged.
//!
//! ```
//! use cutover_analysis::Condition;
//! use serde_json::json;
//!
//! let good: Condition = "result.status == \"ok\" && result.errors / result.requests <= 0.01".parse()?;
//! assert_eq!(good.holds(&json!({"status": "ok", "errors": 3, "requests": 1000})), Ok(true));
//! # Ok::<(), cutover_analysis::InvalidCondition>(())
//! ```

mod evaluate;
mod parse;
mod token;

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use evaluate::evaluate;
use parse::Expression;

/// A condition that was read and can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    text: String,
    expression: Expression,
}

/// Why a text is no condition, and where: the character, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCondition {
    /// The character where it was noticed, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for InvalidCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (character {})", self.problem, self.column)
    }
}

impl std::error::Error for InvalidCondition {}

/// Why a condition cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// There is no such value in the result, or it is not a number: no data.
    NoData(String),
    /// The values do not go together: the condition is not made for such a result.
    WrongKind(String),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData(what) | Self::WrongKind(what) => f.write_str(what),
        }
    }
}

impl FromStr for Condition {
    type Err = InvalidCondition;

    fn from_str(text: &str) -> Result<Self, InvalidCondition> {
        Ok(Self {
            text: text.trim().to_owned(),
            expression: parse::parse(text)?,
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Condition {
    /// Whether it holds for a result.
    ///
    /// # Errors
    /// When the result has not what it asks for, or something else than it can compare.
    pub fn holds(&self, result: &Value) -> Result<bool, Unanswered> {
        match evaluate(&self.expression, result)? {
            Value::Bool(answer) => Ok(answer),
            other => Err(Unanswered::WrongKind(format!(
                "`{}` is {}, not true or false",
                self.text,
                evaluate::kind(&other)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn holds(condition: &str, result: &Value) -> Result<bool, Unanswered> {
        condition.parse::<Condition>().unwrap().holds(result)
    }

    #[test]
    fn conditions_are_answered() {
        let result =
            json!({"rate": 0.02, "p": [0.1, 7], "name": "api", "up": true, "deep": {"n": 4}, "none": null});
        for (condition, expected) in [
            ("result.rate < 0.05", true),
            ("result.rate >= 5e-2", false),
            ("result.p[1] == 7 && result.up", true),
            ("!result.up || result.rate > 1", false),
            ("result.name == \"api\" and not (result.name == 'web')", true),
            ("result.name != \"api\" or result.up", true),
            ("len(result.p) == 2 && len(result.name) == 3", true),
            ("result.deep.n * 2 + 1 == 9", true),
            (
                "10 - 2 - 3 == 5 && 2 + 3 * 4 == 14 && 8 / 2 / 2 == 2 && result.up",
                true,
            ),
            ("-result.rate < 0", true),
            ("default(result.missing, 3) == 3", true),
            (
                "default(result.none, 1) == 1 && default(result.rate, 1) == 0.02",
                true,
            ),
            ("isNaN(result.p[0])", false),
            ("result.p[0] <= result.p[1]", true),
            ("\"a\" < result.name", true),
            ("result.name in [\"api\", 'web'] && !(2 in result.p)", true),
            (
                "7 in result.p && \"n\" in result.deep && \"p\" in result.name",
                true,
            ),
            (
                "result.none == nil && result.missing == null && result.rate != nil",
                true,
            ),
            (
                "isNil(result.missing) && isNil(result.none) && !isNil(result.name)",
                true,
            ),
            ("isInf(result.rate) || isInf(1 / 0) && result.up", true),
            (
                "asInt(\"4\") == result.deep.n && asFloat(' 0.02') == result.rate",
                true,
            ),
            ("asInt(result.p[0]) == 0 && asInt(result.up) == 1", true),
            ("result[\"deep\"][\"n\"] == 4", true),
            ("true || result.missing > 1", true),
            ("false && result.missing > 1", false),
        ] {
            assert_eq!(holds(condition, &result), Ok(expected), "{condition}");
        }
        assert_eq!(holds("result < 1.5", &json!(1)), Ok(true));
        assert_eq!(holds("result[0] < 1.5", &json!([2, 1])), Ok(false));
    }

    #[test]
    fn what_is_not_there_is_no_data_and_what_does_not_fit_is_said() {
        let result = json!({"text": "x", "list": [1], "none": null});
        for condition in [
            "result.missing > 1",
            "result.list[1] > 1",
            "result.none > 1",
            "result.list[0] / 0 > 1",
        ] {
            assert!(
                matches!(holds(condition, &result), Err(Unanswered::NoData(_))),
                "{condition}: {:?}",
                holds(condition, &result)
            );
        }
        for condition in [
            "result.text > 1",
            "result.list[0]",
            "result.text.more == 1",
            "result.text && true",
            "!result.text",
            "len(3) > result",
            "result.text - 1 > 0",
            "asInt(result.text) > 1",
            "result.list in 3",
        ] {
            assert!(
                matches!(holds(condition, &result), Err(Unanswered::WrongKind(_))),
                "{condition}: {:?}",
                holds(condition, &result)
            );
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_place() {
        for (text, column, part) in [
            ("", 1, "empty"),
            ("result <", 9, "ends"),
            ("result < 0.05)", 14, "`)`"),
            ("(result < 1", 12, "ends"),
            ("rate < 1", 1, "`rate`"),
            ("result = 1", 8, "`==`"),
            ("result & true", 8, "`&&`"),
            ("result[1", 9, "ends"),
            ("result.9 < 1", 8, "name"),
            ("result < \"open", 10, "closed"),
            ("exec(\"rm\")", 1, "`exec`"),
            ("len(result, 2) > 0", 11, "`)`"),
            ("result < 1 < 2", 12, "`<`"),
            ("result # 1", 8, "`#`"),
            ("true", 1, "nowhere"),
            ("  5", 3, "nowhere"),
            ("\"a\" < 1", 1, "nowhere"),
            ("default(1, 2) == 2 && true", 1, "nowhere"),
            ("result + 1", 1, "a number"),
            ("-result", 1, "a number"),
            ("len(result)", 1, "a number"),
            ("(asFloat(result))", 1, "a number"),
            ("[result]", 1, "a list"),
            ("result > 1 && 'yes'", 15, "a text"),
            ("result * 2 || result > 1", 1, "a number"),
            ("result > 1 && !len(result)", 16, "a number"),
            ("result in [1, 2", 16, "ends"),
        ] {
            let error = text.parse::<Condition>().unwrap_err();
            assert!(
                error.column == column && error.problem.contains(part),
                "{text}: {error:?}"
            );
        }
        let deep = format!("{}result{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(deep.parse::<Condition>().unwrap_err().problem.contains("deep"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[result().\\[\\]<>=!&|0-9a-z\"' +*/-]{0,40}") {
            if let Ok(condition) = text.parse::<Condition>() {
                let _answer = condition.holds(&json!({"a": [1, "b", null, true]}));
            }
        }
    }
}
