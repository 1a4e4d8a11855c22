//! What a change of a column's type costs, and whether values fit.

use super::look::Look;
use crate::Dialect;
use crate::ddl::{Expr, Name, TypeName};

/// What PostgreSQL does when a column changes its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Only the catalogue is written.
    Metadata,
    /// A CHECK on the column is tried on every row.
    Checked(String),
    /// Its indexes are built anew.
    Indexes,
    /// The table is written anew; what it was.
    Rewrite(TypeName),
    /// The schema does not tell.
    Unknown,
}

pub(super) fn change(
    look: &Look<'_>,
    table: &Name,
    column: &str,
    to: &TypeName,
    using: Option<&Expr>,
) -> Change {
    let Some(from) = look.column(table, column).and_then(|known| known.ty.as_ref()) else {
        return Change::Unknown;
    };
    if using.is_some_and(|using| !is_plain_cast(&using.text, column)) {
        return Change::Rewrite(from.clone());
    }
    if from == to {
        return Change::Metadata;
    }
    // A domain without constraints is stored as what it stands on.
    let target = match base(look, to) {
        Some((_, true)) => return Change::Rewrite(from.clone()),
        Some((base, false)) => base,
        None => to.clone(),
    };
    let domain = base(look, from);
    let of_domain = domain.is_some();
    // How long values of a domain may be, PostgreSQL does not ask.
    let source = domain.map_or_else(
        || from.clone(),
        |(base, _)| TypeName {
            args: Vec::new(),
            members: Vec::new(),
            ..base
        },
    );
    let utc = look.since(12, 0, 0) && look.state.setting("timezone").is_some_and(is_utc);
    if !keeps_storage(&source, &target, utc) {
        return Change::Rewrite(from.clone());
    }
    let Some(known) = look.table(table) else {
        return Change::Metadata;
    };
    // A CHECK is parsed for the new type and tried again; IS NOT NULL is too.
    if let Some(check) = known.checks_on(column).find(|one| one.validated) {
        return Change::Checked(check.constraint.name.clone().unwrap_or_default());
    }
    let collates = source.collation != target.collation && target.collation.is_some();
    let other_order = collates
        || order(&source.name) != order(&target.name)
        || (source.dimensions > 0 && of_domain != base(look, to).is_some());
    if other_order && known.has_index_on(column) {
        return Change::Indexes;
    }
    Change::Metadata
}

fn is_utc(zone: &str) -> bool {
    matches!(
        zone,
        "utc" | "etc/utc" | "gmt" | "etc/gmt" | "uct" | "zulu" | "0" | "universal" | "+00" | "+00:00"
    )
}

/// `column`, `column::type`, `CAST(column AS type)`: what PostgreSQL would write itself.
fn is_plain_cast(using: &str, column: &str) -> bool {
    let bare = using.replace(['"', '(', ')'], "");
    let mut words = bare.split_whitespace();
    match words.next() {
        Some("cast") => words.next() == Some(column) && words.next() == Some("as"),
        Some(first) if first == column => matches!(words.next(), None | Some("::")),
        _ => false,
    }
}

/// What a domain stands on in the end, and whether it or one that it stands on has constraints.
fn base(look: &Look<'_>, ty: &TypeName) -> Option<(TypeName, bool)> {
    let find = |ty: &TypeName| {
        let name = match ty.name.split_once('.') {
            Some((schema, name)) => Name {
                schema: Some(schema.to_owned()),
                name: name.to_owned(),
            },
            None => Name::plain(ty.name.clone()),
        };
        look.state.schema.domains.get(&name).cloned()
    };
    if ty.dimensions > 0 {
        return None;
    }
    let (mut base, mut constrained) = find(ty)?;
    // A text may make domains stand on each other in a circle.
    for _ in 0..8 {
        let Some((next, also)) = find(&base).filter(|_| base.dimensions == 0) else {
            break;
        };
        base = next;
        constrained |= also;
    }
    Some((base, constrained))
}

/// By what an index sorts a type: one operator class serves several types (measured on PostgreSQL 15).
fn order(name: &str) -> &str {
    match name {
        "varchar" => "text",
        "bpchar" => "char",
        "cidr" => "inet",
        name if is_object(name) => "oid",
        name => name,
    }
}

/// `oid` and the types that show one by a name.
fn is_object(name: &str) -> bool {
    matches!(
        name,
        "oid" | "regclass" | "regtype" | "regproc" | "regnamespace" | "regrole"
    )
}

/// Whether a value of the one is stored as one of the other is, so that no row is written (measured on PostgreSQL 15).
fn keeps_storage(from: &TypeName, to: &TypeName, utc: bool) -> bool {
    // Elements of an array are converted one by one, unless only a limit goes.
    if from.dimensions > 0 || to.dimensions > 0 {
        let limited = order(&from.name) == order(&to.name) && from.dimensions == to.dimensions;
        let same = from.name == to.name || (from.name == "char" && to.name == "bpchar");
        return from == to || (limited && same && to.args.is_empty() && to.members.is_empty());
    }
    // None is without limit.
    let grows = |at: usize| match (from.arg(at), to.arg(at)) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(from), Some(to)) => to >= from,
    };
    match (from.name.as_str(), to.name.as_str()) {
        ("varchar" | "text" | "citext", "text" | "citext" | "bpchar") => true,
        ("char" | "bpchar", "bpchar") => true,
        ("varchar" | "text" | "citext", "varchar") => {
            (from.name == "varchar" && grows(0)) || to.args.is_empty()
        }
        ("char" | "bit", "char" | "bit") => from.args == to.args && from.name == to.name,
        ("varbit", "varbit") => grows(0),
        ("bit", "varbit") => to.args.is_empty(),
        ("numeric", "numeric") => match (from.args.as_slice(), to.args.as_slice()) {
            (_, []) => true,
            ([], _) => false,
            _ => grows(0) && from.arg(1).unwrap_or(0) == to.arg(1).unwrap_or(0),
        },
        ("timestamp", "timestamp")
        | ("timestamptz", "timestamptz")
        | ("time", "time")
        | ("timetz", "timetz") => finer(from, to),
        ("interval", "interval") => {
            let (before, after) = (least_field(from), least_field(to));
            after <= before && (before > 0 || finer(from, to))
        }
        // A limit is applied anew, unless it is none.
        ("timestamp", "timestamptz") | ("timestamptz", "timestamp") => utc && to.arg(0).unwrap_or(6) >= 6,
        ("cidr", "inet") | ("xml", "text" | "bpchar") => true,
        ("xml", "varchar") => to.args.is_empty(),
        ("integer" | "oid", to) if is_object(to) => true,
        (from, "integer" | "oid") if is_object(from) => true,
        (a, b) => a == b && from.args == to.args,
    }
}

/// The smallest field that an interval keeps, from seconds on: `interval day to second` keeps all.
fn least_field(ty: &TypeName) -> usize {
    let last = ty.members.last().map_or("second", String::as_str);
    ["second", "minute", "hour", "day", "month", "year"]
        .iter()
        .position(|field| *field == last)
        .unwrap_or(0)
}

/// Whether a precision of time is kept; without one it is 6.
fn finer(from: &TypeName, to: &TypeName) -> bool {
    to.arg(0).unwrap_or(6) >= from.arg(0).unwrap_or(6)
}

/// Bytes of an integer type.
fn integer_width(name: &str) -> Option<u8> {
    Some(match name {
        "tinyint" => 1,
        "smallint" | "smallserial" => 2,
        "mediumint" => 3,
        "int" | "integer" | "serial" => 4,
        "bigint" | "bigserial" => 8,
        _ => return None,
    })
}

/// Bytes that a text or binary type may hold, at most, as a power for comparison.
fn blob_width(ty: &TypeName) -> Option<u64> {
    Some(match ty.name.as_str() {
        "tinytext" | "tinyblob" => 255,
        "text" | "blob" => 65_535,
        "mediumtext" | "mediumblob" => 16_777_215,
        "longtext" | "longblob" => u64::from(u32::MAX),
        // Only PostgreSQL has one without a length, and it holds anything.
        "varchar" => ty.arg(0).unwrap_or(u64::MAX),
        "char" | "binary" | "varbinary" => ty.arg(0).unwrap_or(1),
        _ => return None,
    })
}

/// Whether a value that fits the one may not fit the other, where that can be told.
pub(super) fn is_narrower(dialect: Dialect, from: &TypeName, to: &TypeName) -> bool {
    // Without one, PostgreSQL keeps microseconds and MySQL whole seconds.
    let fraction = |ty: &TypeName| {
        ty.arg(0)
            .unwrap_or_else(|| if dialect.is_mysql() { 0 } else { 6 })
    };
    if let (Some(before), Some(after)) = (integer_width(&from.name), integer_width(&to.name)) {
        return after < before || (from.unsigned != to.unsigned && after <= before);
    }
    if from.name == "interval" && to.name == "interval" {
        let (before, after) = (least_field(from), least_field(to));
        return after > before || (after == 0 && before == 0 && fraction(to) < fraction(from));
    }
    if !from.members.is_empty() && from.name == to.name {
        return from.members.iter().any(|one| !to.members.contains(one));
    }
    let shorter = |before: Option<u64>, after: Option<u64>| match (before, after) {
        (None, Some(_)) => true,
        (Some(before), Some(after)) => after < before,
        (_, None) => false,
    };
    match (from.name.as_str(), to.name.as_str()) {
        ("text" | "varchar" | "citext" | "char" | "bpchar", "varchar" | "char") => {
            blob_width(to).unwrap_or(u64::MAX) < blob_width(from).unwrap_or(u64::MAX)
        }
        ("numeric" | "decimal", "numeric" | "decimal") => {
            let whole = |ty: &TypeName| ty.arg(0).map(|all| all.saturating_sub(ty.arg(1).unwrap_or(0)));
            shorter(whole(from), whole(to))
                || (from.arg(1).unwrap_or(0) > to.arg(1).unwrap_or(0) && !to.args.is_empty())
        }
        (
            "numeric" | "decimal" | "double" | "double precision" | "real" | "float",
            "integer" | "bigint" | "smallint" | "int",
        ) => true,
        ("double precision" | "double", "real" | "float") => true,
        ("numeric" | "decimal", "real" | "float" | "double" | "double precision") => true,
        ("timestamp" | "timestamptz" | "datetime", "date" | "time") => true,
        (
            "timestamp" | "timestamptz" | "datetime" | "time" | "timetz" | "interval",
            "timestamp" | "timestamptz" | "datetime" | "time" | "timetz" | "interval",
        ) => fraction(to) < fraction(from),
        ("jsonb" | "json", "text") | ("text", "jsonb" | "json") => false,
        (before, _) if before.ends_with("text") || before.ends_with("blob") => {
            match (blob_width(from), blob_width(to)) {
                (Some(before), Some(after)) => after < before,
                _ => false,
            }
        }
        _ => false,
    }
}
