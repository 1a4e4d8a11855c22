//! UPDATE of every row.

use super::prelude::*;

pub(crate) const RULE: Rule = Rule {
    id: "update-all",
    family: Family::Lock,
    severity: Severity::Warning,
    dialects: &[Dialect::Postgres, Dialect::Mysql, Dialect::MariaDb],
    lifted: Lifted::Never,
    summary: "rows are written in the transaction of a DDL, or all at once",
    why: "Every row that is written stays locked until the transaction ends. Beside an ALTER TABLE of the same table nobody reads or \
          writes it meanwhile; and UPDATE without WHERE writes the whole table in one go, which is slow, bloats it, and stops replicas.",
    safe: "write rows in a backfill: a file with `-- cutover: phase=backfill`, in batches",
    effect: None,
    bad: &[
        Example::pg("UPDATE orders SET state = 1;"),
        Example::pg(
            "BEGIN; ALTER TABLE orders ADD COLUMN state int; UPDATE orders SET state = 1 WHERE id > 0; COMMIT;",
        ),
    ],
    good: &[
        Example::pg("UPDATE orders SET state = 1 WHERE id BETWEEN 1 AND 1000;"),
        Example::pg("CREATE TABLE o (a int); INSERT INTO o VALUES (1); UPDATE o SET a = 2;"),
        Example::pg(
            "BEGIN; ALTER TABLE orders ADD COLUMN state int; UPDATE versions SET n = 1 WHERE n = 0; COMMIT;",
        ),
        Example::pg("-- cutover: phase=backfill\nUPDATE orders SET state = 1 WHERE state IS NULL;"),
    ],
    check,
};

fn check(look: &Look<'_>, report: &mut Report) {
    let (write, verb) = match look.ddl {
        Ddl::Update(write) => (write, "UPDATE"),
        Ddl::Delete(write) => (write, "DELETE"),
        Ddl::Insert(write) => (write, "INSERT"),
        _ => return,
    };
    let table = &write.table;
    if look.state.is_made(table) || look.state.is_fresh(table) {
        return;
    }
    let held = look.state.held.iter().find(|held| held.table == *table);
    if let Some(held) = held
        && (verb != "INSERT" || !write.from.is_empty())
    {
        let line = held.statement + 1;
        report.add(
            look.whole(),
            format!("everybody waits for {table}, which statement {line} locked, while its rows are written"),
        );
    } else if !write.bounded && verb != "INSERT" {
        report.add(
            look.whole(),
            format!("every row of {table} is written, and stays locked until the end"),
        );
    }
}
