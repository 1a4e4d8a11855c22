//! A command of which nobody knows whether it ran: it was begun, and its end is not on record.
//!
//! What may run twice without harm is run again. What changes the collections themselves is looked for. What cannot be told is a
//! person's to say: an `$inc` that runs twice is a wrong number that nobody finds.

use super::fact::{Command, UpdateFact, read};
use crate::json::{self, Node, Value, compact, quote};

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// Run it again: twice is as good as once.
    AsItIs,
    /// Run this instead, which adds only what is missing.
    Instead(String),
    /// It happened if collections or indexes are others than before it.
    IfUnchanged,
    /// Nobody can tell, for this reason.
    Ask(&'static str),
}

/// Changes that come to the same however often they are made.
const SETTLED: [&str; 14] = [
    "$set",
    "$unset",
    "$rename",
    "$setOnInsert",
    "$addToSet",
    "$pull",
    "$pullAll",
    "$min",
    "$max",
    "$currentDate",
    "$addFields",
    "$project",
    "$replaceRoot",
    "$replaceWith",
];

/// What to do about a command that was begun and perhaps ran.
#[must_use]
pub fn again(statement: &str) -> Again {
    let Some(command) = read(statement) else {
        return Again::Ask("it cannot be read");
    };
    match command {
        Command::CreateIndexes { .. }
        | Command::CollMod { .. }
        | Command::Delete { all: true, .. }
        | Command::DropDatabase
        | Command::Read => Again::AsItIs,
        Command::Create { .. }
        | Command::Drop { .. }
        | Command::Rename { .. }
        | Command::DropIndexes { .. }
        | Command::Capped { .. } => Again::IfUnchanged,
        Command::Insert { has_ids: true, .. } => match upserts(statement) {
            Some(text) => Again::Instead(text),
            None => Again::Ask("its documents cannot be read"),
        },
        Command::Insert { .. } => Again::Ask("documents without an _id would be there twice"),
        Command::Delete { .. } if deletes_one(statement) => {
            Again::Ask("it deletes one of several documents, and would delete another one")
        }
        Command::Delete { .. } => Again::AsItIs,
        Command::Update { updates, .. } => match updates.iter().find_map(unsettled) {
            None => Again::AsItIs,
            Some(why) => Again::Ask(why),
        },
        // `$out` replaces, and `$merge` does with each document what it says.
        Command::Fill { .. } => Again::Ask("what it reads may have changed by what it wrote"),
        Command::Other => Again::Ask("what it does is not known"),
    }
}

/// Why an update may not be made twice.
fn unsettled(update: &UpdateFact) -> Option<&'static str> {
    // A pipeline reads the document that it changes: `{"$set": {"n": {"$add": ["$n", 1]}}}`.
    if update.pipeline {
        return Some("it computes from the documents that it changes");
    }
    if !update.multi && !update.by_id {
        return Some("it changes one of several documents, and would change another one");
    }
    let settled = |operator: &String| SETTLED.contains(&operator.as_str());
    if !update.operators.iter().all(settled) {
        return Some("it would count or append twice");
    }
    None
}

fn deletes_one(statement: &str) -> bool {
    let Ok(node) = json::parse(statement) else {
        return true;
    };
    let by_id = |query: Option<&Node>| query.is_some_and(|query| query.get("_id").is_some());
    if node.get("remove").is_some() {
        return !by_id(node.get("query"));
    }
    let all = node.items_of("deletes");
    all.iter().any(|one| {
        let limit = one
            .get("limit")
            .and_then(|node| statement.get(node.range.clone()));
        limit != Some("0") && !by_id(one.get("q"))
    })
}

/// `insert` as an `update` that adds the documents whose `_id` is not there.
fn upserts(statement: &str) -> Option<String> {
    let node = json::parse(statement).ok()?;
    let mut out = String::from("{\"update\":");
    quote(node.members().first()?.node.text()?, &mut out);
    out.push_str(",\"updates\":[");
    for (at, document) in node.get("documents")?.items().iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let mut id = String::new();
        compact(statement, document.get("_id")?, &mut id);
        out.push_str("{\"q\":{\"_id\":");
        out.push_str(&id);
        out.push_str("},\"u\":{\"$setOnInsert\":");
        let others = document.members().iter().filter(|member| member.key != "_id");
        let mut rest = document.clone();
        if document.members().len() > 1 {
            rest.value = Value::Object(others.cloned().collect());
        }
        compact(statement, &rest, &mut out);
        out.push_str("},\"upsert\":true}");
    }
    out.push(']');
    for member in node.members() {
        if matches!(
            member.key.as_str(),
            "writeConcern" | "bypassDocumentValidation" | "comment" | "maxTimeMS"
        ) {
            out.push(',');
            quote(&member.key, &mut out);
            out.push(':');
            compact(statement, &member.node, &mut out);
        }
    }
    out.push('}');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_run_twice_does() {
        for text in [
            r#"{"createIndexes": "a", "indexes": []}"#,
            r#"{"collMod": "a", "validator": {}}"#,
            r#"{"update": "a", "updates": [{"q": {}, "u": {"$rename": {"x": "y"}}, "multi": true}]}"#,
            r#"{"update": "a", "updates": [{"q": {"_id": 1}, "u": {"x": 2}, "upsert": true}]}"#,
            r#"{"delete": "a", "deletes": [{"q": {"x": 1}, "limit": 0}]}"#,
            r#"{"delete": "a", "deletes": [{"q": {"_id": 1}, "limit": 1}]}"#,
        ] {
            assert_eq!(again(text), Again::AsItIs, "{text}");
        }
        for text in [
            r#"{"create": "a"}"#,
            r#"{"drop": "a"}"#,
            r#"{"renameCollection": "s.a", "to": "s.b"}"#,
            r#"{"dropIndexes": "a", "index": "x"}"#,
        ] {
            assert_eq!(again(text), Again::IfUnchanged, "{text}");
        }
        for text in [
            r#"{"update": "a", "updates": [{"q": {}, "u": {"$inc": {"x": 1}}, "multi": true}]}"#,
            r#"{"update": "a", "updates": [{"q": {}, "u": {"$set": {"x": 1}, "$push": {"y": 1}}, "multi": true}]}"#,
            r#"{"update": "a", "updates": [{"q": {}, "u": [{"$set": {"x": {"$add": ["$x", 1]}}}]}]}"#,
            r#"{"findAndModify": "a", "query": {"x": 1}, "remove": true}"#,
            r#"{"update": "a", "updates": [{"q": {"x": 1}, "u": {"$set": {"x": 2}}}]}"#,
            r#"{"delete": "a", "deletes": [{"q": {"x": 1}, "limit": 1}]}"#,
            r#"{"insert": "a", "documents": [{"x": 1}]}"#,
            r#"{"aggregate": "a", "pipeline": [{"$out": "b"}]}"#,
            r#"{"frobnicate": 1}"#,
        ] {
            assert!(matches!(again(text), Again::Ask(_)), "{text}");
        }
    }

    #[test]
    fn an_insert_adds_what_is_missing() {
        let text = r#"{"insert": "a", "documents": [{"x": "é", "_id": {"$oid": "0"}}, {"_id": 2}], "writeConcern": {"w": 1}}"#;
        assert_eq!(
            again(text),
            Again::Instead(
                r#"{"update":"a","updates":[{"q":{"_id":{"$oid":"0"}},"u":{"$setOnInsert":{"x":"é"}},"upsert":true},{"q":{"_id":2},"u":{"$setOnInsert":{"_id":2}},"upsert":true}],"writeConcern":{"w":1}}"#
                    .to_owned()
            )
        );
    }
}
