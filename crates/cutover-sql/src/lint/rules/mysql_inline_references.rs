//! REFERENCES that does nothing.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "mysql-inline-references",
    family: Family::Correctness,
    severity: Severity::Warning,
    dialects: &[Dialect::Mysql],
    lifted: Lifted::Never,
    summary: "REFERENCES at a column, which MySQL before 9.0 ignores",
    why: "It is read and forgotten: there is no foreign key.",
    safe: "FOREIGN KEY (column) REFERENCES table (column), as a line of its own",
    effect: None,
    bad: &[Example::my(
        "",
        "CREATE TABLE orders (user_id int REFERENCES users (id))",
    )],
    good: &[Example::my(
        "",
        "CREATE TABLE orders (user_id int, FOREIGN KEY (user_id) REFERENCES users (id))",
    )],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    if look.since(9, 0, 0) {
        return;
    }
    let columns: Vec<(&Column, std::ops::Range<usize>)> = match look.ddl {
        Ddl::CreateTable(create) => create
            .columns
            .iter()
            .map(|column| (column, look.whole()))
            .collect(),
        _ => look
            .added_columns()
            .map(|(_, column, span)| (column, span))
            .collect(),
    };
    for (column, span) in columns {
        if column.references.is_some() {
            report.add(span, format!("REFERENCES at {} is ignored", column.name));
        }
    }
}
