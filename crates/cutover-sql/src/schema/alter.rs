//! `ALTER TABLE`, folded.

use super::{Schema, Table};
use crate::ddl::{Action, Alter, AlterTable, Column, ConstraintKind, Generated, Name, Position};

impl Schema {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) {
        let mut name = alter.table.clone();
        for Action { what, .. } in &alter.actions {
            match what {
                Alter::RenameTable(to) => {
                    let to = Name {
                        schema: to.schema.clone().or_else(|| name.schema.clone()),
                        name: to.name.clone(),
                    };
                    self.move_table(&name, &to);
                    name = to;
                }
                Alter::SetSchema(schema) => {
                    let to = Name {
                        schema: Some(schema.clone()).filter(|schema| schema != "public"),
                        name: name.name.clone(),
                    };
                    self.move_table(&name, &to);
                    name = to;
                }
                Alter::Attach { partition, .. } => {
                    if let Some(table) = self.tables.get_mut(partition) {
                        table.parent = Some(name.clone());
                    }
                }
                Alter::Detach { partition, .. } => {
                    if let Some(table) = self.tables.get_mut(partition) {
                        table.parent = None;
                    }
                }
                // What is added to a table that the text does not make is all that is known of it.
                Alter::AddColumn { .. } | Alter::AddConstraint(_) | Alter::AddIndex(_) => self
                    .tables
                    .entry(name.clone())
                    .or_insert_with(|| Table::unknown(name.clone()))
                    .alter(what),
                _ => {
                    if let Some(table) = self.tables.get_mut(&name) {
                        table.alter(what);
                    }
                }
            }
        }
    }

    fn move_table(&mut self, from: &Name, to: &Name) {
        if let Some(table) = self.tables.remove(from) {
            self.put_renamed(table, from, to);
        }
    }

    pub(super) fn put_renamed(&mut self, mut table: Table, from: &Name, to: &Name) {
        table.name = to.clone();
        // Foreign keys and partitions follow a table to its new name.
        for other in self.tables.values_mut() {
            if other.parent.as_ref() == Some(from) {
                other.parent = Some(to.clone());
            }
            for one in &mut other.constraints {
                if let ConstraintKind::ForeignKey { references, .. } = &mut one.constraint.kind
                    && references.table == *from
                {
                    references.table = to.clone();
                }
            }
        }
        self.tables.insert(to.clone(), table);
    }
}

impl Table {
    fn alter(&mut self, what: &Alter) {
        match what {
            Alter::AddColumn {
                column,
                if_not_exists,
                position,
            } => {
                if *if_not_exists && self.column(&column.name).is_some() {
                    return;
                }
                self.put((**column).clone(), position.as_ref());
                self.add_inline(column);
            }
            Alter::DropColumn { name, .. } => self.drop_column(name),
            Alter::RenameColumn { from, to } => self.rename_column(from, to),
            Alter::SetType { column, ty, .. } => {
                self.with(column, |column| column.ty = Some(ty.clone()));
            }
            Alter::Modify {
                old,
                column,
                position,
            } => {
                if *old != column.name {
                    self.rename_column(old, &column.name);
                }
                let at = self.columns.iter().position(|one| one.name == column.name);
                let mut new = (**column).clone();
                // A key stays one, whether or not it is repeated.
                if self.primary_key().is_some_and(|key| key.contains(&new.name)) {
                    new.not_null = true;
                }
                if let Some(at) = at {
                    self.columns.remove(at);
                    if position.is_none() {
                        self.columns.insert(at, new);
                    } else {
                        self.put(new, position.as_ref());
                    }
                }
            }
            Alter::SetNotNull(name) => self.with(name, |column| column.not_null = true),
            Alter::DropNotNull(name) => self.with(name, |column| column.not_null = false),
            Alter::SetDefault(name, value) => self.with(name, |column| column.default = Some(value.clone())),
            Alter::DropDefault(name) => self.with(name, |column| column.default = None),
            Alter::DropExpression(name) => self.with(name, |column| column.generated = None),
            Alter::SetExpression(name) => self.with(name, |column| {
                // Its new text is not kept by the facts; that it is computed is.
                column.generated.get_or_insert_with(|| Generated {
                    expr: crate::ddl::Expr::default(),
                    stored: true,
                });
            }),
            Alter::AddIdentity(name) => self.with(name, |column| column.identity = true),
            Alter::ColumnVisibility(name, invisible) => {
                self.with(name, |column| column.invisible = *invisible);
            }
            Alter::SetGenerated(name, always) => self.with(name, |column| column.always = *always),
            Alter::DropIdentity(name) => self.with(name, |column| column.identity = false),
            Alter::AddConstraint(constraint) => self.add_constraint((**constraint).clone()),
            Alter::AddIndex(index) => self.indexes.push((**index).clone()),
            Alter::DropIndex(name) => {
                self.indexes
                    .retain(|index| index.name.as_ref().is_none_or(|own| own.name != *name));
                self.constraints.retain(|one| {
                    !(one.constraint.name.as_deref() == Some(name)
                        && matches!(one.constraint.kind, ConstraintKind::Unique { .. }))
                });
            }
            Alter::RenameIndex(from, to) => {
                for index in &mut self.indexes {
                    if index.name.as_ref().is_some_and(|own| own.name == *from) {
                        index.name = Some(Name::plain(to.clone()));
                    }
                }
            }
            Alter::IndexVisibility(name, invisible) => {
                for index in &mut self.indexes {
                    if index.name.as_ref().is_some_and(|own| own.name == *name) {
                        index.invisible = *invisible;
                    }
                }
            }
            Alter::DropConstraint { name, .. } => self
                .constraints
                .retain(|one| one.constraint.name.as_deref() != Some(name)),
            Alter::DropPrimaryKey => self
                .constraints
                .retain(|one| !matches!(one.constraint.kind, ConstraintKind::PrimaryKey { .. })),
            Alter::Validate(name) => {
                for one in &mut self.constraints {
                    if one.constraint.name.as_deref() == Some(name) {
                        one.validated = true;
                    }
                }
            }
            Alter::RenameConstraint(from, to) => {
                for one in &mut self.constraints {
                    if one.constraint.name.as_deref() == Some(from) {
                        one.constraint.name = Some(to.clone());
                    }
                }
            }
            Alter::ConvertCharset(charset) => {
                self.charset = Some(charset.clone());
                for ty in self.columns.iter_mut().filter_map(|column| column.ty.as_mut()) {
                    ty.charset = None;
                }
            }
            Alter::Engine(engine) => self.engine = Some(engine.clone()),
            _ => {}
        }
    }

    fn with(&mut self, name: &str, change: impl FnOnce(&mut Column)) {
        if let Some(column) = self.column_mut(name) {
            change(column);
        }
    }

    fn put(&mut self, column: Column, position: Option<&Position>) {
        let at = match position {
            Some(Position::First) => 0,
            Some(Position::After(name)) => self
                .columns
                .iter()
                .position(|one| one.name == *name)
                .map_or(self.columns.len(), |at| at + 1),
            None => self.columns.len(),
        };
        self.columns.insert(at, column);
    }

    fn drop_column(&mut self, name: &str) {
        self.columns.retain(|column| column.name != name);
        self.indexes
            .retain(|index| !index.columns.iter().any(|column| column == name));
        self.constraints.retain(|one| match &one.constraint.kind {
            ConstraintKind::PrimaryKey { columns, .. }
            | ConstraintKind::Unique { columns, .. }
            | ConstraintKind::ForeignKey { columns, .. } => !columns.iter().any(|column| column == name),
            ConstraintKind::Check(expr) => !super::table::mentions(&expr.text, name),
            ConstraintKind::NotNull(column) => column != name,
            ConstraintKind::Exclude => true,
        });
    }

    fn rename_column(&mut self, from: &str, to: &str) {
        self.with(from, |column| to.clone_into(&mut column.name));
        let rename = |columns: &mut Vec<String>| {
            for column in columns.iter_mut().filter(|column| *column == from) {
                to.clone_into(column);
            }
        };
        for index in &mut self.indexes {
            rename(&mut index.columns);
        }
        for one in &mut self.constraints {
            match &mut one.constraint.kind {
                ConstraintKind::PrimaryKey { columns, .. }
                | ConstraintKind::Unique { columns, .. }
                | ConstraintKind::ForeignKey { columns, .. } => rename(columns),
                ConstraintKind::NotNull(column) if column == from => to.clone_into(column),
                ConstraintKind::Check(_) | ConstraintKind::NotNull(_) | ConstraintKind::Exclude => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Dialect, Schema, read, split};

    fn fold(dialect: Dialect, source: &str) -> Schema {
        let mut schema = Schema::new();
        for statement in split(dialect, source).unwrap() {
            schema.apply(&read(dialect, &statement.text));
        }
        schema
    }

    fn shape(schema: &Schema, table: &str) -> String {
        let table = &schema.tables[&crate::ddl::Name::plain(table)];
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| {
                let ty = column.ty.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("{} {ty}{}", column.name, if column.not_null { "!" } else { "" })
            })
            .collect();
        columns.join(", ")
    }

    #[test]
    fn earlier_migrations_make_the_schema() {
        let schema = fold(
            Dialect::Postgres,
            "CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name character varying(20),
                 at timestamp(3) with time zone DEFAULT now(), org int4 REFERENCES orgs);
             CREATE INDEX by_name ON public.users (lower(name), at DESC);
             ALTER TABLE users ADD CONSTRAINT named CHECK (name IS NOT NULL) NOT VALID;
             ALTER TABLE users VALIDATE CONSTRAINT named;
             ALTER TABLE users ALTER name SET NOT NULL, DROP CONSTRAINT named, RENAME COLUMN org TO team;
             ALTER TABLE users RENAME TO people;",
        );
        assert_eq!(
            shape(&schema, "people"),
            "id bigint!, name varchar(20)!, at timestamptz(3), team integer"
        );
        let people = &schema.tables[&crate::ddl::Name::plain("people")];
        assert_eq!(people.indexes[0].columns, ["lower ( name )", "at"]);
        assert!(people.constraint("named").is_none() && people.has_index_on("name"));
        assert!(
            people
                .constraint("users_org_fkey")
                .is_some_and(|one| one.validated)
        );
    }

    #[test]
    fn mysql_defines_columns_anew() {
        let schema = fold(
            Dialect::Mysql,
            "CREATE TABLE `Users` (id INT UNSIGNED NOT NULL AUTO_INCREMENT, a varchar(20) CHARACTER SET latin1 DEFAULT 'x',
                 e ENUM('a','b'), PRIMARY KEY (id), KEY ka (a(10)), UNIQUE KEY ue (e)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
             ALTER TABLE users MODIFY a text NOT NULL AFTER e, CHANGE e f ENUM('a','b','c') FIRST, ADD (g int, h int),
                 DROP INDEX ka, ALGORITHM=INPLACE, LOCK=NONE;
             RENAME TABLE users TO old, new TO users;",
        );
        assert_eq!(
            shape(&schema, "old"),
            "f enum('a', 'b', 'c'), id int unsigned!, a text!, g int, h int"
        );
    }

    #[test]
    fn sqlite_types_are_free() {
        let schema = fold(
            Dialect::Sqlite,
            "CREATE TABLE [t] (a, b unsigned big int NOT NULL, c TEXT COLLATE nocase, PRIMARY KEY (a)) STRICT;
             ALTER TABLE t ADD d DEFAULT (1 + 2); ALTER TABLE t DROP COLUMN c;",
        );
        assert_eq!(shape(&schema, "t"), "a !, b unsigned big int!, d ");
    }
}
