//! Documents that go.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mongo-delete-all",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: MONGO,
    lifted: Lifted::Never,
    summary: "all documents of a collection are deleted, or go by themselves",
    why: "They are gone. A TTL index deletes, from then on and without an end, what is older than it says; made capped, a collection loses its oldest documents.",
    safe: "say by a condition what may go, after a backup",
    effect: None,
    bad: &[
        Example::mongo(
            r#"[]"#,
            r#"[{"delete": "users", "deletes": [{"q": {}, "limit": 0}]}]"#,
        ),
        Example::mongo(
            r#"[]"#,
            r#"[{"createIndexes": "users", "indexes": [{"key": {"at": 1}, "name": "ttl", "expireAfterSeconds": 60}]}]"#,
        ),
        Example::mongo(r#"[]"#, r#"[{"convertToCapped": "users", "size": 1000}]"#),
    ],
    good: &[
        Example::mongo(
            r#"[]"#,
            r#"[{"delete": "users", "deletes": [{"q": {"at": {"$lt": 5}}, "limit": 0}]}]"#,
        ),
        Example::mongo(
            r#"[]"#,
            r#"[{"create": "a"}, {"createIndexes": "a", "indexes": [{"key": {"at": 1}, "name": "ttl", "expireAfterSeconds": 60}]}]"#,
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Command(command) = look.ddl else { return };
    let lost = match &**command {
        Command::Delete {
            collection,
            all: true,
        } => (collection, "all documents", look.whole()),
        Command::Capped { collection } => (collection, "the oldest documents", look.whole()),
        Command::CreateIndexes { collection, indexes } => match indexes.iter().find(|index| index.expires) {
            Some(index) => (collection, "documents that expire", index.range.clone()),
            None => return,
        },
        _ => return,
    };
    let (collection, what, range) = lost;
    if !look.is_own_collection(collection) {
        report.add(range, format!("{what} of {collection} are lost"));
    }
}
