//! Collections and databases that go, with what they hold.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mongo-drop-collection",
    family: Family::DataLoss,
    severity: Severity::Error,
    dialects: MONGO,
    lifted: Lifted::Contract,
    summary: "a collection or the whole database is dropped",
    why: "What it holds is gone, and the old version makes it anew with its next write, empty. With the database goes Cutover's own history.",
    safe: "let the new version do without it, and drop it in a contract, after a backup",
    effect: None,
    bad: &[
        Example::mongo(r#"[]"#, r#"[{"drop": "users"}]"#),
        Example::mongo(
            r#"[]"#,
            r#"[{"create": "a"}, {"insert": "a", "documents": [{"_id": 1}]}, {"drop": "a"}]"#,
        ),
        Example::mongo(r#"[]"#, r#"[{"dropDatabase": 1}]"#),
        Example::mongo(
            r#"[]"#,
            r#"[{"renameCollection": "a", "to": "b", "dropTarget": true}]"#,
        ),
    ],
    good: &[
        Example::mongo(r#"[]"#, r#"[{"create": "a"}, {"drop": "a"}]"#),
        Example::mongo(
            r#"[]"#,
            r#"{"phase": "contract", "retires": "2.0.0", "commands": [{"drop": "users"}]}"#,
        ),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Command(command) = look.ddl else { return };
    match &**command {
        Command::Drop { collection } if !look.is_empty_collection(collection) => {
            report.add(
                look.whole(),
                format!("the old version uses {collection}, and what it holds is lost"),
            );
        }
        Command::DropDatabase => {
            report.add(look.whole(), "all that the database holds is lost".to_owned());
        }
        Command::Rename {
            to,
            drops_target: true,
            ..
        } if !look.is_empty_collection(to) => {
            report.add(look.whole(), format!("what {to} holds, if it is there, is lost"));
        }
        _ => {}
    }
}
