//! Indexes that are built while nobody else may write.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mongo-index-build",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: MONGO,
    lifted: Lifted::Never,
    summary: "an index is built on a server below 4.2 without background",
    why: "Below 4.2 a build in the foreground holds a lock on the whole database until it is done: nobody reads or writes any of its collections. Newer servers lock at the beginning and at the end only.",
    safe: "give the index \"background\": true, or build it node by node; on 4.2 and newer there is nothing to do",
    effect: None,
    bad: &[],
    good: &[Example::mongo(
        r#"[]"#,
        r#"[{"createIndexes": "users", "indexes": [{"key": {"mail": 1}, "name": "by_mail"}]}]"#,
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Command(command) = look.ddl else { return };
    let Command::CreateIndexes { collection, indexes } = &**command else {
        return;
    };
    if look.since(4, 2, 0) || look.is_own_collection(collection) {
        return;
    }
    for index in indexes.iter().filter(|index| !index.background) {
        report.add(
            index.range.clone(),
            format!("nobody uses any collection of the database until the index on {collection} is built"),
        );
    }
}
