//! Collections under another name.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mongo-rename-collection",
    family: Family::Compat,
    severity: Severity::Error,
    dialects: MONGO,
    lifted: Lifted::Contract,
    summary: "a collection is renamed",
    why: "The old version reads nothing under the old name from that moment on, and what it writes there makes a new collection that the new version never sees.",
    safe: "write to both collections from the new version, copy in a backfill, and drop the old one in a contract",
    effect: None,
    bad: &[Example::mongo(
        r#"[]"#,
        r#"[{"renameCollection": "users", "to": "people"}]"#,
    )],
    good: &[Example::mongo(
        r#"[]"#,
        r#"[{"create": "a"}, {"renameCollection": "a", "to": "b"}]"#,
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let Ddl::Command(command) = look.ddl else { return };
    if let Command::Rename { from, to, .. } = &**command
        && !look.is_own_collection(from)
    {
        report.add(look.whole(), format!("the old version knows {from}, not {to}"));
    }
}
