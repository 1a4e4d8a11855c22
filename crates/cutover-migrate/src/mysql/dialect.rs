//! The history's statements as this server reads them, and its messages read back.

use cutover_sql::{Dialect, outline};

/// How much of a query is shown.
const QUERY_LENGTH: usize = 120;

/// As [`history`](crate::history) makes them elsewhere. A key's text needs a length here; `before_shape` is what the
/// database looked like before a statement that commits by itself.
pub(super) const TABLES: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS {t}cutover_meta (
        id integer NOT NULL PRIMARY KEY, format integer NOT NULL, store varchar(190) NOT NULL,
        generation bigint NOT NULL, retired_below varchar(190)) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS {t}cutover_history (
        number bigint NOT NULL, name varchar(190) NOT NULL, width integer NOT NULL, phase varchar(20) NOT NULL,
        checksum varchar(190) NOT NULL, checksum_raw varchar(190) NOT NULL, applied_at varchar(40) NOT NULL,
        applied_by text NOT NULL, took_ms bigint NOT NULL, `release` varchar(190), upgrade varchar(190),
        complete integer NOT NULL, reopened_at varchar(40),
        PRIMARY KEY (number, name)) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS {t}cutover_statements (
        number bigint NOT NULL, name varchar(190) NOT NULL, direction varchar(10) NOT NULL, ordinal integer NOT NULL,
        checksum varchar(190) NOT NULL, started_at varchar(40) NOT NULL, finished_at varchar(40), took_ms bigint,
        before_shape varchar(190),
        PRIMARY KEY (number, name, direction, ordinal)) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS {t}cutover_log (
        seq bigint NOT NULL PRIMARY KEY, number bigint NOT NULL, name varchar(190) NOT NULL, width integer NOT NULL,
        act varchar(20) NOT NULL, done_at varchar(40) NOT NULL, done_by text NOT NULL, took_ms bigint NOT NULL,
        `release` varchar(190), upgrade varchar(190), detail text)
        ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS {t}cutover_backfills (
        number bigint NOT NULL, name varchar(190) NOT NULL, after_key text NOT NULL, changed_rows bigint NOT NULL,
        PRIMARY KEY (number, name)) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
];

/// A statement of the history in this server's words: parameters by their order (each stands once, in order), its
/// names of types, and its way to overwrite a row.
pub(super) fn translated(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find('?') {
        out.push_str(&rest[..=at]);
        rest = rest[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    for (theirs, ours) in [
        (" AS text)", " AS char)"),
        (" AS bigint)", " AS signed)"),
        (" AS integer)", " AS signed)"),
    ] {
        out = out.replace(theirs, ours);
    }
    if let (Some(start), Some(end)) = (out.find("ON CONFLICT"), out.find("DO UPDATE SET")) {
        out.replace_range(start..end + "DO UPDATE SET".len(), "ON DUPLICATE KEY UPDATE");
        while let Some(at) = out.find("excluded.") {
            let name = at + "excluded.".len();
            let length = out[name..]
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(out.len() - name);
            let column = out[name..name + length].to_owned();
            out.replace_range(at..name + length, &format!("VALUES({column})"));
        }
    }
    // A reserved word here.
    out.replace("release", "`release`")
}

/// A query in one line, without anybody's data.
pub(super) fn outlined(query: &str) -> String {
    outline(Dialect::MariaDb, query, QUERY_LENGTH)
}

/// Where in a statement the server's parser stopped: it quotes the rest from there and says in which line.
pub(super) fn place(message: &str, sql: &str) -> Option<usize> {
    let (_, rest) = message.split_once(" near '")?;
    let (quoted, line) = rest.rsplit_once("' at line ")?;
    let line: usize = line.trim().parse().ok()?;
    let start = if line <= 1 {
        0
    } else {
        sql.match_indices('\n').nth(line - 2)?.0 + 1
    };
    if quoted.is_empty() {
        return Some(sql.len());
    }
    sql.get(start..)?.find(quoted).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histories_statements_are_translated() {
        let sql = "INSERT INTO {t}h (number, name, release) VALUES (CAST(?1 AS bigint), ?2, ?10)
            ON CONFLICT (number, name) DO UPDATE SET name = excluded.name, release = excluded.release";
        assert_eq!(
            translated(sql),
            "INSERT INTO {t}h (number, name, `release`) VALUES (CAST(? AS signed), ?, ?)
            ON DUPLICATE KEY UPDATE name = VALUES(name), `release` = VALUES(`release`)"
        );
    }

    #[test]
    fn the_place_of_a_mistake_is_found() {
        let sql = "CREATE TABLE a (x int);\nINSERT ITNO a VALUES (1)";
        let message = "You have an error in your SQL syntax; check the manual that corresponds to your MariaDB server \
             version for the right syntax to use near 'ITNO a VALUES (1)' at line 2";
        assert_eq!(&sql[place(message, sql).unwrap()..][..4], "ITNO");
        assert_eq!(place("Unknown column 'x'", sql), None);
    }
}
