//! Where one statement ends and the next begins.

use crate::lexer::{Kind, Token, tokens};
use crate::{Dialect, command, place};

/// One statement of a file, without its closing semicolon and without the comments around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// As written.
    pub text: String,
    /// The line it begins on, from 1.
    pub line: usize,
    /// Where it begins in the file, in bytes.
    pub byte_offset: usize,
}

/// What was opened and never closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitProblem {
    /// `'…`
    #[error("a string that begins here is never closed")]
    UnclosedString,
    /// `"…`
    #[error("a quoted name that begins here is never closed")]
    UnclosedName,
    /// `/* …`
    #[error("a comment that begins here is never closed")]
    UnclosedComment,
    /// `$tag$…`
    #[error("a string that begins here is never closed by another {0}")]
    UnclosedDollar(String),
    /// `COPY … FROM STDIN;` whose data have no end.
    #[error("the data that follow this COPY are never ended by a line with \\. alone")]
    UnclosedCopy,
    /// A trigger or a function whose body has no end.
    #[error("the body of this statement is never closed by END;")]
    UnclosedBody,
    /// A body without `BEGIN`, and without another delimiter: it ends at its first semicolon, for every client of MySQL.
    #[error(
        "the body of this statement ends at its first semicolon: it has no BEGIN … END, and no DELIMITER"
    )]
    CutBody,
    /// A file of commands that is none.
    #[error("{0}")]
    Commands(String),
}

/// A text that cannot be split, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (line {line})")]
pub struct SplitError {
    /// What is wrong.
    pub problem: SplitProblem,
    /// The line where it begins, from 1.
    pub line: usize,
    /// Where it begins, in bytes.
    pub byte_offset: usize,
}

impl SplitError {
    pub(crate) fn new(source: &str, byte_offset: usize, problem: SplitProblem) -> Self {
        Self {
            problem,
            line: place::line_of(source, byte_offset),
            byte_offset,
        }
    }
}

/// Splits a text into its statements.
///
/// Semicolons within quotes, comments, dollar quotes and (PostgreSQL) parentheses do not separate; neither do those
/// within the body of a SQLite trigger, of a PostgreSQL function with `BEGIN ATOMIC … END`, or of a routine of MySQL.
/// There, `DELIMITER` lines say what separates in place of the semicolon; they are for this, and not sent to the server.
/// A semicolon between such delimiters still separates statements that have no body: the server would run them one by one.
/// The data that follow PostgreSQL's `COPY … FROM STDIN;` up to a line `\.` are part of that statement.
///
/// # Errors
/// When a quote, a comment or a body is never closed, or a body is cut in two by a semicolon.
pub fn split(dialect: Dialect, source: &str) -> Result<Vec<Statement>, SplitError> {
    if dialect == Dialect::MongoDb {
        return command::split(source);
    }
    let mut out = Vec::new();
    let mut body = Body::new(dialect);
    let mut range: Option<(usize, usize)> = None;
    let mut lines = place::Lines::new(source);
    let all = tokens(dialect, source)?;
    for token in all.iter().filter(|token| token.is_significant()) {
        // A delimiter of the writer's own says by itself where a body ends.
        let text = token.text(source);
        let ends = match token.kind {
            Kind::Semicolon => text != ";" || body.may_end(),
            Kind::Other if text == ";" => body.head == Head::Plain,
            _ => false,
        };
        if ends {
            if let Some((start, end)) = range.take() {
                out.push(statement(source, &mut lines, start, end));
            }
            body = Body::new(dialect);
            continue;
        }
        if range.is_none() && dialect.is_mysql() && continues_a_body(text) {
            let at = out.last().map_or(token.start, |before| before.byte_offset);
            return Err(SplitError::new(source, at, SplitProblem::CutBody));
        }
        body.feed(token, source);
        range = Some((range.map_or(token.start, |(start, _)| start), token.end));
    }
    if let Some((start, end)) = range {
        if body.is_open() {
            return Err(SplitError::new(source, start, SplitProblem::UnclosedBody));
        }
        out.push(statement(source, &mut lines, start, end));
    }
    Ok(out)
}

fn statement(source: &str, lines: &mut place::Lines<'_>, start: usize, end: usize) -> Statement {
    Statement {
        text: source.get(start..end).unwrap_or_default().to_owned(),
        line: lines.advance(start),
        byte_offset: start,
    }
}

/// No statement of MySQL begins so: it is what a semicolon left of a body.
fn continues_a_body(word: &str) -> bool {
    ["END", "ELSE", "ELSEIF", "UNTIL"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a semicolon ends the statement that is being read.
struct Body {
    dialect: Dialect,
    /// The first words, upper case: enough to tell a trigger or a function.
    words: Vec<String>,
    parens: usize,
    /// PostgreSQL: open `BEGIN ATOMIC` and, within it, `CASE`.
    blocks: usize,
    /// MySQL: how far its head is read.
    head: Head,
    /// The word before, upper case; empty after anything else.
    last: String,
    /// SQLite, in a trigger: `;` was seen, then maybe `END`. Only `; END ;` closes a trigger (the rule of
    /// `sqlite3_complete`), because BEGIN and END may also be names.
    trigger: Trigger,
}

/// MySQL: whether a statement has a body, which only its head tells: `event` and `begin` are names elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    /// Nothing was read.
    Start,
    /// `BEGIN`, which is a transaction or, with `NOT ATOMIC`, a body.
    Begin,
    /// `CREATE`, and what may stand between it and the kind of the object.
    Create,
    /// `DEFINER`, before the name of the user or of the host.
    Definer,
    /// It begins with a comment that the server reads: there is no telling.
    Opaque,
    /// No body, or of another dialect.
    Plain,
    /// A body.
    Routine,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    None,
    Inside,
    AfterSemicolon,
    AfterEnd,
}

impl Body {
    const fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            words: Vec::new(),
            parens: 0,
            blocks: 0,
            head: Head::Start,
            last: String::new(),
            trigger: Trigger::None,
        }
    }

    const fn may_end(&self) -> bool {
        match self.dialect {
            Dialect::Postgres => self.parens == 0 && self.blocks == 0,
            Dialect::Sqlite => matches!(self.trigger, Trigger::None | Trigger::AfterEnd),
            Dialect::Mysql | Dialect::MariaDb => self.blocks == 0,
            Dialect::MongoDb => true,
        }
    }

    const fn is_open(&self) -> bool {
        match self.dialect {
            Dialect::Postgres | Dialect::Mysql | Dialect::MariaDb => self.blocks > 0,
            Dialect::Sqlite => matches!(self.trigger, Trigger::Inside | Trigger::AfterSemicolon),
            Dialect::MongoDb => false,
        }
    }

    fn feed(&mut self, token: &Token, source: &str) {
        let word = if token.kind == Kind::Word {
            token.text(source).to_ascii_uppercase()
        } else {
            String::new()
        };
        if self.words.len() < 4 {
            self.words.push(word.clone());
        }
        match self.dialect {
            Dialect::Sqlite => self.feed_sqlite(token, &word),
            Dialect::Postgres => self.feed_postgres(token, &word),
            Dialect::Mysql | Dialect::MariaDb => self.feed_mysql(token.kind, &word),
            Dialect::MongoDb => {}
        }
        self.last = word;
    }

    fn feed_sqlite(&mut self, token: &Token, word: &str) {
        self.trigger = match self.trigger {
            Trigger::None if self.is_trigger_head() => Trigger::Inside,
            Trigger::None => Trigger::None,
            _ if token.kind == Kind::Semicolon => Trigger::AfterSemicolon,
            Trigger::AfterSemicolon if word == "END" => Trigger::AfterEnd,
            Trigger::Inside | Trigger::AfterSemicolon | Trigger::AfterEnd => Trigger::Inside,
        };
    }

    fn is_trigger_head(&self) -> bool {
        let head: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(
            head.as_slice(),
            ["CREATE", "TRIGGER"] | ["CREATE", "TEMP" | "TEMPORARY", "TRIGGER"]
        )
    }

    fn feed_postgres(&mut self, token: &Token, word: &str) {
        match token.kind {
            Kind::Open => self.parens += 1,
            Kind::Close => self.parens = self.parens.saturating_sub(1),
            Kind::Word if self.parens == 0 && self.is_function_head() => match word {
                "ATOMIC" if self.last == "BEGIN" => self.blocks += 1,
                "CASE" if self.blocks > 0 => self.blocks += 1,
                "END" => self.blocks = self.blocks.saturating_sub(1),
                _ => {}
            },
            _ => {}
        }
    }

    /// Bodies of routines, triggers and events: `BEGIN` and `CASE` up to their `END`; the `END IF` of other blocks closes
    /// none of these, and within parentheses there are only names and values.
    fn feed_mysql(&mut self, kind: Kind, word: &str) {
        match kind {
            Kind::Open => self.parens += 1,
            Kind::Close => self.parens = self.parens.saturating_sub(1),
            _ => {}
        }
        if self.head != Head::Routine {
            self.head = self.next_head(kind, word);
            return;
        }
        if self.parens > 0 {
            return;
        }
        match word {
            "IF" | "LOOP" | "WHILE" | "REPEAT" | "FOR" if self.last == "END" => self.blocks += 1,
            "CASE" if self.last == "END" => {}
            "BEGIN" | "CASE" => self.blocks += 1,
            "END" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
    }

    fn next_head(&mut self, kind: Kind, word: &str) -> Head {
        match (self.head, word) {
            (Head::Start, "CREATE") => Head::Create,
            (Head::Start, "BEGIN") => Head::Begin,
            // MariaDB runs them outside of routines too; a client needs a delimiter of its own for them.
            (Head::Start, "IF" | "CASE" | "LOOP" | "WHILE" | "REPEAT" | "FOR") => Head::Routine,
            (Head::Begin, "NOT") => {
                self.blocks = 1;
                Head::Routine
            }
            (Head::Start, "") => Head::Opaque,
            (Head::Definer, _) if kind == Kind::Operator => Head::Definer,
            (Head::Definer, _) => Head::Create,
            (Head::Create, "TRIGGER" | "PROCEDURE" | "FUNCTION" | "EVENT") => Head::Routine,
            (Head::Create, "DEFINER") => Head::Definer,
            (Head::Create, "OR" | "REPLACE" | "AGGREGATE") => Head::Create,
            // The `@` before the host.
            (Head::Create, "") if kind == Kind::Operator => Head::Definer,
            // `CURRENT_USER()`, and comments that the server reads.
            (Head::Create, "") => Head::Create,
            (Head::Opaque, _) => Head::Opaque,
            _ => Head::Plain,
        }
    }

    fn is_function_head(&self) -> bool {
        let head: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(
            head.as_slice(),
            ["CREATE", "FUNCTION" | "PROCEDURE", ..] | ["CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE"]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(dialect: Dialect, source: &str) -> Vec<String> {
        split(dialect, source)
            .unwrap()
            .into_iter()
            .map(|statement| statement.text)
            .collect()
    }

    #[test]
    fn mysql_has_its_own_quotes_comments_and_bodies() {
        let source = "# a; b\nSELECT 'it\\'s; x', \"y;\" FROM `a;b`; SELECT 5--1;\n\
            CREATE TRIGGER t BEFORE INSERT ON u FOR EACH ROW BEGIN\n\
              IF NEW.a IS NULL THEN SET NEW.a = CASE WHEN 1 THEN 2 END; END IF; SET NEW.b = 1;\n\
            END; SELECT 2";
        for dialect in [Dialect::Mysql, Dialect::MariaDb] {
            let found = texts(dialect, source);
            assert_eq!(found.len(), 4, "{found:?}");
            assert!(found[0].ends_with("`a;b`") && found[1] == "SELECT 5--1");
            assert!(found[2].ends_with("END") && found[3] == "SELECT 2");
        }
    }

    #[test]
    fn mysql_delimiters_are_the_clients_and_its_running_comments_the_servers() {
        let source = "DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; IF 1 THEN SELECT 2; END IF; END//\n\
            delimiter $$\nCREATE TRIGGER t BEFORE INSERT ON u FOR EACH ROW SET NEW.a = 1; $$\nSELECT 'x//' $$\n\
            DELIMITER ;\nSELECT 3; /*!50003 SELECT 4 */; /* not this */";
        for dialect in [Dialect::Mysql, Dialect::MariaDb] {
            let found = split(dialect, source).unwrap();
            let texts: Vec<&str> = found.iter().map(|one| one.text.as_str()).collect();
            assert_eq!(texts.len(), 5, "{texts:?}");
            assert!(texts[0].starts_with("CREATE PROCEDURE") && texts[0].ends_with("END IF; END"));
            assert!(texts[1].ends_with("SET NEW.a = 1;"), "{}", texts[1]);
            assert_eq!(&texts[2..], ["SELECT 'x//'", "SELECT 3", "/*!50003 SELECT 4 */"]);
            assert_eq!((found[0].line, found[2].line), (2, 5));
        }
    }

    #[test]
    fn only_the_head_makes_a_statement_of_mysql_one_with_a_body() {
        let source = "CREATE TABLE cal (event int, begin datetime); CREATE TABLE e2 (a int, end datetime);\n\
            CREATE VIEW v AS SELECT event, b AS begin FROM c0; CREATE TABLE `trigger` (a int);\n\
            CREATE OR REPLACE DEFINER=`a`@'%' PROCEDURE IF NOT EXISTS p(begin int) BEGIN SELECT 1; END;\n\
            CREATE DEFINER = event @ localhost SQL SECURITY INVOKER VIEW w AS SELECT 1 AS begin;\n\
            CREATE DEFINER=CURRENT_USER() AGGREGATE FUNCTION f(x int) RETURNS int BEGIN RETURN 1; END;\n\
            CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO BEGIN SELECT 1; END;\n\
            BEGIN NOT ATOMIC IF 1 THEN SELECT 1; END IF; FOR i IN 1..2 DO SELECT i; END FOR; END; SELECT 2";
        for dialect in [Dialect::Mysql, Dialect::MariaDb] {
            let found = texts(dialect, source);
            assert_eq!(found.len(), 10, "{found:#?}");
            assert!(found[1].starts_with("CREATE TABLE e2") && found[9] == "SELECT 2");
        }
    }

    #[test]
    fn mysql_separates_what_has_no_body_between_other_delimiters_too() {
        let source = "DELIMITER //\nSELECT 1; SELECT 2;//\nIF 1 THEN SELECT 3; END IF//\nCREATE TRIGGER t BEFORE INSERT \
            ON u FOR EACH ROW IF NEW.a THEN SET NEW.b = 1; END IF//\nDELIMITER ;\nSELECT 4";
        for dialect in [Dialect::Mysql, Dialect::MariaDb] {
            let found = texts(dialect, source);
            assert_eq!(found.len(), 5, "{found:#?}");
            assert_eq!(found[..2], ["SELECT 1", "SELECT 2"]);
            assert_eq!(found[2], "IF 1 THEN SELECT 3; END IF");
            assert!(found[3].starts_with("CREATE TRIGGER") && found[3].ends_with("END IF"));
        }
    }

    #[test]
    fn a_body_of_mysql_that_a_semicolon_cuts_is_named_with_its_beginning() {
        let source = "SELECT 1;\nCREATE TRIGGER t BEFORE INSERT ON u FOR EACH ROW\n\
            IF NEW.a THEN SET NEW.b = 1; END IF;";
        for dialect in [Dialect::Mysql, Dialect::MariaDb] {
            let error = split(dialect, source).unwrap_err();
            assert_eq!((error.problem, error.line), (SplitProblem::CutBody, 2));
        }
    }

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_separate() {
        let source = "-- a; b\nINSERT INTO t VALUES ('x;''y', \";\") /* ; */;\n\nSELECT 1;;";
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let found = split(dialect, source).unwrap();
            assert_eq!(found.len(), 2);
            assert_eq!(found[0].text, "INSERT INTO t VALUES ('x;''y', \";\")");
            assert_eq!((found[0].line, found[1].line), (2, 4));
            assert_eq!(&source[found[1].byte_offset..][..8], "SELECT 1");
        }
    }

    #[test]
    fn postgres_dollar_quotes_escapes_and_nested_comments() {
        let source = "CREATE FUNCTION f() RETURNS int AS $body$ BEGIN; $$;$$; END $body$ LANGUAGE plpgsql;
            SELECT E'\\';', $1 /* a /* ; */ ; */; SELECT a$b FROM t; DO $$ BEGIN NULL; END $$";
        let found = texts(Dialect::Postgres, source);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].ends_with("LANGUAGE plpgsql"));
        assert_eq!(found[2], "SELECT a$b FROM t");
    }

    #[test]
    fn postgres_atomic_bodies_and_rules_stay_whole() {
        let source = "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC
              SELECT CASE WHEN a > 0 THEN 1 ELSE 2 END; SELECT 3; END;
            CREATE RULE r AS ON UPDATE TO t DO (INSERT INTO a VALUES (1); DELETE FROM b);
            BEGIN; COMMIT";
        let found = texts(Dialect::Postgres, source);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].ends_with("SELECT 3; END"));
        assert!(found[1].ends_with("DELETE FROM b)"));
    }

    #[test]
    fn sqlite_triggers_stay_whole_even_with_case_and_names_like_keywords() {
        let source = "CREATE TRIGGER sync AFTER UPDATE OF a ON t WHEN CASE WHEN new.a THEN 1 END BEGIN
              UPDATE t SET b = CASE WHEN 1 THEN 'x;' END WHERE id = new.id; UPDATE t SET [end;] = 1; END;
            CREATE TEMP TRIGGER x AFTER DELETE ON t BEGIN DELETE FROM u; END; SELECT 1 /* a /* b */;";
        let found = texts(Dialect::Sqlite, source);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].ends_with("; END"));
        assert_eq!(found[2], "SELECT 1");
    }

    #[test]
    fn postgres_copy_takes_its_data_along() {
        let source = "COPY public.t (a, \"from\") FROM stdin;\n1\tit's; x\n-- 2\t$$\n\\.\n\nCOPY t FROM STDIN WITH (FORMAT csv);\r\n\\.\r\n\
            COPY (SELECT * FROM stdin) TO '/x'; SELECT 1";
        let found = texts(Dialect::Postgres, source);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].ends_with("$$\n\\."), "{}", found[0]);
        let (command, data) = crate::copied(Dialect::Postgres, &found[0]).unwrap();
        assert_eq!(command, "COPY public.t (a, \"from\") FROM stdin");
        assert_eq!(data, "1\tit's; x\n-- 2\t$$\n");
        let (_, data) = crate::copied(Dialect::Postgres, &found[1]).unwrap();
        assert_eq!(data, "");
        assert_eq!(crate::copied(Dialect::Postgres, &found[2]), None);
        assert_eq!(found[3], "SELECT 1");
        assert!(texts(Dialect::Sqlite, "COPY t FROM stdin; SELECT 1").len() == 2);
    }

    #[test]
    fn what_is_never_closed_is_named_with_its_place() {
        let cases = [
            (
                Dialect::Postgres,
                "SELECT 1;\nSELECT 'x",
                SplitProblem::UnclosedString,
            ),
            (Dialect::Sqlite, "\n\"x", SplitProblem::UnclosedName),
            (Dialect::Postgres, "\n/* /* */", SplitProblem::UnclosedComment),
            (
                Dialect::Postgres,
                "\n$a$ x $$",
                SplitProblem::UnclosedDollar("$a$".to_owned()),
            ),
            (
                Dialect::Postgres,
                "\nCOPY t FROM stdin;\n1\n",
                SplitProblem::UnclosedCopy,
            ),
            (
                Dialect::Sqlite,
                "\nCREATE TRIGGER t BEGIN SELECT 1;",
                SplitProblem::UnclosedBody,
            ),
        ];
        for (dialect, source, problem) in cases {
            let error = split(dialect, source).unwrap_err();
            assert_eq!((error.problem, error.line), (problem, 2), "{source}");
        }
    }

    fn sql_like() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("'".to_owned()),
            Just("\"".to_owned()),
            Just("$$".to_owned()),
            Just("$a$".to_owned()),
            Just(";".to_owned()),
            Just("--".to_owned()),
            Just("/*".to_owned()),
            Just("*/".to_owned()),
            Just("\n".to_owned()),
            Just("\r\n".to_owned()),
            Just("CREATE TRIGGER t BEGIN ".to_owned()),
            Just("CREATE FUNCTION f() BEGIN ATOMIC ".to_owned()),
            Just("BEGIN NOT ATOMIC ".to_owned()),
            Just("CREATE DEFINER = a@b ".to_owned()),
            Just(" END".to_owned()),
            Just("(".to_owned()),
            Just(")".to_owned()),
            Just("E'\\".to_owned()),
            Just("[".to_owned()),
            Just("COPY t FROM stdin;\n".to_owned()),
            Just("\n\\.\n".to_owned()),
            Just("\nDELIMITER //\n".to_owned()),
            Just("//".to_owned()),
            Just("\nDELIMITER ;\n".to_owned()),
            ".{0,6}",
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    fn any_dialect() -> impl Strategy<Value = Dialect> {
        proptest::sample::select(vec![
            Dialect::Postgres,
            Dialect::Sqlite,
            Dialect::Mysql,
            Dialect::MariaDb,
        ])
    }

    proptest! {
        /// Statements are slices of the source in order, and between them is nothing but space, comments and `;`.
        #[test]
        fn statements_and_gaps_join_back(source in sql_like(), dialect in any_dialect()) {
            let Ok(found) = split(dialect, &source) else { return Ok(()) };
            let mut at = 0;
            let all = tokens(dialect, &source).unwrap();
            let end = Statement { text: String::new(), line: 0, byte_offset: source.len() };
            for statement in found.iter().chain([&end]) {
                let gap = at..statement.byte_offset;
                for token in all.iter().filter(|token| gap.contains(&token.start) && token.end > token.start) {
                    prop_assert!(token.end <= gap.end, "{token:?}");
                    // Between other delimiters a semicolon is a character like others, and may separate all the same.
                    let separates = token.kind == Kind::Semicolon || token.text(&source) == ";";
                    prop_assert!(!token.is_significant() || separates, "{token:?}");
                }
                at = statement.byte_offset + statement.text.len();
                prop_assert_eq!(&source[statement.byte_offset..at], statement.text.as_str());
            }
        }

        /// What is split out of a text is the same one statement when it is read alone. Not of MySQL, where a delimiter of
        /// the writer's own may have ended it.
        #[test]
        fn a_statement_is_one_statement(source in sql_like()) {
            let source = source.replace('\u{feff}', "");
            for dialect in [Dialect::Postgres, Dialect::Sqlite] {
                for statement in split(dialect, &source).unwrap_or_default() {
                    let again = split(dialect, &statement.text).unwrap();
                    prop_assert_eq!(again.len(), 1, "{:?}", &statement.text);
                    prop_assert_eq!(&again[0].text, &statement.text);
                }
            }
        }

        #[test]
        fn the_lexer_loses_nothing(source in sql_like(), dialect in any_dialect()) {
            if let Ok(all) = tokens(dialect, &source) {
                let joined: String = all.iter().map(|token| token.text(&source)).collect();
                prop_assert_eq!(joined, source);
            }
        }
    }
}
