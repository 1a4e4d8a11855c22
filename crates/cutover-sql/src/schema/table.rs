//! One table.

use crate::ddl::{Column, Constraint, ConstraintKind, CreateTable, Index, Name};

use super::Schema;

/// A constraint, and whether every row is known to fulfil it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableConstraint {
    /// As declared.
    pub constraint: Constraint,
    /// False from `NOT VALID` until `VALIDATE CONSTRAINT`.
    pub validated: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: Name,
    /// In order. Primary keys at a column are also in `constraints`.
    pub columns: Vec<Column>,
    /// Those at a column included, with the name that PostgreSQL would make up for them.
    pub constraints: Vec<TableConstraint>,
    /// Those of `CREATE INDEX`, and those that MySQL's keys make. Those that stand behind constraints are not.
    pub indexes: Vec<Index>,
    /// `PARTITION BY` columns; empty: not partitioned.
    pub partition_by: Vec<String>,
    /// The table that it is a partition of.
    pub parent: Option<Name>,
    /// MySQL's default character set, when declared.
    pub charset: Option<String>,
    /// MySQL's engine, when declared.
    pub engine: Option<String>,
    /// `TEMPORARY`.
    pub temporary: bool,
    /// Further options, upper case: `UNLOGGED`, `STRICT`, `WITHOUT`.
    pub options: Vec<String>,
    /// False when columns exist that the text does not tell.
    pub complete: bool,
}

impl Table {
    /// A table of which nothing is known but that it is there.
    pub(super) const fn unknown(name: Name) -> Self {
        Self {
            name,
            columns: Vec::new(),
            constraints: Vec::new(),
            indexes: Vec::new(),
            partition_by: Vec::new(),
            parent: None,
            charset: None,
            engine: None,
            temporary: false,
            options: Vec::new(),
            complete: false,
        }
    }

    /// A column by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub(super) fn column_mut(&mut self, name: &str) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| column.name == name)
    }

    /// Whether a foreign key of it points to that table.
    #[must_use]
    pub fn points_to(&self, other: &Name) -> bool {
        self.constraints.iter().any(|one| {
            matches!(&one.constraint.kind, ConstraintKind::ForeignKey { references, .. } if references.table == *other)
        })
    }

    /// The primary key's columns.
    #[must_use]
    pub fn primary_key(&self) -> Option<&[String]> {
        self.constraints
            .iter()
            .find_map(|one| match &one.constraint.kind {
                ConstraintKind::PrimaryKey { columns, .. } => Some(columns.as_slice()),
                _ => None,
            })
    }

    /// Whether some index, or a key's, begins with these columns in any order.
    #[must_use]
    pub fn is_indexed(&self, columns: &[String]) -> bool {
        let covers = |indexed: &[String]| {
            indexed.len() >= columns.len() && indexed[..columns.len()].iter().all(|one| columns.contains(one))
        };
        self.indexes
            .iter()
            .any(|index| index.predicate.is_none() && index.special.is_none() && covers(&index.columns))
            || self.constraints.iter().any(|one| match &one.constraint.kind {
                ConstraintKind::PrimaryKey { columns, .. } | ConstraintKind::Unique { columns, .. } => {
                    covers(columns)
                }
                _ => false,
            })
    }

    /// Whether an index mentions a column anywhere.
    #[must_use]
    pub fn has_index_on(&self, column: &str) -> bool {
        self.indexes.iter().any(|index| {
            index
                .columns
                .iter()
                .any(|one| one == column || mentions(one, column))
                || index
                    .predicate
                    .as_ref()
                    .is_some_and(|one| mentions(&one.text, column))
        }) || self.constraints.iter().any(|one| match &one.constraint.kind {
            ConstraintKind::PrimaryKey { columns, .. } | ConstraintKind::Unique { columns, .. } => {
                columns.iter().any(|one| one == column)
            }
            _ => false,
        })
    }

    /// Whether a validated CHECK says that a column is not null, alone or as one of several conditions joined by AND.
    #[must_use]
    pub fn is_checked_not_null(&self, column: &str) -> bool {
        self.constraints.iter().any(|one| {
            one.validated
                && one.constraint.enforced
                && match &one.constraint.kind {
                    ConstraintKind::Check(expr) => says_not_null(&expr.text, column),
                    ConstraintKind::NotNull(of) => of == column,
                    _ => false,
                }
        })
    }

    /// The CHECK constraints that mention a column.
    pub fn checks_on<'a>(&'a self, column: &'a str) -> impl Iterator<Item = &'a TableConstraint> {
        self.constraints.iter().filter(move |one| {
            matches!(&one.constraint.kind, ConstraintKind::Check(expr) if mentions(&expr.text, column))
        })
    }

    /// A constraint by its name.
    #[must_use]
    pub fn constraint(&self, name: &str) -> Option<&TableConstraint> {
        self.constraints
            .iter()
            .find(|one| one.constraint.name.as_deref() == Some(name))
    }

    pub(super) fn add_constraint(&mut self, mut constraint: Constraint) {
        if constraint.name.is_none() {
            constraint.name = Some(made_up(&self.name.name, &constraint.kind));
        }
        match &mut constraint.kind {
            ConstraintKind::PrimaryKey { columns, using_index }
            | ConstraintKind::Unique { columns, using_index } => {
                if let Some(index) = using_index
                    && let Some(at) = self
                        .indexes
                        .iter()
                        .position(|one| one.name.as_ref().is_some_and(|own| own.name == index.name))
                {
                    // The index becomes the constraint's own.
                    *columns = self.indexes.remove(at).columns;
                }
            }
            _ => {}
        }
        if let ConstraintKind::PrimaryKey { columns, .. } = &constraint.kind {
            for name in columns.clone() {
                if let Some(column) = self.column_mut(&name) {
                    column.not_null = true;
                }
            }
        }
        let validated = !constraint.not_valid;
        self.constraints.push(TableConstraint {
            constraint,
            validated,
        });
    }

    /// The constraints that stand at a column.
    pub(super) fn add_inline(&mut self, column: &Column) {
        let add = |table: &mut Self, kind| {
            table.add_constraint(Constraint {
                name: None,
                kind,
                not_valid: false,
                enforced: true,
            });
        };
        let own = || vec![column.name.clone()];
        if column.primary_key {
            let columns = own();
            add(
                self,
                ConstraintKind::PrimaryKey {
                    columns,
                    using_index: None,
                },
            );
        }
        if column.unique {
            let columns = own();
            add(
                self,
                ConstraintKind::Unique {
                    columns,
                    using_index: None,
                },
            );
        }
        if let Some(references) = &column.references {
            add(
                self,
                ConstraintKind::ForeignKey {
                    columns: own(),
                    references: references.clone(),
                },
            );
        }
        if let Some(check) = &column.check {
            add(self, ConstraintKind::Check(check.clone()));
        }
    }
}

/// As PostgreSQL names what has no name.
fn made_up(table: &str, kind: &ConstraintKind) -> String {
    match kind {
        ConstraintKind::PrimaryKey { .. } => format!("{table}_pkey"),
        ConstraintKind::Unique { columns, .. } => format!("{table}_{}_key", columns.join("_")),
        ConstraintKind::ForeignKey { columns, .. } => format!("{table}_{}_fkey", columns.join("_")),
        ConstraintKind::Check(_) => format!("{table}_check"),
        ConstraintKind::NotNull(column) => format!("{table}_{column}_not_null"),
        ConstraintKind::Exclude => format!("{table}_excl"),
    }
}

/// Whether a text has this word; a quoted name is one word, whatever stands in it.
pub(crate) fn mentions(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    // One that begins or ends with a quote does both, or is a part of another name.
    let quote = |c: Option<char>| c.filter(|c| matches!(c, '"' | '`'));
    let needs_quotes = !word.chars().all(is_part);
    let mut found = text.match_indices(word);
    found.any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|text| text.chars().next());
        let is_quoted = quote(before).is_some() || (before == Some('[') && after == Some(']'));
        !before.is_some_and(is_part)
            && !after.is_some_and(is_part)
            && quote(before) == quote(after)
            && (is_quoted || !needs_quotes)
    })
}

/// The words of an expression, names without their quotes.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut until = None;
    let is_between = move |c: char| {
        match (until, c) {
            (Some(end), _) if c == end => until = None,
            (Some(_), _) => {}
            (None, '"' | '`' | '\'') => until = Some(c),
            (None, '[') => until = Some(']'),
            (None, _) => return c.is_whitespace(),
        }
        false
    };
    text.split(is_between)
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_matches(['"', '`', '[', ']']))
}

fn says_not_null(check: &str, column: &str) -> bool {
    if !check.contains("null") || !check.contains(column) {
        return false;
    }
    let words: Vec<&str> = words(check).filter(|word| !matches!(*word, "(" | ")")).collect();
    // An OR anywhere makes it a weaker condition.
    !words.contains(&"or") && words.windows(4).any(|four| four == [column, "is", "not", "null"])
}

impl Schema {
    pub(super) fn create_table(&mut self, create: &CreateTable) {
        let Some(name) = create.name.clone() else { return };
        if create.if_not_exists && self.tables.contains_key(&name) {
            return;
        }
        let mut table = Table {
            name: name.clone(),
            columns: Vec::new(),
            constraints: Vec::new(),
            indexes: create.indexes.clone(),
            partition_by: create.partition_by.clone(),
            parent: create.partition_of.as_ref().map(|of| of.parent.clone()),
            charset: create.charset.clone(),
            engine: create.engine.clone(),
            temporary: create.temporary,
            options: create.options.clone(),
            complete: !create.from_query,
        };
        for like in create
            .like
            .iter()
            .chain(create.partition_of.as_ref().map(|of| &of.parent))
        {
            match self.tables.get(like) {
                Some(other) => {
                    table.columns.extend(other.columns.iter().cloned());
                    table.complete &= other.complete;
                }
                None => table.complete = false,
            }
        }
        for column in &create.columns {
            table.columns.push(column.clone());
            table.add_inline(column);
        }
        for constraint in &create.constraints {
            table.add_constraint(constraint.clone());
        }
        self.tables.insert(name, table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_may_say_that_a_column_is_not_null() {
        assert!(says_not_null("name is not null", "name"));
        assert!(says_not_null("( \"name\" is not null ) and age > 3", "name"));
        assert!(!says_not_null("name is not null or age > 3", "name"));
        assert!(!says_not_null("name is not null", "age"));
        assert!(says_not_null("\"first name\" is not null", "first name"));
        assert!(!says_not_null("\"first name\" is not null", "name"));
    }

    #[test]
    fn a_quoted_name_is_one_word() {
        for (text, word, expected) in [
            ("lower ( name )", "name", true),
            ("lower ( first_name )", "name", false),
            ("\"name\" || `b`", "b", true),
            ("lower ( \"first name\" )", "first name", true),
            ("[first name]", "first name", true),
            ("lower ( \"first name\" )", "name", false),
            ("lower ( \"first name\" )", "first", false),
            ("first name", "first name", false),
            ("array[name]", "name", true),
            ("\"s\".\"name\"", "name", true),
        ] {
            assert_eq!(mentions(text, word), expected, "{word} in {text}");
        }
        let all: Vec<&str> = words("cast ( \"first name\" as [my type] )").collect();
        assert_eq!(all, ["cast", "(", "first name", "as", "my type", ")"]);
    }
}
