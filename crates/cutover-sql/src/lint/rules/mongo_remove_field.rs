//! Fields that go from documents.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mongo-remove-field",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: MONGO,
    lifted: Lifted::Contract,
    summary: "a field is removed from documents, or renamed in them",
    why: "The old version finds the field missing, and writes it again into what it touches; what an $unset takes away is gone.",
    safe: "fill the new field in a backfill, let both live, and remove the old one in a contract, after a backup",
    effect: None,
    bad: &[
        Example::mongo(
            r#"[]"#,
            r#"[{"update": "users", "updates": [{"q": {}, "u": {"$unset": {"first": ""}}, "multi": true}]}]"#,
        ),
        Example::mongo(
            r#"[]"#,
            r#"[{"update": "users", "updates": [{"q": {"a": 1}, "u": {"$rename": {"first": "given"}}, "multi": true}]}]"#,
        ),
        Example::mongo(
            r#"[]"#,
            r#"[{"update": "users", "updates": [{"q": {}, "u": [{"$unset": ["first"]}], "multi": true}]}]"#,
        ),
    ],
    good: &[
        Example::mongo(
            r#"[]"#,
            r#"[{"update": "users", "updates": [{"q": {}, "u": {"$set": {"given": "x"}}, "multi": true}]}]"#,
        ),
        Example::mongo(
            r#"[]"#,
            r#"[{"create": "a"}, {"insert": "a", "documents": [{"_id": 1, "x": 1}]}, {"update": "a", "updates": [{"q": {}, "u": {"$unset": {"x": ""}}, "multi": true}]}]"#,
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Command(command) = look.ddl else { return };
    let Command::Update { collection, updates } = &**command else {
        return;
    };
    if look.is_own_collection(collection) {
        return;
    }
    for update in updates {
        let gone = ["$unset", "$rename"];
        if let Some(operator) = update.operators.iter().find(|one| gone.contains(&one.as_str())) {
            report.add(
                update.range.clone(),
                format!("the old version uses what {operator} takes out of {collection}"),
            );
        }
    }
}
