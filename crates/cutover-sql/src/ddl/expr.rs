//! Expressions, as far as a schema has to know them.

/// An expression: its text, and what it calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expr {
    /// One space between tokens, words in lower case outside of quotes: comparable.
    pub text: String,
    /// The functions that it calls, lower case, with their schema if written; `current_timestamp` and the like count.
    pub calls: Vec<String>,
}

impl Expr {
    /// Whether it is NULL, so that it adds nothing.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.text == "null" || self.text.starts_with("null ::")
    }

    /// Whether it is one literal, perhaps with a cast or a sign.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        let inner = self.text.trim_start_matches(['(', ' ', '-', '+']);
        let first = inner.chars().next().unwrap_or(' ');
        self.calls.is_empty()
            && (first.is_ascii_digit()
                || first == '\''
                || first == '"'
                || ["true", "false", "null", "x'", "b'", "n'", "_utf8"]
                    .iter()
                    .any(|word| inner.starts_with(word)))
    }
}
