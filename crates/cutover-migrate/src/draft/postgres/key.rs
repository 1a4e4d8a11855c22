//! Keys of PostgreSQL and the indexes that they stand on: one is built beside the traffic, and the other takes it over.

use cutover_sql::catalog::{Change, Constraint, ConstraintKind, Index};
use cutover_sql::{TableName, quoted};

/// PostgreSQL cuts longer names.
const LONGEST: usize = 63;

/// A key's definition, in the parts that an index and the constraint on it have.
pub(super) struct Key<'a> {
    word: &'static str,
    nulls: &'static str,
    columns: &'a str,
    /// `DEFERRABLE …`
    when: &'a str,
}

impl<'a> Key<'a> {
    pub(super) fn of(one: &'a Constraint) -> Option<Self> {
        let (word, rest) = match one.kind {
            ConstraintKind::Unique => ("UNIQUE", one.definition.strip_prefix("UNIQUE ")?),
            ConstraintKind::PrimaryKey => ("PRIMARY KEY", one.definition.strip_prefix("PRIMARY KEY ")?),
            ConstraintKind::Check | ConstraintKind::Exclude | ConstraintKind::ForeignKey => return None,
        };
        let (nulls, rest) = match rest.strip_prefix("NULLS NOT DISTINCT ") {
            Some(rest) => (" NULLS NOT DISTINCT", rest),
            None => ("", rest),
        };
        let (columns, when) = match rest.find(" DEFERRABLE") {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        // Storage parameters and periods are written as they are.
        let is_list = columns.starts_with('(') && columns.ends_with(')');
        let is_known = [" WITH ", " WITHOUT ", " USING "]
            .iter()
            .all(|word| !columns.contains(word));
        (is_list && is_known).then_some(Self {
            word,
            nulls,
            columns,
            when,
        })
    }

    pub(super) fn index(&self, table: &TableName, name: &str) -> String {
        format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} {}{}",
            quoted(name),
            table.sql(),
            self.columns,
            self.nulls
        )
    }

    /// Whether an index is what the key stands on.
    pub(super) fn is_on(&self, table: &TableName, index: &Index) -> bool {
        let head = index.definition.strip_suffix(self.nulls);
        let head = head.and_then(|head| head.strip_suffix(self.columns));
        let head = head.unwrap_or_default().trim_end();
        index.unique && (head.ends_with(" USING btree") || head.ends_with(&format!(" ON {}", table.sql())))
    }

    pub(super) fn adopt(&self, name: &str, index: &str) -> String {
        format!(
            "ADD CONSTRAINT {} {} USING INDEX {}{}",
            quoted(name),
            self.word,
            quoted(index),
            self.when
        )
    }
}

/// The name of an index that waits to become a key or index of this name, in the place of another one or not.
pub(super) fn waiting_name(name: &str, replaces: bool) -> String {
    if replaces { new_name(name) } else { name.to_owned() }
}

/// The name of what takes the place of another one, as long as both are there.
pub(super) fn new_name(name: &str) -> String {
    const SUFFIX: &str = "_new";
    let mut end = name.len().min(LONGEST - SUFFIX.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{SUFFIX}", name.get(..end).unwrap_or_default())
}

/// The index that a changed key or index can have from the expand on, and that the contract takes over: the new version looks
/// for rows by it, and `ON CONFLICT` needs it.
pub(crate) fn ahead(change: &Change) -> Option<Change> {
    let (table, name, index) = match change {
        Change::Constraint {
            table,
            name,
            from,
            to: Some(to),
        } => {
            let waiting = waiting_name(name, from.is_some());
            (table, waiting.clone(), index_of(to, table, &waiting)?)
        }
        Change::Index {
            table,
            name,
            from: Some(_),
            to: Some(to),
        } => {
            let waiting = waiting_name(name, true);
            let definition = under_name(&to.definition, name, &waiting)?;
            let unique = to.unique;
            (table, waiting, Index { definition, unique })
        }
        _ => return None,
    };
    Some(Change::Index {
        table: table.clone(),
        name,
        from: None,
        to: Some(index),
    })
}

/// Whether one takes the other's place: a key that of a unique index, or the other way round. Then no moment is without.
pub(crate) fn succeeds(gone: &Change, comes: &Change) -> bool {
    match (gone, comes) {
        (
            Change::Index {
                table,
                from: Some(index),
                to: None,
                ..
            },
            Change::Constraint {
                table: of,
                to: Some(one),
                ..
            },
        ) => table == of && Key::of(one).is_some_and(|key| key.is_on(table, index)),
        // Both cannot have one name at a time.
        (
            Change::Constraint {
                table,
                name,
                from: Some(one),
                to: None,
            },
            Change::Index {
                table: of,
                name: index_name,
                to: Some(index),
                ..
            },
        ) => table == of && name != index_name && Key::of(one).is_some_and(|key| key.is_on(table, index)),
        _ => false,
    }
}

/// An index's definition under another name.
pub(super) fn under_name(definition: &str, from: &str, to: &str) -> Option<String> {
    for head in ["CREATE UNIQUE INDEX ", "CREATE INDEX "] {
        let Some(rest) = definition.strip_prefix(head) else {
            continue;
        };
        let rest = rest
            .strip_prefix(&quoted(from))
            .or_else(|| rest.strip_prefix(from))?;
        return rest
            .starts_with(" ON ")
            .then(|| format!("{head}{}{rest}", quoted(to)));
    }
    None
}

/// An index of a key, as the server writes it.
fn index_of(one: &Constraint, table: &TableName, name: &str) -> Option<Index> {
    let definition = Key::of(one)?.index(table, name).replacen(" CONCURRENTLY", "", 1);
    Some(Index {
        definition,
        unique: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TableName {
        TableName::parse("t")
    }

    fn unique(definition: &str) -> Constraint {
        let kind = match definition.starts_with("PRIMARY") {
            true => ConstraintKind::PrimaryKey,
            false => ConstraintKind::Unique,
        };
        Constraint {
            kind,
            definition: definition.to_owned(),
        }
    }

    #[test]
    fn a_key_is_an_index_and_what_takes_it_over() {
        for (definition, index, adopt) in [
            ("UNIQUE (a, b)", "(a, b)", "UNIQUE USING INDEX \"i\""),
            ("PRIMARY KEY (a)", "(a)", "PRIMARY KEY USING INDEX \"i\""),
            (
                "UNIQUE NULLS NOT DISTINCT (a) INCLUDE (b)",
                "(a) INCLUDE (b) NULLS NOT DISTINCT",
                "UNIQUE USING INDEX \"i\"",
            ),
            (
                "UNIQUE (a) DEFERRABLE INITIALLY DEFERRED",
                "(a)",
                "UNIQUE USING INDEX \"i\" DEFERRABLE INITIALLY DEFERRED",
            ),
        ] {
            let one = unique(definition);
            let key = Key::of(&one).unwrap();
            let built = format!("CREATE UNIQUE INDEX CONCURRENTLY \"i\" ON \"t\" {index}");
            assert_eq!(key.index(&table(), "i"), built);
            assert_eq!(key.adopt("k", "i"), format!("ADD CONSTRAINT \"k\" {adopt}"));
            assert!(key.is_on(&table(), &index_of(&one, &table(), "i").unwrap()));
        }
        for definition in [
            "UNIQUE (a) WITH (fillfactor='70')",
            "UNIQUE (a, b WITHOUT OVERLAPS)",
        ] {
            assert!(Key::of(&unique(definition)).is_none(), "{definition}");
        }
    }

    #[test]
    fn a_key_stands_on_an_index_of_its_columns_alone() {
        let one = unique("UNIQUE (a)");
        let key = Key::of(&one).unwrap();
        for (definition, expected) in [
            ("CREATE UNIQUE INDEX i ON public.t USING btree (a)", true),
            ("CREATE UNIQUE INDEX i ON public.t USING btree (b, a)", false),
            (
                "CREATE UNIQUE INDEX i ON public.t USING btree (b) INCLUDE (a)",
                false,
            ),
            (
                "CREATE UNIQUE INDEX i ON public.t USING btree (a) WHERE (a > 1)",
                false,
            ),
            ("CREATE INDEX i ON public.t USING hash (a)", false),
        ] {
            let index = Index {
                definition: definition.to_owned(),
                unique: definition.contains("UNIQUE"),
            };
            assert_eq!(key.is_on(&table(), &index), expected, "{definition}");
        }
    }

    #[test]
    fn names_for_the_time_between_are_whole() {
        assert_eq!(new_name("by_mail"), "by_mail_new");
        let long = new_name(&"ä".repeat(31));
        assert!(long.len() <= LONGEST && long.ends_with("ä_new"), "{long}");
        for (definition, expected) in [
            (
                "CREATE INDEX a ON public.a USING btree (a)",
                Some("CREATE INDEX \"n\" ON public.a USING btree (a)"),
            ),
            (
                "CREATE UNIQUE INDEX \"a\" ON t (a)",
                Some("CREATE UNIQUE INDEX \"n\" ON t (a)"),
            ),
            ("CREATE INDEX ab ON t (a)", None),
        ] {
            assert_eq!(
                under_name(definition, "a", "n").as_deref(),
                expected,
                "{definition}"
            );
        }
    }

    #[test]
    fn what_guards_the_same_columns_succeeds() {
        let index = Index {
            definition: "CREATE UNIQUE INDEX i ON public.t USING btree (a)".to_owned(),
            unique: true,
        };
        let gone = |name: &str| Change::Constraint {
            table: table(),
            name: name.to_owned(),
            from: Some(unique("UNIQUE (a)")),
            to: None,
        };
        let comes = Change::Index {
            table: table(),
            name: "i".to_owned(),
            from: None,
            to: Some(index),
        };
        assert!(succeeds(&gone("k"), &comes));
        assert!(succeeds(&comes.inverse(), &gone("k").inverse()));
        assert!(!succeeds(&gone("i"), &comes), "one name cannot be of both");
        assert!(!succeeds(&comes, &gone("k")));
    }
}
