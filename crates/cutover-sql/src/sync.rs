//! Two-way triggers between the columns of an old and of a new version, as statements.
//!
//! The sides of a row *agree* when the new one is what `up` makes of the old one, or the old one is what `down` makes
//! of the new one. A trigger looks who wrote (the new version, when a new column was given or changed; else the old
//! one), and when the sides do not agree it derives the side that was not written. What is derived agrees, so that no
//! direction wakes the other one.
//!
//! PostgreSQL: one `BEFORE` function that changes the row that is being written. SQLite, whose triggers cannot do that:
//! `AFTER` triggers that update the row once more, on the condition that it does not agree. MySQL's and MariaDB's are in
//! `sync_mysql`.

use std::fmt::Write as _;

use crate::Dialect;

/// Around the function's body; no expression may hold it.
pub(crate) const DOLLAR: &str = "$cutover$";

/// The longest name that PostgreSQL keeps whole.
const LONGEST: usize = 63;

/// A table, as the database has it: no quotes, no folding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Its schema; none: where the search path leads.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

impl TableName {
    /// `users`, `app.users`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once('.') {
            Some((schema, name)) => Self {
                schema: Some(schema.to_owned()),
                name: name.to_owned(),
            },
            None => Self {
                schema: None,
                name: text.to_owned(),
            },
        }
    }

    /// Quoted, with its schema.
    #[must_use]
    pub fn sql(&self) -> String {
        self.beside(&self.name)
    }

    /// Another name in the same schema, quoted.
    fn beside(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
            None => quoted(name),
        }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A name in double quotes.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A pair of sides that two versions write, kept true to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Whose columns.
    pub table: TableName,
    /// What the old version writes.
    pub old: Vec<String>,
    /// What the new version writes: nullable, without a default, so that an insert shows who made it.
    pub new: Vec<String>,
    /// What each new column is, by the old ones.
    pub up: Vec<String>,
    /// What each old column is, by the new ones.
    pub down: Vec<String>,
    /// The primary key, of a SQLite table `WITHOUT ROWID`.
    pub key: Option<Vec<String>>,
}

/// A name that is the same each time and short enough: a long one ends in a checksum.
pub(crate) fn name(prefix: &str, table: &str, columns: &[String]) -> String {
    let whole = format!("{prefix}{table}_{}", columns.join("_"));
    if whole.len() <= LONGEST {
        return whole;
    }
    // FNV-1a: to tell names apart, not to keep anything safe.
    let sum = whole.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut end = LONGEST - 17;
    while !whole.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{sum:016x}", &whole[..end])
}

/// PostgreSQL fires triggers by name: after the application's own, so that what those make of a row is carried over.
const TRIGGER: &str = "zz_cutover_sync_";
const FUNCTION: &str = "cutover_sync_";

fn list(columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    columns.join(", ")
}

fn all(columns: &[String], term: impl Fn(&str) -> String) -> String {
    let terms: Vec<String> = columns.iter().map(|column| term(&quoted(column))).collect();
    terms.join(" AND ")
}

/// The operator that compares NULLs as values and says that they differ.
pub(crate) const fn differs(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "IS NOT",
        _ => "IS DISTINCT FROM",
    }
}

impl Sync {
    /// A condition on a row of the table: one side is not what the other one makes of it.
    fn unlike(dialect: Dialect, columns: &[String], expressions: &[String]) -> String {
        let terms: Vec<String> = columns
            .iter()
            .zip(expressions)
            .map(|(column, expression)| format!("{} {} ({expression})", quoted(column), differs(dialect)))
            .collect();
        format!("({})", terms.join(" OR "))
    }

    /// A condition on a row of the table: the sides do not agree.
    #[must_use]
    pub fn disagreement(&self, dialect: Dialect) -> String {
        if dialect.is_mysql() {
            return self.mysql_disagreement();
        }
        format!(
            "{} AND {}",
            Self::unlike(dialect, &self.new, &self.up),
            Self::unlike(dialect, &self.old, &self.down)
        )
    }

    /// The query that counts the rows whose sides do not agree.
    #[must_use]
    pub fn verify(&self, dialect: Dialect) -> String {
        format!(
            "SELECT count(*) FROM {} WHERE {}",
            dialect.table(&self.table),
            self.disagreement(dialect)
        )
    }

    /// The statement that fills the new side of older rows, with `{batch}` where the range goes. A row whose new side
    /// is all NULL is filled even where `down` would make its old side of that.
    #[must_use]
    pub fn fill(&self, dialect: Dialect) -> String {
        if dialect.is_mysql() {
            return self.mysql_fill();
        }
        format!(
            "UPDATE {} SET {} WHERE {} AND ({} OR {}) AND {{batch}}",
            self.table.sql(),
            assignments(&self.new, &self.up),
            Self::unlike(dialect, &self.new, &self.up),
            Self::unlike(dialect, &self.old, &self.down),
            all(&self.new, |column| format!("{column} IS NULL"))
        )
    }

    /// The triggers, for a table that has both sides. The first statement changes nothing: it fails where the
    /// expressions do not fit the columns, so that this is found now and not by an application's insert.
    #[must_use]
    pub fn begin(&self, dialect: Dialect) -> Vec<String> {
        if dialect.is_mysql() {
            return self.mysql_begin();
        }
        let mut out = vec![self.check(dialect)];
        match dialect {
            Dialect::Sqlite => out.extend(self.sqlite()),
            _ => out.extend(self.postgres()),
        }
        out
    }

    /// Takes the triggers away.
    #[must_use]
    pub fn end(&self, dialect: Dialect) -> Vec<String> {
        let table = self.table.sql();
        match dialect {
            Dialect::Mysql | Dialect::MariaDb => self.mysql_end(),
            Dialect::Postgres => {
                let mut out: Vec<String> = ["insert", "update"]
                    .iter()
                    .map(|event| format!("DROP TRIGGER {} ON {table}", quoted(&self.trigger(event))))
                    .collect();
                out.push(format!("DROP FUNCTION {}()", self.function()));
                out
            }
            Dialect::Sqlite => ["insert", "old", "new"]
                .iter()
                .map(|event| format!("DROP TRIGGER {}", self.table.beside(&self.trigger(event))))
                .collect(),
            // It has no triggers, and its files cannot declare any.
            Dialect::MongoDb => Vec::new(),
        }
    }

    /// The name of one of its triggers.
    fn trigger(&self, event: &str) -> String {
        name(&format!("{TRIGGER}{event}_"), &self.table.name, &self.new)
    }

    /// A trigger that is there as long as the sync is.
    #[must_use]
    pub fn marker(&self, dialect: Dialect) -> String {
        if dialect.is_mysql() {
            return self.mysql_marker();
        }
        self.trigger("insert")
    }

    fn function(&self) -> String {
        self.table.beside(&name(FUNCTION, &self.table.name, &self.new))
    }

    /// An update that is only explained. Each expression sees the columns of the other side and no more, as it will in a
    /// trigger.
    fn check(&self, dialect: Dialect) -> String {
        let table = self.table.sql();
        let made = |alias: &str, from: &[String], expressions: &[String]| {
            let values: Vec<String> = expressions
                .iter()
                .enumerate()
                .map(|(at, expression)| format!("({expression}) AS c{at}"))
                .collect();
            format!(
                "(SELECT {} FROM (SELECT {} FROM {table}) AS {}) AS {alias}",
                values.join(", "),
                list(from),
                quoted(&self.table.name)
            )
        };
        let made_of = |alias: &str, side: &[String]| -> Vec<String> {
            (0..side.len()).map(|at| format!("{alias}.c{at}")).collect()
        };
        let (up, down) = (
            made_of("cutover_up", &self.new),
            made_of("cutover_down", &self.old),
        );
        let apart = |side: &[String], values: &[String]| {
            let terms: Vec<String> = side
                .iter()
                .zip(values)
                .map(|(column, value)| format!("cutover_row.{} {} {value}", quoted(column), differs(dialect)))
                .collect();
            terms.join(" AND ")
        };
        format!(
            "EXPLAIN UPDATE {table} AS cutover_row SET {}, {} FROM {}, {} WHERE {} AND {}",
            assignments(&self.new, &up),
            assignments(&self.old, &down),
            made("cutover_up", &self.old, &self.up),
            made("cutover_down", &self.new, &self.down),
            apart(&self.new, &up),
            apart(&self.old, &down)
        )
    }

    fn postgres(&self) -> Vec<String> {
        let table = self.table.sql();
        let dialect = Dialect::Postgres;
        let (same, differs) = ("IS NOT DISTINCT FROM", differs(dialect));
        let new_row = |side: &[String]| {
            let columns: Vec<String> = side
                .iter()
                .map(|one| format!("NEW.{0} AS {0}", quoted(one)))
                .collect();
            format!("(SELECT {}) AS {}", columns.join(", "), quoted(&self.table.name))
        };
        let targets = |side: &[String]| {
            let columns: Vec<String> = side.iter().map(|one| format!("NEW.{}", quoted(one))).collect();
            columns.join(", ")
        };
        let values = |expressions: &[String]| {
            let values: Vec<String> = expressions.iter().map(|one| format!("({one})")).collect();
            values.join(", ")
        };
        let agrees = |side: &[String], expressions: &[String]| {
            let terms: Vec<String> = side
                .iter()
                .zip(expressions)
                .map(|(column, expression)| format!("NEW.{} {same} ({expression})", quoted(column)))
                .collect();
            terms.join(" AND ")
        };
        let function = format!(
            "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS {DOLLAR}
#variable_conflict use_column
DECLARE
    cutover_old_wrote boolean;
    cutover_agree boolean := false;
BEGIN
    IF TG_OP = 'INSERT' THEN
        cutover_old_wrote := {untold};
    ELSE
        cutover_old_wrote := {unchanged};
    END IF;
    IF cutover_old_wrote THEN
        IF TG_OP = 'UPDATE' THEN
            SELECT {old_agrees} INTO cutover_agree FROM {from_new};
        END IF;
        IF NOT cutover_agree THEN
            SELECT {up} INTO {to_new} FROM {from_old};
        END IF;
    ELSE
        SELECT {new_agrees} INTO cutover_agree FROM {from_old};
        IF NOT cutover_agree THEN
            SELECT {down} INTO {to_old} FROM {from_new};
        END IF;
    END IF;
    RETURN NEW;
END
{DOLLAR}",
            function = self.function(),
            untold = all(&self.new, |column| format!("NEW.{column} IS NULL")),
            unchanged = all(&self.new, |column| format!("NEW.{column} {same} OLD.{column}")),
            old_agrees = agrees(&self.old, &self.down),
            new_agrees = agrees(&self.new, &self.up),
            from_new = new_row(&self.new),
            from_old = new_row(&self.old),
            up = values(&self.up),
            down = values(&self.down),
            to_new = targets(&self.new),
            to_old = targets(&self.old),
        );
        let changed: Vec<String> = self
            .old
            .iter()
            .chain(&self.new)
            .map(|column| format!("OLD.{0} {differs} NEW.{0}", quoted(column)))
            .collect();
        let mut out = vec![function];
        for (event, condition) in [
            ("insert", String::new()),
            ("update", format!(" WHEN ({})", changed.join(" OR "))),
        ] {
            let mut text = format!("CREATE TRIGGER {}", quoted(&self.trigger(event)));
            // Writing to a String does not fail.
            let _ = write!(
                text,
                " BEFORE {} ON {table} FOR EACH ROW{condition} EXECUTE FUNCTION {}()",
                event.to_uppercase(),
                self.function()
            );
            out.push(text);
        }
        out
    }

    fn sqlite(&self) -> Vec<String> {
        let dialect = Dialect::Sqlite;
        let here = match &self.key {
            None => "rowid = NEW.rowid".to_owned(),
            Some(key) => all(key, |column| format!("{column} IS NEW.{column}")),
        };
        // Within a trigger, SQLite wants the bare name of the table.
        let bare = quoted(&self.table.name);
        let to_new = format!(
            "UPDATE {bare} SET {} WHERE {here}",
            assignments(&self.new, &self.up)
        );
        let to_old = format!(
            "UPDATE {bare} SET {} WHERE {here}",
            assignments(&self.old, &self.down)
        );
        let apart = self.disagreement(dialect);
        let untold = all(&self.new, |column| format!("NEW.{column} IS NULL"));
        let same_new = all(&self.new, |column| format!("NEW.{column} IS OLD.{column}"));
        let same_old = all(&self.old, |column| format!("NEW.{column} IS OLD.{column}"));
        let begin = |event: &str, when: &str| {
            format!(
                "CREATE TRIGGER {} AFTER {when}",
                self.table.beside(&self.trigger(event))
            )
        };
        vec![
            format!(
                "{} ON {bare} BEGIN\n    {to_new} AND {untold} AND {unlike};\n    {to_old} AND NOT ({untold}) AND {apart};\nEND",
                begin("insert", "INSERT"),
                unlike = Self::unlike(dialect, &self.new, &self.up),
            ),
            format!(
                "{} ON {bare} WHEN {same_new} AND NOT ({same_old}) BEGIN\n    {to_new} AND {apart};\nEND",
                begin("old", &format!("UPDATE OF {}", list(&self.old)))
            ),
            format!(
                "{} ON {bare} WHEN NOT ({same_new}) BEGIN\n    {to_old} AND {apart};\nEND",
                begin("new", &format!("UPDATE OF {}", list(&self.new)))
            ),
        ]
    }
}

fn assignments(columns: &[String], expressions: &[String]) -> String {
    let all: Vec<String> = columns
        .iter()
        .zip(expressions)
        .map(|(column, expression)| format!("{} = ({expression})", quoted(column)))
        .collect();
    all.join(", ")
}
