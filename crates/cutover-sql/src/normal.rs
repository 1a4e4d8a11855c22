//! The text that a checksum is made of.

use crate::lexer::{Kind, tokens};
use crate::{Dialect, SplitError, command};

/// The text without comments, with one space between its tokens, whatever stood there, and without the last
/// semicolon. Line ends within literals count as `\n`, so that a checkout with CRLF is the same file.
///
/// # Errors
/// When a quote or a comment is never closed.
pub fn normalised(dialect: Dialect, source: &str) -> Result<String, SplitError> {
    if dialect == Dialect::MongoDb {
        return command::normalised(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut pending_end = false;
    for token in tokens(dialect, source)? {
        if !token.is_significant() {
            continue;
        }
        if token.kind == Kind::Semicolon {
            pending_end = !out.is_empty();
            continue;
        }
        if pending_end {
            out.push_str(" ;");
            pending_end = false;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        let text = token.text(source);
        if text.contains("\r\n") {
            out.push_str(&text.replace("\r\n", "\n"));
        } else {
            out.push_str(text);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn space_and_comments_do_not_count_but_literals_do() {
        let n = |text| normalised(Dialect::Postgres, text).unwrap();
        let plain = n("ALTER TABLE t ADD c text DEFAULT 'a  b';");
        assert_eq!(
            plain,
            n("\u{feff}-- why\r\nALTER  TABLE\tt /* x */ ADD c text\r\nDEFAULT 'a  b'")
        );
        assert_ne!(plain, n("ALTER TABLE t ADD c text DEFAULT 'a b';"));
        assert_eq!(n("SELECT (a,b)"), n("SELECT ( a , b ) ; "));
        assert_ne!(n("SELECT 1; SELECT 2"), n("SELECT 1 SELECT 2"));
        assert_eq!(n("DO $$a\r\nb$$"), n("DO $$a\nb$$"));
        assert_eq!(n("-- nothing\n"), "");
    }

    proptest! {
        #[test]
        fn normalising_twice_is_once(source in "[a-z'\";$ \n(),=*/-]{0,60}") {
            for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                if let Ok(once) = normalised(dialect, &source) {
                    prop_assert_eq!(normalised(dialect, &once).unwrap(), once);
                }
            }
        }
    }
}
