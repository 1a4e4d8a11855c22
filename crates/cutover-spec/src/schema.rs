//! The JSON Schema of `cutover.yaml`, made from the types, whole and by path.

use std::sync::LazyLock;

use cutover_model::Diagnostic;
use serde_json::{Map, Value, json};

use crate::{Application, spelling};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(Application).to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), json!("cutover.yaml"));
    }
    schema
});

/// The JSON Schema (draft 2020-12) of the whole file, for editors.
#[must_use]
pub fn json_schema() -> Value {
    SCHEMA.clone()
}

/// The same without a copy.
pub(crate) fn root() -> &'static Value {
    &SCHEMA
}

/// The schema of what stands at a path such as `strategy.canary.steps` or `services.api.health`, with the definitions
/// it needs. An index is left out; a name that the user chooses may be any.
///
/// # Errors
/// `spec.unknown-path` names the first part that nothing is called, and the nearest that something is.
pub fn schema_at(path: &str) -> Result<Value, Diagnostic> {
    let mut schema: &Value = root();
    let mut walked = String::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let part = part.split('[').next().unwrap_or(part);
        let known = children(schema);
        schema = known
            .iter()
            .find(|(name, _)| name.is_none_or(|name| name == part))
            .map(|(_, schema)| *schema)
            .ok_or_else(|| unknown(part, &walked, &known))?;
        walked = crate::document::join(&walked, part);
    }
    let mut found = resolved(schema).clone();
    // What the key says of itself is nearer than what its type says.
    if let (Some(found), Some(own)) = (found.as_object_mut(), schema.as_object()) {
        for (key, value) in own.iter().filter(|(key, _)| *key != "$ref") {
            found.insert(key.clone(), value.clone());
        }
        let mut needed = Map::new();
        gather(&Value::Object(found.clone()), &mut needed);
        if !needed.is_empty() {
            found.insert("$defs".to_owned(), Value::Object(needed));
        }
    }
    Ok(found)
}

fn unknown(part: &str, walked: &str, known: &[(Option<&str>, &Value)]) -> Diagnostic {
    let names: Vec<&str> = known.iter().filter_map(|(name, _)| *name).collect();
    let place = if walked.is_empty() {
        "the file".to_owned()
    } else {
        format!("`{walked}`")
    };
    let error = Diagnostic::error("spec.unknown-path", format!("`{part}` is not a key of {place}"));
    let error = match spelling::suggestion(part, &names) {
        Some(label) => error.note("hint", label),
        None => error,
    };
    error.help(format!("cutover schema {walked}").trim_end())
}

/// The schema that a `$ref` stands for, else itself.
pub(crate) fn resolved(schema: &Value) -> &Value {
    match reference(schema) {
        Some(name) => root()["$defs"].get(name).map_or(schema, resolved),
        None => schema,
    }
}

/// The name of the definition that a schema refers to.
pub(crate) fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

/// The schema within `anyOf: [X, null]`, which is how an optional value is written, else itself.
pub(crate) fn without_null(schema: &Value) -> &Value {
    schema
        .get("anyOf")
        .and_then(Value::as_array)
        .and_then(|ways| {
            ways.iter()
                .find(|way| way.get("type").and_then(Value::as_str) != Some("null"))
        })
        .unwrap_or(schema)
}

/// The keys that can stand within, with their schemas; a key without a name is one that the user chooses.
pub(crate) fn children(schema: &'static Value) -> Vec<(Option<&'static str>, &'static Value)> {
    let schema = resolved(without_null(resolved(schema)));
    if let Some(items) = schema.get("items") {
        return children(items);
    }
    let mut found = Vec::new();
    for way in schema
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        found.extend(children(way));
    }
    for (name, child) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        found.push((Some(name.as_str()), child));
    }
    if let Some(child) = values(schema) {
        found.push((None, child));
    }
    found
}

/// The schema of a map's values, where the user chooses the keys.
pub(crate) fn values(schema: &Value) -> Option<&Value> {
    schema
        .get("patternProperties")
        .and_then(Value::as_object)
        .and_then(|patterns| patterns.values().next())
        .or_else(|| {
            schema
                .get("additionalProperties")
                .filter(|value| value.is_object())
        })
}

fn gather(schema: &Value, needed: &mut Map<String, Value>) {
    match schema {
        Value::Object(object) => {
            if let Some(name) = reference(schema)
                && !needed.contains_key(name)
                && let Some(definition) = root()["$defs"].get(name)
            {
                needed.insert(name.to_owned(), definition.clone());
                gather(definition, needed);
            }
            object.values().for_each(|value| gather(value, needed));
        }
        Value::Array(items) => items.iter().for_each(|value| gather(value, needed)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_schema() {
        let steps = schema_at("strategy.canary.steps").unwrap();
        assert_eq!(steps["type"], "array");
        assert!(steps["$defs"]["CanaryStep"].is_object());
        assert!(steps["$defs"].get("Service").is_none());
        let weight = schema_at("strategy.canary.steps[0].setWeight").unwrap();
        assert_eq!(weight["maximum"], 100);
        let period = schema_at("services.api.health.liveness.period").unwrap();
        assert_eq!(period["format"], "cutover-duration");
        assert!(period["description"].as_str().unwrap().contains("default 2s"));
        let staging = schema_at("environments.staging.services.api.replicas").unwrap();
        assert_eq!(staging["maximum"], 1000);
        assert_eq!(schema_at("").unwrap()["title"], "cutover.yaml");
        assert!(schema_at("analysis.errors.metrics.errorRate.max").is_ok());
    }

    #[test]
    fn a_wrong_path_names_the_nearest() {
        let error = schema_at("strategy.canari.steps").unwrap_err();
        assert_eq!(error.code, "spec.unknown-path");
        assert!(error.notes[0].1.contains("`canary`"));
        assert_eq!(error.help.as_deref(), Some("cutover schema strategy"));
    }

    fn described(schema: &Value) -> bool {
        schema.get("description").is_some_and(Value::is_string)
    }

    /// A variant's own description stands beside its only key.
    fn is_described_variant(schema: &Value, name: &str) -> bool {
        let schema = resolved(without_null(resolved(schema)));
        let schema = schema
            .get("items")
            .or_else(|| values(schema))
            .map_or(schema, |inner| resolved(without_null(resolved(inner))));
        let ways = schema.get("oneOf").and_then(Value::as_array);
        ways.into_iter()
            .flatten()
            .any(|way| described(way) && way["properties"].get(name).is_some())
    }

    #[test]
    fn every_key_is_described() {
        fn walk(path: &str, schema: &'static Value, left: &mut Vec<String>) {
            for (name, child) in children(schema) {
                let path = crate::document::join(path, name.unwrap_or("*"));
                if let Some(name) = name
                    && !described(child)
                    && !described(resolved(child))
                    && !is_described_variant(schema, name)
                {
                    left.push(path.clone());
                }
                walk(&path, child, left);
            }
        }
        let mut left = Vec::new();
        walk("", root(), &mut left);
        assert!(left.is_empty(), "without a description: {left:?}");
    }
}
