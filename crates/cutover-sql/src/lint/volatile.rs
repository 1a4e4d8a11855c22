//! Which functions give the same answer for every row of one statement.
//!
//! PostgreSQL evaluates a default of `ADD COLUMN` once and writes no row when nothing in it is volatile. What is not known
//! here is taken for volatile, because that is the side on which an error costs a look and not an outage.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::look::Look;
use crate::ddl::{Expr, Name};

/// The functions of PostgreSQL 15 that are volatile in no overload, sorted: `proname` of those in `pg_catalog` for which
/// `bool_and(provolatile <> 'v')`. A test compares them with a server's.
static STEADY: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| include_str!("steady.txt").split_whitespace().collect());

/// What is no function in the catalogue: words of the grammar, types that convert, functions of later versions, and those of
/// extensions that are often seen (`uuid-ossp`, `pgcrypto`).
const STEADY_TOO: [&str; 28] = [
    "array",
    "coalesce",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "digest",
    "greatest",
    "inet",
    "json",
    "json_array",
    "json_scalar",
    "jsonb",
    "jsonb_array",
    "least",
    "localtime",
    "localtimestamp",
    "nullif",
    "trim",
    "tsvector",
    "user",
    "uuid_generate_v3",
    "uuid_generate_v5",
    "uuid_nil",
    "uuid_ns_dns",
    "uuid_ns_url",
    "xmlelement",
];

/// The first volatile function of an expression, if there is one.
pub(super) fn volatile_call<'a>(look: &Look<'_>, expr: &'a Expr) -> Option<&'a str> {
    expr.calls.iter().map(String::as_str).find(|call| {
        let name = match call.split_once('.') {
            Some((schema, name)) => Name {
                schema: Some(schema.to_owned()).filter(|schema| schema != "public"),
                name: name.to_owned(),
            },
            None => Name::plain(*call),
        };
        match look.state.schema.functions.get(&name) {
            Some(steady) => !steady,
            None => !STEADY.contains(call) && !STEADY_TOO.contains(call),
        }
    })
}
