//! What can be told of a statement from its first words: enough to run it rightly, not a grammar.

use crate::Dialect;
use crate::command::{self, Command};
use crate::lexer::{Kind, Token, tokens};

/// The significant tokens, words in upper case.
fn words(dialect: Dialect, statement: &str, most: usize) -> Vec<String> {
    let Ok(all) = tokens(dialect, statement) else {
        return Vec::new();
    };
    all.iter()
        .filter(|token| token.is_significant())
        .take(most)
        .map(|token| {
            let text = token.text(statement);
            if token.kind == Kind::Word {
                text.to_ascii_uppercase()
            } else {
                text.to_owned()
            }
        })
        .collect()
}

fn first(dialect: Dialect, statement: &str) -> String {
    words(dialect, statement, 1).pop().unwrap_or_default()
}

/// The command and the data of a `COPY … FROM STDIN;` that has its data with it; none for any other statement.
#[must_use]
pub fn copied(dialect: Dialect, statement: &str) -> Option<(&str, &str)> {
    if dialect != Dialect::Postgres || first(dialect, statement) != "COPY" {
        return None;
    }
    let all = tokens(dialect, statement).ok()?;
    let data = all
        .iter()
        .find(|token| token.kind == Kind::Literal && token.text(statement).starts_with(';'))?;
    let command = statement.get(..data.start)?.trim_end();
    let (_, lines) = data.text(statement).split_once('\n')?;
    Some((command, lines.strip_suffix("\\.").unwrap_or(lines)))
}

/// What a `COPY` writes its rows into, as written, without its columns; none where it is no table.
#[must_use]
pub fn copies_into(command: &str) -> Option<&str> {
    let all = tokens(Dialect::Postgres, command).ok()?;
    let ends = |token: &Token| {
        token.kind == Kind::Open
            || (token.kind == Kind::Word && token.text(command).eq_ignore_ascii_case("from"))
    };
    let mut name = all
        .iter()
        .filter(|token| token.is_significant())
        .skip(1)
        .take_while(|token| !ends(token));
    let begin = name.next()?;
    let end = name.last().unwrap_or(begin);
    command.get(begin.start..end.end)
}

/// Whether it is a `COPY … FROM STDIN` whose data are not with it.
#[must_use]
pub fn lacks_data(dialect: Dialect, statement: &str) -> bool {
    dialect == Dialect::Postgres
        && copied(dialect, statement).is_none()
        && copied(dialect, &format!("{statement};\n\\.")).is_some()
}

/// A statement with what ends it in a file: the data of a `COPY` have their own end. Of MongoDB, as its shell runs it.
#[must_use]
pub fn ended(dialect: Dialect, statement: &str) -> String {
    if dialect == Dialect::MongoDb {
        return command::in_shell(statement);
    }
    let end = if copied(dialect, statement).is_some() {
        ""
    } else {
        ";"
    };
    format!("{statement}{end}\n")
}

/// Whether it sends rows to the client: `COPY … TO STDOUT`.
#[must_use]
pub fn sends_rows(dialect: Dialect, statement: &str) -> bool {
    if dialect != Dialect::Postgres || !begins_with(statement, &["COPY"]) {
        return false;
    }
    let Ok(all) = tokens(dialect, statement) else {
        return false;
    };
    let mut depth = 0usize;
    let mut before = "";
    for token in all.iter().filter(|token| token.is_significant()) {
        let text = token.text(statement);
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            // The grammar takes either name for the client.
            Kind::Word if depth == 0 && before.eq_ignore_ascii_case("to") => {
                return text.eq_ignore_ascii_case("stdout") || text.eq_ignore_ascii_case("stdin");
            }
            _ => {}
        }
        before = text;
    }
    false
}

/// How a statement changes whose rights count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleChange {
    /// Until the session ends.
    Session,
    /// Until the transaction ends.
    Local,
}

/// Whether it is a `SET ROLE`, a `SET SESSION AUTHORIZATION`, or takes one back.
#[must_use]
pub fn changes_role(dialect: Dialect, statement: &str) -> Option<RoleChange> {
    if dialect != Dialect::Postgres || !begins_with(statement, &["SET", "RESET"]) {
        return None;
    }
    let all = words(dialect, statement, 4);
    let mut rest: Vec<&str> = all.iter().map(String::as_str).collect();
    let change = match rest.as_slice() {
        ["SET", "LOCAL", ..] => RoleChange::Local,
        _ => RoleChange::Session,
    };
    rest.retain(|word| !matches!(*word, "LOCAL" | "SESSION"));
    matches!(rest.as_slice(), [_, "ROLE" | "AUTHORIZATION", ..]).then_some(change)
}

/// Whether statements that the session has prepared may be gone after it.
#[must_use]
pub fn forgets_prepared(dialect: Dialect, statement: &str) -> bool {
    dialect == Dialect::Postgres && begins_with(statement, &["DEALLOCATE", "DISCARD"])
}

/// Looked at before the whole of it is read.
fn begins_with(statement: &str, words: &[&str]) -> bool {
    let end = statement
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(statement.len());
    let first = &statement[..end];
    words.iter().any(|word| first.eq_ignore_ascii_case(word))
}

/// Whether a semicolon stands in it that separates nothing: it has a body.
#[must_use]
pub fn has_inner_semicolon(dialect: Dialect, statement: &str) -> bool {
    tokens(dialect, statement).is_ok_and(|all| all.iter().any(|token| token.text(statement) == ";"))
}

/// Whether it begins or ends a transaction itself, or changes the one it runs in, which the runner of a migration does.
#[must_use]
pub fn controls_transaction(dialect: Dialect, statement: &str) -> bool {
    if dialect == Dialect::MongoDb {
        return command::controls_transaction(statement);
    }
    let head = words(dialect, statement, 2);
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    match head.as_slice() {
        // A body outside of a routine.
        ["BEGIN", "NOT"] if dialect.is_mysql() => false,
        // A savepoint nests within the runner's transaction.
        ["ROLLBACK", "TO"] => false,
        ["START", "TRANSACTION"] | ["PREPARE", "TRANSACTION"] => true,
        // How the runner's own begins: too late for a level, and read-only it would have no history.
        ["SET", "TRANSACTION"] => dialect == Dialect::Postgres,
        ["SET", "AUTOCOMMIT"] => dialect.is_mysql(),
        [word, ..] => matches!(*word, "BEGIN" | "COMMIT" | "ROLLBACK" | "END" | "ABORT"),
        [] => false,
    }
}

/// Whether it only changes the session, so that it must be said again in a new one.
#[must_use]
pub fn sets_session(dialect: Dialect, statement: &str) -> bool {
    match dialect {
        Dialect::Postgres => matches!(first(dialect, statement).as_str(), "SET" | "RESET"),
        Dialect::Sqlite => matches!(first(dialect, statement).as_str(), "PRAGMA" | "ATTACH" | "DETACH"),
        Dialect::Mysql | Dialect::MariaDb => matches!(first(dialect, statement).as_str(), "SET" | "USE"),
        Dialect::MongoDb => false,
    }
}

/// Whether it does nothing, or fails, or ends the transaction, within one. PostgreSQL says so itself (25001); SQLite
/// ignores some of these silently; MySQL commits what is open before all but the few that it is known not to.
#[must_use]
pub fn outside_transaction(dialect: Dialect, statement: &str) -> bool {
    match dialect {
        Dialect::Postgres => false,
        Dialect::Sqlite => sets_session(dialect, statement) || first(dialect, statement) == "VACUUM",
        Dialect::Mysql | Dialect::MariaDb => !matches!(
            first(dialect, statement).as_str(),
            "INSERT"
                | "UPDATE"
                | "DELETE"
                | "REPLACE"
                | "SELECT"
                | "WITH"
                | "SET"
                | "USE"
                | "DO"
                | "CALL"
                | "LOAD"
                | "VALUES"
        ),
        // Transactions need a replica set, and most commands that change collections cannot be in one.
        Dialect::MongoDb => true,
    }
}

/// Whether the count that the database answers with is one of changed rows.
#[must_use]
pub fn writes_rows(dialect: Dialect, statement: &str) -> bool {
    if dialect == Dialect::MongoDb {
        return matches!(
            command::read(statement),
            Some(Command::Insert { .. } | Command::Update { .. } | Command::Delete { .. })
        );
    }
    matches!(
        first(dialect, statement).as_str(),
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE"
    )
}

/// Whether it is PostgreSQL's kind of change that runs beside the traffic: it waits for older transactions to end, for
/// as long as that takes, but nobody has to wait behind it.
#[must_use]
pub fn concurrently(statement: &str) -> bool {
    words(Dialect::Postgres, statement, 7)
        .iter()
        .any(|word| word == "CONCURRENTLY")
}

/// Whether PostgreSQL does it beside the traffic for as long as a table is large: what is built, or taken away, concurrently, and a
/// constraint that older rows are looked through for.
#[must_use]
pub fn beside_traffic(statement: &str) -> bool {
    let head = words(Dialect::Postgres, statement, 10);
    concurrently(statement) || head.windows(2).any(|two| two == ["VALIDATE", "CONSTRAINT"])
}

/// A name as the database reads it, with its schema where it has one. Words were raised for comparing; PostgreSQL lowers
/// unquoted names anyway.
fn lowered(words: &[&str]) -> Option<String> {
    let name = |word: &str| {
        if word.starts_with('"') {
            word.to_owned()
        } else {
            word.to_lowercase()
        }
    };
    match words {
        [schema, ".", one, ..] => Some(format!("{}.{}", name(schema), name(one))),
        [one, ..] => Some(name(one)),
        [] => None,
    }
}

/// The index that `CREATE INDEX CONCURRENTLY` makes: its name as written, in the schema of its table.
#[must_use]
pub fn concurrent_index(statement: &str) -> Option<String> {
    let head = words(Dialect::Postgres, statement, 16);
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let head = head.strip_prefix(&["CREATE"])?;
    let rest = head
        .strip_prefix(&["UNIQUE"])
        .unwrap_or(head)
        .strip_prefix(&["INDEX", "CONCURRENTLY"])?;
    let rest = rest.strip_prefix(&["IF", "NOT", "EXISTS"]).unwrap_or(rest);
    let (name, rest) = rest.split_first().filter(|(name, _)| **name != "ON")?;
    let table = rest.strip_prefix(&["ON"]).unwrap_or(rest);
    match table.strip_prefix(&["ONLY"]).unwrap_or(table) {
        [schema, ".", ..] => lowered(&[schema, ".", name]),
        _ => lowered(&[name]),
    }
}

/// The index that `DROP INDEX CONCURRENTLY` takes away, as written.
#[must_use]
pub fn concurrently_dropped(statement: &str) -> Option<String> {
    let head = words(Dialect::Postgres, statement, 8);
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let rest = head.strip_prefix(&["DROP", "INDEX", "CONCURRENTLY"])?;
    lowered(rest.strip_prefix(&["IF", "EXISTS"]).unwrap_or(rest))
}

/// The table that a statement changes, as written (lower case where unquoted), where its first words tell.
#[must_use]
pub fn subject_table(dialect: Dialect, statement: &str) -> Option<String> {
    let head = words(dialect, statement, 24);
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut rest = match head.as_slice() {
        [
            "ALTER" | "DROP" | "CREATE" | "LOCK" | "TRUNCATE",
            "TABLE",
            rest @ ..,
        ]
        | ["INSERT" | "REPLACE", "INTO", rest @ ..]
        | ["DELETE", "FROM", rest @ ..]
        | ["UPDATE" | "COPY", rest @ ..] => rest,
        ["CREATE", "INDEX" | "UNIQUE" | "TRIGGER" | "CONSTRAINT" | "OR", ..] | ["DROP", "TRIGGER", ..] => {
            let on = head.iter().position(|word| *word == "ON")?;
            &head[on + 1..]
        }
        _ => return None,
    };
    while let [skip, after @ ..] = rest
        && matches!(*skip, "IF" | "NOT" | "EXISTS" | "ONLY")
    {
        rest = after;
    }
    let name = |word: &&str| {
        if word.starts_with(['"', '`', '[']) {
            (*word).to_owned()
        } else {
            word.to_lowercase()
        }
    };
    match rest {
        [schema, ".", table, ..] => Some(format!("{}.{}", name(schema), name(table))),
        [table, ..] => Some(name(table)),
        [] => None,
    }
}

/// A statement in one line for people: without comments and without what its strings hold, which may be anybody's
/// data or password, and at most so many characters.
#[must_use]
pub fn outline(dialect: Dialect, statement: &str, most: usize) -> String {
    let Ok(all) = tokens(dialect, statement) else {
        return "…".to_owned();
    };
    let mut out = String::new();
    let mut gap = false;
    for token in &all {
        if !token.is_significant() {
            gap = true;
            continue;
        }
        if gap && !out.is_empty() {
            out.push(' ');
        }
        gap = false;
        out.push_str(if token.kind == Kind::Literal {
            "'…'"
        } else {
            token.text(statement)
        });
    }
    if out.chars().count() > most {
        out = out.chars().take(most.saturating_sub(1)).collect();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_the_runners() {
        for (text, expected) in [
            ("begin", true),
            ("/* x */ COMMIT", true),
            ("ROLLBACK TO s", false),
            ("END", true),
            ("DO $$ BEGIN END $$", false),
            ("START TRANSACTION", true),
            ("SET TRANSACTION READ ONLY", true),
        ] {
            assert_eq!(controls_transaction(Dialect::Postgres, text), expected, "{text}");
        }
        assert!(!controls_transaction(
            Dialect::MariaDb,
            "BEGIN NOT ATOMIC SELECT 1; END"
        ));
        assert!(controls_transaction(Dialect::MariaDb, "BEGIN WORK"));
    }

    #[test]
    fn rows_for_the_client_and_roles_are_told_by_the_words() {
        for (text, expected) in [
            ("COPY t TO STDOUT", true),
            ("copy (SELECT a AS to FROM stdin) to stdout WITH CSV", true),
            ("COPY t TO '/tmp/x'", false),
            ("COPY t FROM stdin", false),
            ("SELECT 1", false),
        ] {
            assert_eq!(sends_rows(Dialect::Postgres, text), expected, "{text}");
        }
        for (text, expected) in [
            ("SET ROLE app", Some(RoleChange::Session)),
            ("set local role app", Some(RoleChange::Local)),
            ("SET SESSION ROLE app", Some(RoleChange::Session)),
            ("SET SESSION AUTHORIZATION app", Some(RoleChange::Session)),
            ("SET LOCAL SESSION AUTHORIZATION app", Some(RoleChange::Local)),
            ("RESET ROLE", Some(RoleChange::Session)),
            ("SET role = 'app'", Some(RoleChange::Session)),
            ("SET search_path = role", None),
            ("SET LOCAL lock_timeout = 1", None),
        ] {
            assert_eq!(changes_role(Dialect::Postgres, text), expected, "{text}");
        }
    }

    #[test]
    fn the_index_that_is_built_concurrently() {
        for (text, expected) in [
            (
                "CREATE INDEX CONCURRENTLY Users_Name ON users (name)",
                Some("users_name"),
            ),
            (
                "create unique index concurrently if not exists \"X y\" on t(a)",
                Some("\"X y\""),
            ),
            (
                "CREATE INDEX CONCURRENTLY i ON ONLY Shop.\"Users\" (a)",
                Some("shop.i"),
            ),
            ("CREATE INDEX i ON t (a)", None),
            ("CREATE INDEX CONCURRENTLY ON t (a)", None),
        ] {
            assert_eq!(concurrent_index(text).as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            ("DROP INDEX CONCURRENTLY IF EXISTS Shop.I", Some("shop.i")),
            ("drop index concurrently i restrict", Some("i")),
            ("DROP INDEX i", None),
        ] {
            assert_eq!(concurrently_dropped(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_copied_into() {
        for (text, expected) in [
            ("COPY t FROM stdin", Some("t")),
            (
                "copy Shop.\"from (x)\" (id, a) FROM STDIN",
                Some("Shop.\"from (x)\""),
            ),
            ("-- all\nCOPY\n  größe -- one\n (id) FROM stdin", Some("größe")),
            ("COPY (SELECT 1) TO STDOUT", None),
        ] {
            assert_eq!(copies_into(text), expected, "{text}");
        }
    }

    #[test]
    fn what_takes_long_beside_the_traffic() {
        for (text, expected) in [
            ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", true),
            ("DROP INDEX CONCURRENTLY IF EXISTS i", true),
            (
                "ALTER TABLE IF EXISTS ONLY \"s\".\"t\" VALIDATE CONSTRAINT \"c\"",
                true,
            ),
            ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID", false),
            ("CREATE INDEX i ON t (a)", false),
        ] {
            assert_eq!(beside_traffic(text), expected, "{text}");
        }
    }

    #[test]
    fn the_table_that_is_changed() {
        for (text, expected) in [
            (
                "ALTER TABLE IF EXISTS ONLY Shop.\"Users\" ADD x int",
                Some("shop.\"Users\""),
            ),
            ("UPDATE users SET a = 1", Some("users")),
            ("COPY users (id) FROM STDIN", Some("users")),
            ("CREATE INDEX CONCURRENTLY i ON users (a)", Some("users")),
            (
                "CREATE TRIGGER t AFTER UPDATE OF a ON users FOR EACH ROW EXECUTE FUNCTION f()",
                Some("users"),
            ),
            ("SELECT 1", None),
        ] {
            assert_eq!(
                subject_table(Dialect::Postgres, text).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn an_outline_shows_no_data() {
        let text = "ALTER ROLE a -- now\n PASSWORD 's3cret'";
        assert_eq!(outline(Dialect::Postgres, text, 80), "ALTER ROLE a PASSWORD '…'");
        assert_eq!(outline(Dialect::Postgres, text, 10), "ALTER ROL…");
        assert_eq!(outline(Dialect::Postgres, "SELECT 's3cr", 80), "…");
    }

    #[test]
    fn what_runs_beside_the_traffic() {
        assert!(concurrently("create unique index concurrently i on t (a)"));
        assert!(concurrently("REINDEX TABLE CONCURRENTLY t"));
        assert!(!concurrently("CREATE INDEX \"CONCURRENTLY\" ON t (a)"));
    }

    #[test]
    fn what_belongs_to_the_session() {
        assert!(sets_session(Dialect::Sqlite, "PRAGMA foreign_keys=off"));
        assert!(sets_session(Dialect::Postgres, "SET search_path = a"));
        assert!(outside_transaction(Dialect::Sqlite, "vacuum"));
        assert!(!outside_transaction(Dialect::Postgres, "vacuum"));
        assert!(outside_transaction(
            Dialect::MariaDb,
            "/*!50003 CREATE TABLE t (a int) */"
        ));
        assert!(!outside_transaction(Dialect::Mysql, "update t set a = 1"));
        assert!(controls_transaction(Dialect::Mysql, "SET autocommit = 0"));
        assert!(writes_rows(Dialect::Sqlite, "insert into t values (1)"));
    }
}
