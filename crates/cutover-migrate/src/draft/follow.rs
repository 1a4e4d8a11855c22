//! What comes with a change of the contract, because it stands on it. Pure.

use cutover_sql::catalog::{Catalog, Change, Column, ConstraintKind, renamed};
use cutover_sql::{Dialect, TableName, ticked};

use super::Sets;

impl Sets {
    /// A new view on one that changes in the contract comes with it.
    pub(super) fn follow_views(&mut self, dialect: Dialect) {
        let changed: Vec<String> = self
            .contract
            .iter()
            .filter_map(|change| match change {
                Change::View { name, .. } => Some(name.name.clone()),
                _ => None,
            })
            .collect();
        let follows = |change: &Change| match change {
            Change::View { to: Some(view), .. } => changed
                .iter()
                .any(|name| renamed(dialect, &view.query, name, "").is_some()),
            _ => false,
        };
        self.come_later(follows);
    }

    /// A default of a type that gets other values in the contract comes with it: it may be one of them.
    pub(super) fn follow_types(&mut self, dialect: Dialect) {
        if dialect != Dialect::Postgres {
            return;
        }
        let remade: Vec<TableName> = self
            .contract
            .iter()
            .filter_map(|change| match change {
                Change::Enum { name, .. } => Some(name.clone()),
                _ => None,
            })
            .collect();
        let follows = |change: &Change| match change {
            Change::Column {
                from: Some(_),
                to: Some(to),
                ..
            } => remade.iter().any(|name| {
                let own = to.ty.trim_end_matches("[]");
                own == name.name || own == name.to_string() || own == name.sql()
            }),
            _ => false,
        };
        self.come_later(follows);
    }

    fn come_later(&mut self, follows: impl Fn(&Change) -> bool) {
        let all = std::mem::take(&mut self.expand);
        let (later, now): (Vec<Change>, Vec<Change>) = all.into_iter().partition(follows);
        self.expand = now;
        self.contract.extend(later);
    }

    /// An index of a column that only the contract adds comes with it, and so does what is computed from one that gets another
    /// type there, and an index that wants its column to be never NULL.
    pub(super) fn follow_columns(&mut self, dialect: Dialect) {
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for change in &self.contract {
            if let Change::Column {
                table,
                from,
                to: Some(column),
            } = change
            {
                let own: (TableName, String) = (table.clone(), column.name.clone());
                match from {
                    None => added.push(own),
                    Some(_) => changed.push(own),
                }
            }
        }
        let names = |all: &[(TableName, String)], of: &TableName, text: &str| {
            all.iter()
                .any(|(table, name)| table == of && renamed(dialect, text, name, "").is_some())
        };
        let follows = |change: &Change| match change {
            Change::Index {
                table,
                to: Some(index),
                ..
            } => {
                let text = &index.definition;
                names(&added, table, text) || text.contains(" SPATIAL ") && names(&changed, table, text)
            }
            Change::Column {
                table,
                from: None,
                to: Some(column),
            } => is_computed(dialect, column)
                .is_some_and(|text| names(&added, table, text) || names(&changed, table, text)),
            _ => false,
        };
        self.come_later(follows);
        let all = std::mem::take(&mut self.concurrent);
        let (later, now): (Vec<Change>, Vec<Change>) = all.into_iter().partition(follows);
        self.concurrent = now;
        self.contract.extend(later);
    }

    /// MySQL changes no column that a foreign key names: such a key goes meanwhile.
    pub(super) fn renew_foreign(&mut self, from: &Catalog, to: &Catalog) {
        let retyped: Vec<(TableName, String)> = self
            .contract
            .iter()
            .filter_map(|change| match change {
                Change::Column {
                    table,
                    from: Some(old),
                    to: Some(new),
                } if old.ty != new.ty => Some((table.clone(), new.name.clone())),
                _ => None,
            })
            .collect();
        for (table, own) in &from.tables {
            let keys = own.constraints.iter();
            for (name, one) in keys.filter(|(_, one)| one.kind == ConstraintKind::ForeignKey) {
                let now = to.tables.get(table).and_then(|table| table.constraints.get(name));
                let Some((here, there)) = one
                    .definition
                    .split_once(" REFERENCES ")
                    .filter(|_| now == Some(one))
                else {
                    continue;
                };
                let stands_on = |(of, column): &(TableName, String)| {
                    let column = ticked(column);
                    of == table && here.contains(&column)
                        || there
                            .split_once(" (")
                            .is_some_and(|(other, columns)| other == of.ticked() && columns.contains(&column))
                };
                if retyped.iter().any(stands_on) {
                    self.contract.push(Change::Constraint {
                        table: table.clone(),
                        name: name.clone(),
                        from: Some(one.clone()),
                        to: Some(one.clone()),
                    });
                }
            }
        }
    }
}

/// What a column is computed from.
fn is_computed(dialect: Dialect, column: &Column) -> Option<&str> {
    let extra = column.extra.as_deref()?;
    (dialect == Dialect::Postgres && extra.contains("GENERATED ALWAYS AS (")).then_some(extra)
}
