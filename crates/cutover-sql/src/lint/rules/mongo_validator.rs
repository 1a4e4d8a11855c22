//! Validators that refuse.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mongo-validator",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: MONGO,
    lifted: Lifted::Contract,
    summary: "a validator that refuses is set on a collection that is in use",
    why: "Writes of the old version that do not fit it fail from that moment on, and so do updates of documents that are there and do not fit.",
    safe: "set it with \"validationAction\": \"warn\" first, look at the log, and make it strict in a contract",
    effect: None,
    bad: &[
        Example::mongo(
            r#"[]"#,
            r#"[{"collMod": "users", "validator": {"$jsonSchema": {"required": ["mail"]}}}]"#,
        ),
        Example::mongo(r#"[]"#, r#"[{"collMod": "users", "validationAction": "error"}]"#),
    ],
    good: &[
        Example::mongo(
            r#"[]"#,
            r#"[{"collMod": "users", "validator": {"$jsonSchema": {"required": ["mail"]}}, "validationAction": "warn"}]"#,
        ),
        Example::mongo(r#"[]"#, r#"[{"collMod": "users", "validator": {}}]"#),
        Example::mongo(
            r#"[]"#,
            r#"[{"create": "users"}, {"collMod": "users", "validator": {"$jsonSchema": {"required": ["mail"]}}}]"#,
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Command(command) = look.ddl else { return };
    let Command::CollMod {
        collection,
        validator,
        lenient,
        ..
    } = &**command
    else {
        return;
    };
    let strict = match lenient {
        Some(lenient) => !lenient,
        None => validator.is_some(),
    };
    if strict && !look.is_own_collection(collection) {
        report.add(
            validator.clone().unwrap_or_else(|| look.whole()),
            format!("what the old version writes into {collection} may be refused"),
        );
    }
}
