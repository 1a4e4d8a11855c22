//! What MongoDB answers. Pure.

use cutover_model::Timestamp;
use cutover_sql::command::{Again, again};
use serde_json::Value;

use crate::failure::Failure;

/// A whole number, however it is written: `3`, `3.0`, `{"$numberLong": "3"}`.
pub(super) fn number(value: &Value) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    if let Some(number) = value.as_f64().filter(|number| number.fract() == 0.0) {
        // As the server counts: far from what a float cannot hold.
        return Some(number as i64);
    }
    let text = ["$numberLong", "$numberInt"]
        .into_iter()
        .find_map(|key| value.get(key)?.as_str())?;
    text.parse().ok()
}

/// A moment: `{"$date": "…"}` or `{"$date": {"$numberLong": "…"}}`.
pub(super) fn moment(value: &Value) -> Option<Timestamp> {
    let date = value.get("$date")?;
    match date.as_str() {
        Some(text) => text.parse().ok(),
        None => Timestamp::from_millisecond(number(date)?).ok(),
    }
}

/// The documents of a message.
pub(super) fn batch(cursor: &Value) -> Vec<Value> {
    let batch = cursor.get("firstBatch").or_else(|| cursor.get("nextBatch"));
    batch.and_then(Value::as_array).cloned().unwrap_or_default()
}

/// How many documents a command wrote, or why it did not do all that it says. A write whose answer is `ok` may have failed: its
/// errors stand beside.
pub(super) fn rows(command: &str, answered: &Value) -> Result<u64, Failure> {
    let n = answered.get("n").and_then(number).unwrap_or(0);
    let errors = answered.get("writeErrors").and_then(Value::as_array);
    if let Some(first) = errors.and_then(|errors| errors.first()) {
        let word = |key: &str| first.get(key);
        let text = word("errmsg")
            .and_then(Value::as_str)
            .unwrap_or("it was not written");
        let code = word("code").and_then(number).unwrap_or(0);
        let at = word("index").and_then(number).unwrap_or(0) + 1;
        let said = format!("write {at} of it: {text} (error {code})");
        if code == i64::from(super::OUT_OF_TIME) {
            return Err(Failure::Stopped(said));
        }
        let whole = matches!(again(command), Again::AsItIs | Again::Instead(_));
        // What may run twice is run again, whatever part of it happened.
        if whole || (n == 0 && !command.contains("\"multi\"")) {
            return Err(Failure::Statement { said, offset: None });
        }
        return Err(Failure::Doubt {
            said: format!("{said}; a part of it may be written"),
        });
    }
    if let Some(error) = answered.get("writeConcernError") {
        let text = error.get("errmsg").and_then(Value::as_str).unwrap_or_default();
        return Err(Failure::Lost(format!("it is not written for certain: {text}")));
    }
    let counted = answered.get("nModified").and_then(number).map_or(n, |modified| {
        // Those that were added are not among the modified.
        let added = answered
            .get("upserted")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        modified + i64::try_from(added).unwrap_or(0)
    });
    Ok(u64::try_from(counted).unwrap_or(0))
}

/// What a command that counts answers: `n`, or one document with one number, or none, which is 0.
pub(super) fn count(answered: &Value) -> Option<i64> {
    if let Some(n) = answered.get("n") {
        return number(n);
    }
    let cursor = answered.get("cursor")?;
    match batch(cursor).as_slice() {
        [] => Some(0),
        [one] => {
            let fields = one.as_object()?.iter().filter(|(key, _)| *key != "_id");
            let mut numbers = fields.map(|(_, value)| number(value));
            let first = numbers.next()??;
            numbers.next().is_none().then_some(first)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_moments_in_every_way_they_are_written() {
        for value in [
            json!(3),
            json!(3.0),
            json!({"$numberLong": "3"}),
            json!({"$numberInt": "3"}),
        ] {
            assert_eq!(number(&value), Some(3), "{value}");
        }
        assert_eq!(number(&json!(3.5)), None);
        let one = moment(&json!({"$date": "2026-11-28T12:00:00Z"}));
        assert_eq!(one, moment(&json!({"$date": {"$numberLong": "1795867200000"}})));
        assert!(one.is_some());
    }

    #[test]
    fn an_answer_that_is_ok_may_be_a_failure() {
        let update =
            r#"{"update": "a", "updates": [{"q": {"x": 1}, "u": {"$inc": {"n": 1}}, "multi": true}]}"#;
        let insert = r#"{"insert": "a", "documents": [{"x": 1}, {"x": 1}]}"#;
        let settled = r#"{"insert": "a", "documents": [{"_id": 1}, {"_id": 2}]}"#;
        let wrong = json!({"ok": 1, "n": 0, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "twice"}]});
        let half = json!({"ok": 1, "n": 1, "writeErrors": [{"index": 1, "code": 11000, "errmsg": "twice"}]});
        assert!(matches!(rows(insert, &wrong), Err(Failure::Statement { .. })));
        assert!(matches!(rows(insert, &half), Err(Failure::Doubt { .. })));
        assert!(matches!(rows(settled, &half), Err(Failure::Statement { .. })));
        assert!(matches!(rows(update, &wrong), Err(Failure::Doubt { .. })));
        let late = json!({"ok": 1, "n": 1, "writeConcernError": {"code": 64, "errmsg": "waiting"}});
        assert!(matches!(rows(insert, &late), Err(Failure::Lost(_))));
        assert_eq!(rows(insert, &json!({"ok": 1, "n": 2})), Ok(2));
        let upserted = json!({"ok": 1, "n": 3, "nModified": 1, "upserted": [{"index": 0, "_id": 1}]});
        assert_eq!(rows(update, &upserted), Ok(2));
    }

    #[test]
    fn a_count_is_one_number() {
        assert_eq!(count(&json!({"n": 4, "ok": 1})), Some(4));
        let of = |batch: Value| count(&json!({"cursor": {"id": 0, "firstBatch": batch}}));
        assert_eq!(of(json!([])), Some(0));
        assert_eq!(of(json!([{"_id": null, "left": {"$numberLong": "7"}}])), Some(7));
        assert_eq!(of(json!([{"a": 1, "b": 2}])), None);
        assert_eq!(of(json!([{"a": "x"}])), None);
        assert_eq!(of(json!([{"a": 1}, {"a": 1}])), None);
        assert_eq!(count(&json!({"ok": 1})), None);
    }
}
