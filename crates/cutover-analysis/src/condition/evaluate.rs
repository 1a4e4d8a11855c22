//! A condition's tree on a result.

use serde_json::{Number, Value};

use super::Unanswered;
use super::parse::{Expression, Function, Operator};

pub(super) fn evaluate(expression: &Expression, result: &Value) -> Result<Value, Unanswered> {
    match expression {
        Expression::Number(value) => Ok(number(*value)),
        Expression::Text(text) => Ok(Value::String(text.clone())),
        Expression::Bool(value) => Ok(Value::Bool(*value)),
        Expression::Nil => Ok(Value::Null),
        Expression::List(parts) => {
            let parts = parts.iter().map(|part| evaluate(part, result));
            Ok(Value::Array(parts.collect::<Result<_, _>>()?))
        }
        Expression::Result => Ok(result.clone()),
        Expression::Field(of, name) => field(&evaluate(of, result)?, name),
        Expression::Index(of, index) => {
            let (of, index) = (evaluate(of, result)?, evaluate(index, result)?);
            match index {
                Value::String(name) => field(&of, &name),
                index => element(&of, &index),
            }
        }
        Expression::Call(function, arguments) => call(*function, arguments, result),
        Expression::Not(of) => Ok(Value::Bool(!truth(&evaluate(of, result)?)?)),
        Expression::Minus(of) => Ok(number(-amount(&evaluate(of, result)?)?)),
        Expression::Binary(operator, left, right) => binary(*operator, left, right, result),
    }
}

/// What a value is, as a word.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// What is no number becomes null, as where the result comes from.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn wrong(what: String) -> Unanswered {
    Unanswered::WrongKind(what)
}

fn field(of: &Value, name: &str) -> Result<Value, Unanswered> {
    match of {
        Value::Object(map) => map
            .get(name)
            .cloned()
            .ok_or_else(|| Unanswered::NoData(format!("there is no `{name}` in the result"))),
        Value::Null => Err(Unanswered::NoData(format!(
            "there is nothing to take `{name}` from"
        ))),
        other => Err(wrong(format!("{} has no `{name}`", kind(other)))),
    }
}

fn element(of: &Value, index: &Value) -> Result<Value, Unanswered> {
    let index = amount(index)?;
    match of {
        Value::Array(list) => {
            let found = (index >= 0.0 && index.fract() == 0.0)
                .then(|| list.get(index as usize))
                .flatten();
            found.cloned().ok_or_else(|| {
                Unanswered::NoData(format!("the result has {} values, no [{index}]", list.len()))
            })
        }
        Value::Null => Err(Unanswered::NoData(
            "there is nothing to take a value from".to_owned(),
        )),
        other => Err(wrong(format!("{} has no [{index}]", kind(other)))),
    }
}

fn call(function: Function, arguments: &[Expression], result: &Value) -> Result<Value, Unanswered> {
    let first = evaluate(&arguments[0], result);
    match function {
        Function::Default => match first {
            Ok(Value::Null) | Err(Unanswered::NoData(_)) => evaluate(&arguments[1], result),
            other => other,
        },
        // Both: nothing is there, as null or not at all.
        Function::IsNan | Function::IsNil => Ok(Value::Bool(or_nil(first)?.is_null())),
        Function::AsInt => Ok(number(as_number(&first?)?.trunc())),
        Function::AsFloat => Ok(number(as_number(&first?)?)),
        Function::Len => match first? {
            Value::Array(list) => Ok(number(list.len() as f64)),
            Value::Object(map) => Ok(number(map.len() as f64)),
            Value::String(text) => Ok(number(text.chars().count() as f64)),
            Value::Null => Ok(number(0.0)),
            other => Err(wrong(format!("{} has no length", kind(&other)))),
        },
    }
}

fn binary(
    operator: Operator,
    left: &Expression,
    right: &Expression,
    result: &Value,
) -> Result<Value, Unanswered> {
    let asks_nil = matches!(left, Expression::Nil) || matches!(right, Expression::Nil);
    if asks_nil && matches!(operator, Operator::Equal | Operator::Unequal) {
        let [one, other] = [left, right].map(|side| or_nil(evaluate(side, result)));
        return Ok(Value::Bool((one? == other?) == (operator == Operator::Equal)));
    }
    let one = evaluate(left, result)?;
    match operator {
        Operator::And => return Ok(Value::Bool(truth(&one)? && truth(&evaluate(right, result)?)?)),
        Operator::Or => return Ok(Value::Bool(truth(&one)? || truth(&evaluate(right, result)?)?)),
        _ => {}
    }
    let other = evaluate(right, result)?;
    let compare = |numbers: fn(&f64, &f64) -> bool, texts: fn(&str, &str) -> bool| match (&one, &other) {
        (Value::String(one), Value::String(other)) => Ok(Value::Bool(texts(one, other))),
        _ => Ok(Value::Bool(numbers(&amount(&one)?, &amount(&other)?))),
    };
    let reckon = |with: fn(f64, f64) -> f64| Ok(number(with(amount(&one)?, amount(&other)?)));
    match operator {
        Operator::Equal => Ok(Value::Bool(equal(&one, &other))),
        Operator::Unequal => Ok(Value::Bool(!equal(&one, &other))),
        Operator::In => within(&one, &other).map(Value::Bool),
        Operator::Less => compare(f64::lt, |one, other| one < other),
        Operator::AtMost => compare(f64::le, |one, other| one <= other),
        Operator::More => compare(f64::gt, |one, other| one > other),
        Operator::AtLeast => compare(f64::ge, |one, other| one >= other),
        Operator::Plus => reckon(|one, other| one + other),
        Operator::Minus => reckon(|one, other| one - other),
        Operator::Times => reckon(|one, other| one * other),
        Operator::Over => reckon(|one, other| one / other),
        Operator::Rest => reckon(|one, other| one % other),
        Operator::And | Operator::Or => unreachable!("answered above"),
    }
}

/// Numbers are equal by value: 1 and 1.0 are the same.
fn equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn within(one: &Value, other: &Value) -> Result<bool, Unanswered> {
    match (one, other) {
        (one, Value::Array(list)) => Ok(list.iter().any(|other| equal(one, other))),
        (Value::String(name), Value::Object(map)) => Ok(map.contains_key(name)),
        (Value::String(part), Value::String(text)) => Ok(text.contains(part)),
        (_, Value::Null) => Err(Unanswered::NoData("there is nothing to look in".to_owned())),
        (one, other) => Err(wrong(format!(
            "{} is not looked for in {}",
            kind(one),
            kind(other)
        ))),
    }
}

/// What is not there is nothing.
fn or_nil(found: Result<Value, Unanswered>) -> Result<Value, Unanswered> {
    match found {
        Err(Unanswered::NoData(_)) => Ok(Value::Null),
        other => other,
    }
}

/// A text that is a number counts as one: some providers write them so.
fn as_number(value: &Value) -> Result<f64, Unanswered> {
    match value {
        Value::String(text) => {
            let number = text.trim().parse::<f64>();
            number.map_err(|_| wrong(format!("\"{text}\" is no number")))
        }
        Value::Bool(value) => Ok(f64::from(u8::from(*value))),
        other => amount(other),
    }
}

fn truth(value: &Value) -> Result<bool, Unanswered> {
    match value {
        Value::Bool(value) => Ok(*value),
        other => Err(wrong(format!("{} is not true or false", kind(other)))),
    }
}

fn amount(value: &Value) -> Result<f64, Unanswered> {
    match value {
        Value::Number(number) => number
            .as_f64()
            .ok_or_else(|| wrong(format!("{number} is too large"))),
        Value::Null => Err(Unanswered::NoData("the result holds no number there".to_owned())),
        other => Err(wrong(format!("{} is no number", kind(other)))),
    }
}
