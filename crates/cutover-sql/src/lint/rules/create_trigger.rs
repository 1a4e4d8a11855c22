//! Triggers and rules.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "create-trigger",
    family: Family::Lock,
    severity: Severity::Note,
    dialects: PG,
    lifted: Lifted::Never,
    summary: "a trigger or rule is created, enabled or disabled",
    why: "The table is locked against writes (SHARE ROW EXCLUSIVE) for a moment, after every write that is under way. From then on it \
          runs for the old version too.",
    safe: "a file of its own with few statements; Cutover takes the lock with a timeout and tries again",
    effect: Some(Effect {
        lock: "ShareRowExclusiveLock",
        rewrite: false,
        scan: false,
    }),
    bad: &[Example::pg_after(
        "CREATE TABLE orders (a int); CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';",
        "CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();",
    )],
    good: &[Example::pg(
        "CREATE TABLE o (a int); CREATE TRIGGER t BEFORE UPDATE ON o FOR EACH ROW EXECUTE FUNCTION touch();",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if let Ddl::Create {
        kind: Kind::Trigger | Kind::Rule,
        table: Some(table),
        ..
    } = look.ddl
        && !look.state.is_fresh(table)
    {
        report.add(
            look.whole(),
            format!("writes to {table} wait for a moment, and then run the trigger, the old version's too"),
        );
    }
    for (table, action) in look.actions() {
        if let Alter::Trigger(_) = action.what {
            report.add(
                action.span.clone(),
                format!(
                    "writes to {table} wait for a moment, and then run other triggers, the old version's too"
                ),
            );
        }
    }
}
