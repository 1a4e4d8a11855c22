//! What the name of a file says of it. Pure.

use cutover_model::{Diagnostic, MigrationId};
use cutover_sql::{Dialect, locate};

/// `004_full_name.up.sql`, or Flyway's `V4__full_name.sql`, `U4__full_name.sql` and `R__views.sql` → its identity and
/// whether it is the up file. Commands have names of the first kind: `004_full_name.up.json`.
pub(crate) fn file_name(name: &str, dialect: Dialect) -> Option<(MigrationId, bool)> {
    let (stem, extension) = name.rsplit_once('.')?;
    if extension != dialect.extension() {
        return None;
    }
    let is_flyways = dialect != Dialect::MongoDb;
    let (digits, rest, is_up) = if let Some(rest) = stem.strip_prefix("R__").filter(|_| is_flyways) {
        return is_name(rest).then(|| {
            let id = MigrationId {
                number: MigrationId::REPEATABLE,
                name: rest.to_owned(),
                width: 0,
            };
            (id, true)
        });
    } else if let Some(version) = stem.strip_prefix(['V', 'U']).filter(|_| is_flyways) {
        let (digits, rest) = version.split_once("__")?;
        (digits, rest, stem.starts_with('V'))
    } else {
        let (stem, is_up) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
            (Some(stem), _) => (stem, true),
            (None, Some(stem)) => (stem, false),
            (None, None) => return None,
        };
        let (digits, rest) = stem.split_once('_')?;
        (digits, rest, is_up)
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || !is_name(rest) {
        return None;
    }
    let id = MigrationId {
        number: digits.parse().ok()?,
        name: rest.to_owned(),
        width: u8::try_from(digits.len()).ok()?,
    };
    // Numbers are kept as 64-bit integers by both databases, and the largest is taken.
    (id.number < MigrationId::REPEATABLE).then_some((id, is_up))
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.chars().all(is_part)
}

pub(super) fn bad_name(name: &str, dialect: Dialect) -> Diagnostic {
    let such = match dialect {
        Dialect::MongoDb => "004_full_name.up.json, which holds commands of MongoDB",
        _ => "004_full_name.up.sql or V4__full_name.sql",
    };
    let found = Diagnostic::error(
        "migrate.bad-name",
        format!("`{name}` is not the name of a migration file such as {such}"),
    )
    .at(locate(name, "", 0, 0));
    let version = name
        .strip_prefix(['V', 'U'])
        .and_then(|rest| rest.split_once("__"));
    let parts = version.filter(|(version, _)| version.contains(['.', '_']));
    let found = match parts {
        Some((version, _)) => found.note(
            "version",
            format!("{version} has several parts; a number here is a whole one, and may be a moment"),
        ),
        None => found,
    };
    found.help("cutover migrate new NAME")
}
