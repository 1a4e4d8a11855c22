//! Unique indexes on documents that are there.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mongo-unique-index",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: MONGO,
    lifted: Lifted::Never,
    summary: "a unique index is built on a collection that has documents, or an index is made unique",
    why: "It fails on the first duplicate, and from then on the old version's writes may. Documents without the field count as one and the same value, unless the index is sparse or partial.",
    safe: "look for duplicates first (a precheck that must come to 0), and build it in a contract",
    effect: None,
    bad: &[Example::mongo(
        r#"[]"#,
        r#"[{"createIndexes": "users", "indexes": [{"key": {"mail": 1}, "name": "by_mail", "unique": true}]}]"#,
    )],
    good: &[
        Example::mongo(
            r#"[]"#,
            r#"[{"createIndexes": "users", "indexes": [{"key": {"mail": 1}, "name": "by_mail"}]}]"#,
        ),
        Example::mongo(
            r#"[]"#,
            r#"[{"create": "users"}, {"createIndexes": "users", "indexes": [{"key": {"mail": 1}, "name": "by_mail", "unique": true}]}]"#,
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Command(command) = look.ddl else { return };
    let Command::CreateIndexes { collection, indexes } = &**command else {
        return;
    };
    if look.is_own_collection(collection) {
        return;
    }
    for index in indexes.iter().filter(|index| index.unique) {
        report.add(
            index.range.clone(),
            format!("duplicates in {collection}, and those that the old version writes, fail"),
        );
    }
}
