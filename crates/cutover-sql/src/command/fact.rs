//! What a command does, as far as rules and the runner want to know.

use std::ops::Range;

use crate::json::{self, Node, Value};

/// What a command is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `create`: a collection, a view.
    Create {
        /// Which.
        collection: String,
        /// Whether it shows another one's documents.
        view: bool,
    },
    /// `drop`.
    Drop {
        /// Which.
        collection: String,
    },
    /// `dropDatabase`.
    DropDatabase,
    /// `renameCollection`.
    Rename {
        /// Which, without its database where that was written.
        from: String,
        /// Its new name.
        to: String,
        /// Whether a collection that has the new name is dropped.
        drops_target: bool,
    },
    /// `createIndexes`.
    CreateIndexes {
        /// Of which collection.
        collection: String,
        /// Which.
        indexes: Vec<IndexFact>,
    },
    /// `dropIndexes`.
    DropIndexes {
        /// Of which collection.
        collection: String,
    },
    /// `collMod`.
    CollMod {
        /// Which.
        collection: String,
        /// Where its validator stands; none when it is not changed, or taken away.
        validator: Option<Range<usize>>,
        /// Whether what does not fit is only logged, or what is there may stay as it is.
        lenient: Option<bool>,
        /// Whether an index is hidden, made to forget documents after a time, or made unique.
        index: Option<Range<usize>>,
    },
    /// `convertToCapped`, `cloneCollectionAsCapped`.
    Capped {
        /// Which.
        collection: String,
    },
    /// `insert`.
    Insert {
        /// Into which collection.
        collection: String,
        /// Whether each document has its `_id`.
        has_ids: bool,
    },
    /// `update`, `findAndModify`.
    Update {
        /// In which collection.
        collection: String,
        /// What is changed, in order.
        updates: Vec<UpdateFact>,
    },
    /// `delete`, and `findAndModify` with `remove`.
    Delete {
        /// In which collection.
        collection: String,
        /// Whether one of them has no condition.
        all: bool,
    },
    /// Reads.
    Read,
    /// `aggregate` that ends in `$out` or `$merge`.
    Fill {
        /// From which collection.
        collection: String,
    },
    /// Anything else.
    Other,
}

/// An index to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFact {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// `unique`.
    pub unique: bool,
    /// `expireAfterSeconds`: documents go by themselves.
    pub expires: bool,
    /// `background`, which servers before 4.2 build beside the traffic.
    pub background: bool,
    /// Which bytes of the command.
    pub range: Range<usize>,
}

/// One change of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateFact {
    /// `$set`, `$unset` …; empty: the whole document is replaced.
    pub operators: Vec<String>,
    /// Whether it is a pipeline.
    pub pipeline: bool,
    /// Whether it has no condition.
    pub all: bool,
    /// `multi`.
    pub multi: bool,
    /// Whether its condition names an `_id`.
    pub by_id: bool,
    /// Which bytes of the command.
    pub range: Range<usize>,
}

const READS: [&str; 20] = [
    "aggregate",
    "buildInfo",
    "collStats",
    "connectionStatus",
    "count",
    "dataSize",
    "dbHash",
    "dbStats",
    "distinct",
    "explain",
    "find",
    "getMore",
    "getParameter",
    "hello",
    "listCollections",
    "listCommands",
    "listIndexes",
    "ping",
    "serverStatus",
    "validate",
];

/// Reads a command; none when it is no JSON object with a first key.
pub(crate) fn read(statement: &str) -> Option<Command> {
    let node = json::parse(statement).ok()?;
    let first = node.members().first()?;
    let collection = first.node.text().unwrap_or_default().to_owned();
    Some(match first.key.as_str() {
        "create" => Command::Create {
            collection,
            view: node.get("viewOn").is_some(),
        },
        "drop" => Command::Drop { collection },
        "dropDatabase" => Command::DropDatabase,
        "renameCollection" => Command::Rename {
            from: bare(&collection),
            to: bare(node.get("to").and_then(Node::text).unwrap_or_default()),
            drops_target: node.get("dropTarget").is_some_and(Node::is_true),
        },
        "createIndexes" => Command::CreateIndexes {
            collection,
            indexes: node.items_of("indexes").iter().map(index).collect(),
        },
        "dropIndexes" | "deleteIndexes" => Command::DropIndexes { collection },
        "collMod" => coll_mod(collection, &node),
        "convertToCapped" | "cloneCollectionAsCapped" => Command::Capped { collection },
        "insert" => Command::Insert {
            collection,
            has_ids: node
                .items_of("documents")
                .iter()
                .all(|document| document.get("_id").is_some()),
        },
        "update" => Command::Update {
            collection,
            updates: node
                .items_of("updates")
                .iter()
                .map(|one| update(one, "q", "u"))
                .collect(),
        },
        "findAndModify" | "findandmodify" if node.get("remove").is_some_and(Node::is_true) => {
            Command::Delete {
                collection,
                all: node.get("query").is_none_or(Node::is_empty),
            }
        }
        "findAndModify" | "findandmodify" => Command::Update {
            collection,
            updates: vec![update(&node, "query", "update")],
        },
        "delete" => Command::Delete {
            collection,
            all: node
                .items_of("deletes")
                .iter()
                .any(|one| one.get("q").is_none_or(Node::is_empty)),
        },
        "aggregate" if fills(&node) => Command::Fill { collection },
        name if READS.contains(&name) => Command::Read,
        _ => Command::Other,
    })
}

/// `shop.users` → `users`: of `renameCollection`, which names databases too.
fn bare(name: &str) -> String {
    name.split_once('.')
        .map_or(name, |(_, collection)| collection)
        .to_owned()
}

fn index(node: &Node) -> IndexFact {
    IndexFact {
        name: node.get("name").and_then(Node::text).map(str::to_owned),
        unique: node.get("unique").is_some_and(Node::is_true),
        expires: node.get("expireAfterSeconds").is_some(),
        background: node.get("background").is_some_and(Node::is_true),
        range: node.range.clone(),
    }
}

fn coll_mod(collection: String, node: &Node) -> Command {
    let action = node.get("validationAction").and_then(Node::text);
    let level = node.get("validationLevel").and_then(Node::text);
    let lenient = match (action, level) {
        (Some("warn"), _) | (_, Some("off" | "moderate")) => Some(true),
        (Some(_), _) | (_, Some(_)) => Some(false),
        (None, None) => None,
    };
    Command::CollMod {
        collection,
        validator: node
            .get("validator")
            .filter(|node| !node.is_empty())
            .map(|node| node.range.clone()),
        lenient,
        index: node.get("index").map(|node| node.range.clone()),
    }
}

fn update(node: &Node, condition: &str, change: &str) -> UpdateFact {
    let change = node.get(change);
    let pipeline = change.is_some_and(|change| matches!(change.value, Value::List(_)));
    let stages = change.map(Node::items).unwrap_or_default();
    let members = change.map(Node::members).unwrap_or_default();
    let all = stages.iter().flat_map(Node::members).chain(members);
    UpdateFact {
        operators: all
            .map(|member| member.key.clone())
            .filter(|key| key.starts_with('$'))
            .collect(),
        pipeline,
        all: node.get(condition).is_none_or(Node::is_empty),
        multi: node.get("multi").is_some_and(Node::is_true),
        by_id: node
            .get(condition)
            .is_some_and(|query| query.get("_id").is_some()),
        range: node.range.clone(),
    }
}

fn fills(node: &Node) -> bool {
    let stages = node.items_of("pipeline");
    let last = stages.last().and_then(|stage| stage.members().first());
    last.is_some_and(|member| matches!(member.key.as_str(), "$out" | "$merge"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_apart() {
        let of = |text: &str| read(text).unwrap();
        assert_eq!(
            of(r#"{"renameCollection": "shop.a.b", "to": "shop.c"}"#),
            Command::Rename {
                from: "a.b".to_owned(),
                to: "c".to_owned(),
                drops_target: false
            }
        );
        let Command::Update { updates, .. } = of(
            r#"{"update": "a", "updates": [{"q": {}, "u": {"$set": {"x": 1}, "$inc": {"y": 1}}, "multi": true},
                {"q": {"x": 1}, "u": [{"$set": {"z": "$x"}}, {"$unset": "x"}]}, {"q": {"x": 1}, "u": {"x": 2}}]}"#,
        ) else {
            panic!()
        };
        assert_eq!(updates[0].operators, ["$set", "$inc"]);
        assert!(updates[0].all && updates[0].multi && !updates[0].pipeline);
        assert_eq!(updates[1].operators, ["$set", "$unset"]);
        assert!(updates[1].pipeline && !updates[1].all);
        assert!(updates[2].operators.is_empty());
        assert_eq!(
            of(r#"{"aggregate": "a", "pipeline": [{"$match": {}}]}"#),
            Command::Read
        );
        assert!(matches!(
            of(r#"{"aggregate": "a", "pipeline": [{"$out": "b"}]}"#),
            Command::Fill { .. }
        ));
        assert_eq!(of(r#"{"frobnicate": 1}"#), Command::Other);
        assert_eq!(read("{}"), None);
        assert_eq!(read("[1]"), None);
    }
}
