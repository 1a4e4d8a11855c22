//! The changes that need two versions to live together, each as the whole set of its files. Pure.

use cutover_model::{Diagnostic, MigrationPhase, Version};
use cutover_sql::catalog::{Catalog, Change, Column, renamed, statements};
use cutover_sql::{Dialect, TableName, quoted};

use crate::draft::{Draft, Rename, backfill, held, moved, mysql, postgres};

/// `users.full_name:first_name,last_name`: one column becomes several, or several one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Whose.
    pub table: TableName,
    /// Before.
    pub from: String,
    /// Afterwards.
    pub to: Vec<String>,
}

/// `users.age:age_years:bigint`: a column of another type, under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retype {
    /// Which column becomes which.
    pub rename: Rename,
    /// Its type.
    pub ty: String,
}

/// `users.email`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnName {
    /// Whose.
    pub table: TableName,
    /// Its name.
    pub name: String,
}

/// What is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Other names for columns.
    Rename(Vec<Rename>),
    /// Several columns instead of one.
    Split(Split),
    /// Another type.
    Retype(Retype),
    /// A column that is never NULL again.
    NotNull(ColumnName),
}

impl std::str::FromStr for ColumnName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .rsplit_once('.')
            .filter(|(table, name)| !table.is_empty() && !name.is_empty());
        let (table, name) =
            parts.ok_or_else(|| format!("`{text}` is not TABLE.COLUMN, such as users.email"))?;
        Ok(Self {
            table: TableName::parse(table),
            name: name.to_owned(),
        })
    }
}

impl std::str::FromStr for Split {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not TABLE.OLD:NEW,NEW, such as users.full_name:first_name,last_name");
        let (old, new) = text.split_once(':').ok_or_else(wrong)?;
        let old: ColumnName = old.parse().map_err(|_| wrong())?;
        let to: Vec<String> = new.split(',').map(str::to_owned).collect();
        if to.len() < 2 || to.iter().any(String::is_empty) {
            return Err(wrong());
        }
        Ok(Self {
            table: old.table,
            from: old.name,
            to,
        })
    }
}

impl std::str::FromStr for Retype {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not TABLE.OLD:NEW:TYPE, such as users.age:age_years:bigint");
        let (rename, ty) = text
            .rsplit_once(':')
            .filter(|(_, ty)| !ty.trim().is_empty())
            .ok_or_else(wrong)?;
        Ok(Self {
            rename: rename.parse().map_err(|_| wrong())?,
            ty: ty.to_owned(),
        })
    }
}

/// The files for it.
///
/// # Errors
/// When there is no such table or column, or the new one is there already.
pub fn drafts_for(
    dialect: Dialect,
    from: &Catalog,
    wish: &Wish,
    retires: &Version,
) -> Result<Vec<Draft>, Diagnostic> {
    match wish {
        Wish::Rename(renames) => {
            let mut out = Vec::new();
            for rename in renames {
                let old = going(dialect, from, &rename.table, &rename.from)?;
                free(dialect, from, &rename.table, &rename.to)?;
                let new = Column {
                    name: rename.to.clone(),
                    extra: own_renamed(dialect, old, &rename.to),
                    ..old.clone()
                };
                let by = (vec![dialect.quoted(&rename.from)], dialect.quoted(&rename.to));
                out.extend(moved(dialect, from, &rename.table, old, &[new], by, retires));
            }
            Ok(out)
        }
        Wish::Retype(retype) => {
            let Rename { table, from: old, to } = &retype.rename;
            let old = going(dialect, from, table, old)?;
            free(dialect, from, table, to)?;
            let new = Column {
                name: to.clone(),
                ty: retype.ty.clone(),
                default: None,
                extra: own_renamed(dialect, old, to),
                ..old.clone()
            };
            if dialect == Dialect::Postgres && held::INCOMPARABLE.contains(&retype.ty.as_str()) {
                return Err(refuse(format!(
                    "PostgreSQL compares no two values of {}, so that nobody can tell whether {table}.{} and {to} agree",
                    retype.ty, old.name
                )));
            }
            let cast = |name: &str, ty: &str| match dialect {
                Dialect::Mysql | Dialect::MariaDb => mysql::cast(&dialect.quoted(name), ty),
                Dialect::Postgres | Dialect::Sqlite | Dialect::MongoDb => {
                    format!("CAST({} AS {ty})", quoted(name))
                }
            };
            let by = (vec![cast(&old.name, &retype.ty)], cast(to, &old.ty));
            Ok(moved(dialect, from, table, old, &[new], by, retires))
        }
        Wish::Split(split) => {
            let old = going(dialect, from, &split.table, &split.from)?;
            let mut new = Vec::new();
            for name in &split.to {
                free(dialect, from, &split.table, name)?;
                new.push(Column {
                    name: name.clone(),
                    ty: old.ty.clone(),
                    not_null: false,
                    default: None,
                    extra: None,
                    comment: None,
                });
            }
            let by = at_blanks(dialect, &old.name, &split.to);
            Ok(moved(dialect, from, &split.table, old, &new, by, retires))
        }
        Wish::NotNull(name) => not_null(dialect, from, name, retires),
    }
}

/// What else stands in a column's definition, for the column that takes its place: a check of its own names it.
fn own_renamed(dialect: Dialect, old: &Column, to: &str) -> Option<String> {
    let extra = old.extra.as_deref()?;
    Some(renamed(dialect, extra, &old.name, to).unwrap_or_else(|| extra.to_owned()))
}

/// Refuses to give columns another name that the server itself gives their values: two versions cannot write them in turn.
///
/// # Errors
/// When one of them is such a column.
pub fn renamable(dialect: Dialect, from: &Catalog, renames: &[Rename]) -> Result<(), Diagnostic> {
    for Rename {
        table, from: name, ..
    } in renames
    {
        if let Some(why) = held::valued_by_server(dialect, column(from, table, name)?) {
            return Err(refuse(format!("{table}.{name} cannot go: {why}")));
        }
    }
    Ok(())
}

/// A start that works for words with a blank between; what it should be is the author's to say.
fn at_blanks(dialect: Dialect, old: &str, new: &[String]) -> (Vec<String>, String) {
    let old = dialect.quoted(old);
    let position = if dialect == Dialect::Postgres {
        "strpos"
    } else {
        "instr"
    };
    let joined = |parts: &[String]| {
        if dialect.is_mysql() {
            format!("concat({})", parts.join(", "))
        } else {
            parts.join(" || ")
        }
    };
    let padded = |text: &str| joined(&[text.to_owned(), "' '".to_owned()]);
    let mut up = Vec::new();
    let mut rest = old;
    for at in 0..new.len() {
        if at + 1 == new.len() {
            up.push(format!("nullif({rest}, '')"));
        } else {
            let padded = padded(&rest);
            up.push(format!(
                "nullif(substr({rest}, 1, {position}({padded}, ' ') - 1), '')"
            ));
            rest = format!("substr({rest}, {position}({padded}, ' ') + 1)");
        }
    }
    let mut parts: Vec<String> = Vec::new();
    for name in new {
        if !parts.is_empty() {
            parts.push("' '".to_owned());
        }
        parts.push(format!("coalesce({}, '')", dialect.quoted(name)));
    }
    (up, format!("nullif(trim({}), '')", joined(&parts)))
}

fn not_null(
    dialect: Dialect,
    from: &Catalog,
    name: &ColumnName,
    retires: &Version,
) -> Result<Vec<Draft>, Diagnostic> {
    let ColumnName { table, name } = name;
    let old = column(from, table, name)?;
    if old.not_null {
        return Err(refuse(format!("{table}.{name} is NOT NULL already")));
    }
    let stand_in = match dialect {
        Dialect::Mysql | Dialect::MariaDb => mysql::stand_in(dialect, old),
        Dialect::Postgres | Dialect::Sqlite | Dialect::MongoDb => None,
    };
    let value = old.default.as_deref().or(stand_in.as_deref()).unwrap_or("''");
    let fill = backfill::filled(dialect, from, table, name, value);
    let change = Change::Column {
        table: table.clone(),
        from: Some(old.clone()),
        to: Some(Column {
            not_null: true,
            ..old.clone()
        }),
    };
    let after = from.clone().with(&change);
    let (up, transaction) = if dialect == Dialect::Postgres {
        (postgres::not_null(table, name), false)
    } else {
        (statements(dialect, from, std::slice::from_ref(&change)), true)
    };
    let contract = Draft {
        suffix: "contract",
        phase: MigrationPhase::Contract,
        transaction,
        directives: vec![format!("retires={retires}")],
        about: format!("{table}.{name} is never NULL again"),
        up,
        down: statements(dialect, &after, &[change.inverse()]),
    };
    Ok(vec![fill, contract])
}

fn column<'a>(from: &'a Catalog, table: &TableName, name: &str) -> Result<&'a Column, Diagnostic> {
    let found = from.tables.get(table).ok_or_else(|| {
        let known: Vec<String> = from.tables.keys().map(ToString::to_string).collect();
        refuse(format!("the migrations make no table {table}")).note("known", known.join(", "))
    })?;
    found.column(name).ok_or_else(|| {
        let known: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
        refuse(format!("table {table} has no column {name}")).note("known", known.join(", "))
    })
}

/// A column that is to go in the end. What holds it would be found by the contract only, when the old version is gone.
fn going<'a>(
    dialect: Dialect,
    from: &'a Catalog,
    table: &TableName,
    name: &str,
) -> Result<&'a Column, Diagnostic> {
    let found = column(from, table, name)?;
    match held::held_by(dialect, from, table, found) {
        Some(why) => Err(refuse(format!("{table}.{name} cannot go: {why}"))),
        None => Ok(found),
    }
}

fn free(dialect: Dialect, from: &Catalog, table: &TableName, name: &str) -> Result<(), Diagnostic> {
    if name.contains([',', '.']) || name.trim() != name {
        return Err(refuse(format!("`{name}` is no name that a directive can hold")));
    }
    let same = |column: &&Column| match dialect {
        Dialect::Postgres => column.name == name,
        // Names that differ in nothing but case are one there.
        _ => column.name.eq_ignore_ascii_case(name),
    };
    let own = from.tables.get(table);
    match own.and_then(|own| own.columns.iter().find(same)) {
        Some(there) => Err(refuse(format!(
            "table {table} has a column {} already",
            there.name
        ))),
        None => Ok(()),
    }
}

fn refuse(message: String) -> Diagnostic {
    Diagnostic::error("migrate.no-such-column", message).help("cutover migrate new --help")
}
