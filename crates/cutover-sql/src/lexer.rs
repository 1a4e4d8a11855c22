//! Tokens: as much of the lexical rules of the dialects as splitting needs, and no grammar.
//!
//! PostgreSQL's rules are those of its manual, chapter 4.1; SQLite's those of its tokenizer;
//! MySQL's those of its manual, 11.1 and 11.7. Every token begins and
//! ends at a character boundary, because only ASCII characters delimit.

use crate::{Dialect, SplitError, SplitProblem, placeholder};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Space,
    LineComment,
    BlockComment,
    /// A keyword, an unquoted name or a number; a `${name}` is a part of it like a letter.
    Word,
    /// A string, with its prefix: `'…'`, `E'…'`, `$$…$$`.
    Literal,
    /// A quoted name.
    Name,
    Operator,
    Open,
    Close,
    Semicolon,
    /// Any other single character.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    pub(crate) fn text<'a>(&self, source: &'a str) -> &'a str {
        source.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) const fn is_significant(&self) -> bool {
        !matches!(self.kind, Kind::Space | Kind::LineComment | Kind::BlockComment)
    }
}

const BOM: &[u8] = "\u{feff}".as_bytes();

/// All tokens of a text; joined they are the text.
pub(crate) fn tokens(dialect: Dialect, source: &str) -> Result<Vec<Token>, SplitError> {
    let mut lexer = Lexer {
        dialect,
        bytes: source.as_bytes(),
        at: 0,
        delimiter: None,
        fresh: true,
        copy: Copying::default(),
    };
    let mut out = Vec::new();
    while lexer.at < lexer.bytes.len() {
        let start = lexer.at;
        let kind = lexer
            .next()
            .map_err(|problem| SplitError::new(source, start, problem))?;
        match kind {
            Kind::Semicolon => lexer.fresh = true,
            Kind::Space | Kind::LineComment | Kind::BlockComment => {}
            _ => lexer.fresh = false,
        }
        let token = Token {
            kind,
            start,
            end: lexer.at,
        };
        out.push(token);
        if dialect == Dialect::Postgres {
            let had_data = lexer.copy.data;
            lexer.copy.feed(kind, token.text(source));
            if had_data {
                // Its semicolon stands before the data, and its end is here.
                out.push(Token {
                    kind: Kind::Semicolon,
                    start: lexer.at,
                    end: lexer.at,
                });
                lexer.fresh = true;
                lexer.copy = Copying::default();
            }
        }
    }
    Ok(out)
}

struct Lexer<'a> {
    dialect: Dialect,
    bytes: &'a [u8],
    at: usize,
    /// What `DELIMITER` of MySQL's client has put in the place of the semicolon.
    delimiter: Option<Vec<u8>>,
    /// Whether a statement would begin here.
    fresh: bool,
    copy: Copying,
}

/// PostgreSQL: how far a `COPY … FROM STDIN` is read, whose data follow its semicolon up to a line `\.`, as `pg_dump`
/// writes them.
#[derive(Default)]
struct Copying {
    words: usize,
    depth: usize,
    is_copy: bool,
    from: bool,
    stdin: bool,
    /// The token that was just read is the semicolon with the data.
    data: bool,
}

impl Copying {
    fn feed(&mut self, kind: Kind, text: &str) {
        match kind {
            Kind::Space | Kind::LineComment | Kind::BlockComment => return,
            Kind::Semicolon => {
                *self = Self::default();
                return;
            }
            Kind::Open => self.depth += 1,
            Kind::Close => self.depth = self.depth.saturating_sub(1),
            Kind::Word if self.words == 0 => self.is_copy = text.eq_ignore_ascii_case("copy"),
            Kind::Word if self.depth == 0 && !self.stdin => {
                self.stdin = self.is_copy && self.from && text.eq_ignore_ascii_case("stdin");
                self.from = text.eq_ignore_ascii_case("from");
            }
            _ => {}
        }
        self.words += 1;
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

const fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-'
            | b'*'
            | b'/'
            | b'<'
            | b'>'
            | b'='
            | b'~'
            | b'!'
            | b'@'
            | b'#'
            | b'%'
            | b'^'
            | b'&'
            | b'|'
            | b'?'
            | b':'
    )
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn starts(&self, with: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(with)
    }

    fn skip_while(&mut self, test: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && test(self.bytes[self.at]) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<Kind, SplitProblem> {
        if self.at == 0 && self.starts(BOM) {
            self.at = BOM.len();
            return Ok(Kind::Space);
        }
        if self.dialect.is_mysql() && self.fresh && self.delimiter_command() {
            // It is for the client: between statements it is as good as a comment.
            return Ok(Kind::LineComment);
        }
        if self.at_delimiter() {
            self.at += self.delimiter.as_ref().map_or(0, Vec::len);
            return Ok(Kind::Semicolon);
        }
        let byte = self.peek(0);
        match byte {
            // Alone it is a statement like any other: its data come from elsewhere.
            b';' if self.copy.stdin && !self.bytes[self.at + 1..].trim_ascii().is_empty() => self.copy_data(),
            b';' if self.delimiter.is_some() => self.single(Kind::Other),
            _ if byte.is_ascii_whitespace() || byte == 0x0b => {
                self.skip_while(|b| b.is_ascii_whitespace() || b == 0x0b);
                Ok(Kind::Space)
            }
            b'-' if self.peek(1) == b'-' && self.dashes_comment() => {
                self.skip_while(|b| b != b'\n');
                Ok(Kind::LineComment)
            }
            b'#' if self.dialect.is_mysql() => {
                self.skip_while(|b| b != b'\n');
                Ok(Kind::LineComment)
            }
            b'/' if self.peek(1) == b'*' => self.block_comment(),
            b'\'' => self.quoted(b'\'', self.dialect.is_mysql(), Kind::Literal),
            // A string for MySQL, unless ANSI_QUOTES is set, which a text does not tell.
            b'"' if self.dialect.is_mysql() => self.quoted(b'"', true, Kind::Literal),
            b'"' => self.quoted(b'"', false, Kind::Name),
            b'`' if self.dialect != Dialect::Postgres => self.quoted(b'`', false, Kind::Name),
            b'[' if self.dialect == Dialect::Sqlite => self.bracketed(),
            b'$' if placeholder::length(&self.bytes[self.at..]).is_some() => self.word(),
            b'$' if self.dialect == Dialect::Postgres => self.dollar(),
            _ if is_word(byte) => self.word(),
            b'(' => self.single(Kind::Open),
            b')' => self.single(Kind::Close),
            b';' => self.single(Kind::Semicolon),
            _ if is_operator(byte) => {
                // An operator ends where a comment begins (PostgreSQL manual, 4.1.3).
                self.at += 1;
                while is_operator(self.peek(0)) && !self.comment_begins() {
                    self.at += 1;
                }
                Ok(Kind::Operator)
            }
            _ => self.single(Kind::Other),
        }
    }

    /// From the semicolon to the line `\.`.
    fn copy_data(&mut self) -> Result<Kind, SplitProblem> {
        let begun = self.at;
        for line in self.bytes[begun..].split_inclusive(|byte| *byte == b'\n') {
            // The data begin on the next line, and what stands behind the semicolon would be lost.
            if self.at == begun && line.trim_ascii_end() != b";" {
                break;
            }
            self.at += line.len();
            if line.trim_ascii_end() == b"\\." {
                // The line's end is space again.
                let ended = line.len() - line.trim_ascii_end().len();
                self.at -= ended;
                self.copy.data = true;
                return Ok(Kind::Literal);
            }
        }
        Err(SplitProblem::UnclosedCopy)
    }

    /// MySQL wants a blank or the end behind them.
    fn dashes_comment(&self) -> bool {
        !self.dialect.is_mysql() || self.peek(2).is_ascii_whitespace() || self.at + 2 >= self.bytes.len()
    }

    fn comment_begins(&self) -> bool {
        (self.starts(b"--") && self.dashes_comment())
            || self.starts(b"/*")
            || (self.dialect.is_mysql() && self.peek(0) == b'#')
    }

    fn at_delimiter(&self) -> bool {
        self.delimiter
            .as_ref()
            .is_some_and(|delimiter| self.starts(delimiter))
    }

    /// Reads a line `DELIMITER //`, if there is one here.
    fn delimiter_command(&mut self) -> bool {
        const WORD: &[u8] = b"DELIMITER";
        let rest = &self.bytes[self.at..];
        let is_command = rest
            .get(..WORD.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(WORD))
            && rest
                .get(WORD.len())
                .is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        if !is_command {
            return false;
        }
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let wanted = line[WORD.len()..].trim_ascii();
        if wanted.is_empty() {
            return false;
        }
        self.delimiter = (wanted != b";").then(|| wanted.to_vec());
        self.at += line.len();
        true
    }

    fn single(&mut self, kind: Kind) -> Result<Kind, SplitProblem> {
        self.at += 1;
        Ok(kind)
    }

    /// PostgreSQL's nest, SQLite's do not.
    fn block_comment(&mut self) -> Result<Kind, SplitProblem> {
        if self.dialect.is_mysql() && (self.starts(b"/*!") || self.starts(b"/*M!")) {
            // The server runs what stands in it.
            while self.at < self.bytes.len() {
                if self.starts(b"*/") {
                    self.at += 2;
                    return Ok(Kind::Other);
                }
                self.at += 1;
            }
            return Err(SplitProblem::UnclosedComment);
        }
        let mut depth = 0usize;
        while self.at < self.bytes.len() {
            if self.starts(b"/*") && (depth == 0 || self.dialect == Dialect::Postgres) {
                depth += 1;
                self.at += 2;
            } else if self.starts(b"*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(Kind::BlockComment);
                }
            } else {
                self.at += 1;
            }
        }
        Err(SplitProblem::UnclosedComment)
    }

    /// From the opening quote on; a doubled quote stands for itself, a backslash escapes only in `E'…'`.
    fn quoted(&mut self, quote: u8, backslash: bool, kind: Kind) -> Result<Kind, SplitProblem> {
        self.at += 1;
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            let doubled = byte == quote && self.peek(1) == quote;
            if doubled || (backslash && byte == b'\\') {
                self.at += 2;
            } else if byte == quote {
                self.at += 1;
                return Ok(kind);
            } else {
                self.at += 1;
            }
        }
        self.at = self.bytes.len();
        Err(if kind == Kind::Name {
            SplitProblem::UnclosedName
        } else {
            SplitProblem::UnclosedString
        })
    }

    fn bracketed(&mut self) -> Result<Kind, SplitProblem> {
        self.skip_while(|b| b != b']');
        if self.at == self.bytes.len() {
            return Err(SplitProblem::UnclosedName);
        }
        self.single(Kind::Name)
    }

    /// `$$…$$`, `$tag$…$tag$`, or a parameter such as `$1`.
    fn dollar(&mut self) -> Result<Kind, SplitProblem> {
        let rest = &self.bytes[self.at + 1..];
        let tag = rest.iter().take_while(|b| is_word(**b)).count();
        let is_quote = rest.get(tag) == Some(&b'$') && !rest.first().is_some_and(u8::is_ascii_digit);
        if !is_quote {
            self.at += 1;
            self.skip_while(is_word);
            return Ok(Kind::Word);
        }
        let fence = self.bytes[self.at..self.at + tag + 2].to_vec();
        self.at += fence.len();
        while self.at < self.bytes.len() {
            if self.starts(&fence) {
                self.at += fence.len();
                return Ok(Kind::Literal);
            }
            self.at += 1;
        }
        Err(SplitProblem::UnclosedDollar(
            String::from_utf8_lossy(&fence).into_owned(),
        ))
    }

    fn word(&mut self) -> Result<Kind, SplitProblem> {
        let start = self.at;
        while self.at < self.bytes.len() && !self.at_delimiter() {
            let byte = self.bytes[self.at];
            self.at += match placeholder::length(&self.bytes[self.at..]) {
                Some(length) => length,
                None if is_word(byte) || byte == b'$' => 1,
                None => break,
            };
        }
        let word = &self.bytes[start..self.at];
        if self.peek(0) == b'\'' {
            let escape = self.dialect == Dialect::Postgres && word.eq_ignore_ascii_case(b"e");
            let prefix = word.len() == 1 && matches!(word[0] | 0x20, b'b' | b'x' | b'n');
            if escape || prefix {
                return self.quoted(b'\'', escape, Kind::Literal);
            }
        }
        Ok(Kind::Word)
    }
}
