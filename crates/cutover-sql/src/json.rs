//! JSON with places: what a file of commands is read with. Keys keep their order, since the first one of a command names it,
//! and each value knows where it stands, for messages.

use std::ops::Range;

/// Deeper than this the server does not nest documents either.
const DEEPEST: usize = 100;

/// A value and which bytes of the text it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) range: Range<usize>,
    pub(crate) value: Value,
}

/// What a value is. Numbers stay as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: String,
    /// Of the key, with its quotes.
    pub(crate) range: Range<usize>,
    pub(crate) node: Node,
}

/// What cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonError {
    pub(crate) at: usize,
    pub(crate) said: String,
}

impl Node {
    pub(crate) fn members(&self) -> &[Member] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Of the list that a key has; none without it.
    pub(crate) fn items_of(&self, key: &str) -> &[Self] {
        self.get(key).map(Self::items).unwrap_or_default()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.members().iter().find(|member| member.key == key);
        found.map(|member| &member.node)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.value == Value::Bool(true)
    }

    /// An object or a list without anything in it.
    pub(crate) const fn is_empty(&self) -> bool {
        match &self.value {
            Value::Object(members) => members.is_empty(),
            Value::List(items) => items.is_empty(),
            _ => false,
        }
    }
}

/// Reads a text that is one value.
pub(crate) fn parse(source: &str) -> Result<Node, JsonError> {
    let mut reader = Reader { source, at: 0 };
    if source.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    let node = reader.value(0)?;
    reader.space();
    if reader.at < source.len() {
        return Err(reader.error("nothing may follow the closing bracket"));
    }
    Ok(node)
}

/// The same value without white space: two texts of one meaning are one text.
pub(crate) fn compact(source: &str, node: &Node, out: &mut String) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number => out.push_str(source.get(node.range.clone()).unwrap_or_default()),
        Value::Text(text) => quote(text, out),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                compact(source, item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, member) in members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quote(&member.key, out);
                out.push(':');
                compact(source, &member.node, out);
            }
            out.push('}');
        }
    }
}

/// A text as JSON writes it.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}

/// What stands between the quotes.
pub(crate) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, said: impl Into<String>) -> JsonError {
        JsonError {
            at: self.at,
            said: said.into(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Node, JsonError> {
        self.space();
        if depth > DEEPEST {
            return Err(self.error(format!("this is nested deeper than {DEEPEST} levels")));
        }
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => self.word()?,
            None => return Err(self.error("a value is missing at the end")),
        };
        Ok(Node {
            range: start..self.at,
            value,
        })
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in double quotes is missing"));
            }
            let key = self.string()?;
            let range = start..self.at;
            if members.iter().any(|member| member.key == key) {
                self.at = start;
                return Err(self.error(format!("`{key}` stands twice in one object")));
            }
            if !self.eat(b':') {
                return Err(self.error("a `:` is missing after the key"));
            }
            let node = self.value(depth + 1)?;
            members.push(Member { key, range, node });
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.eat(b',') {
                return Err(self.error("a `,` or `}` is missing"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat(b']') {
                return Ok(Value::List(items));
            }
            if !self.eat(b',') {
                return Err(self.error("a `,` or `]` is missing"));
            }
        }
    }

    fn word(&mut self) -> Result<Value, JsonError> {
        let rest = self.source.get(self.at..).unwrap_or_default();
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.error("this is no JSON value; JSON has no comments either"))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.error("a digit is missing"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Value::Number)
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.source.get(self.at..).unwrap_or_default();
            let Some(c) = rest.chars().next() else {
                self.at = start;
                return Err(self.error("a text that begins here is never closed"));
            };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(out);
                }
                '\\' => out.push(self.escaped()?),
                c if c < ' ' => {
                    return Err(
                        self.error("a line end or another control character is written as \\n or \\u00…")
                    );
                }
                c => {
                    self.at += c.len_utf8();
                    out.push(c);
                }
            }
        }
    }

    fn escaped(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("there is no such escape")),
        };
        self.at += 1;
        Ok(c)
    }

    /// `\u00e9`, or a pair of them for what lies beyond.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let mut units = vec![self.unit()?];
        if (0xd800..0xdc00).contains(&units[0]) {
            if !self
                .source
                .get(self.at..)
                .is_some_and(|rest| rest.starts_with("\\u"))
            {
                return Err(self.error("the second half of this character is missing"));
            }
            self.at += 1;
            units.push(self.unit()?);
        }
        let found = char::decode_utf16(units).next().and_then(Result::ok);
        found.ok_or_else(|| self.error("this is no character"))
    }

    fn unit(&mut self) -> Result<u16, JsonError> {
        let digits = self.source.get(self.at + 1..self.at + 5).unwrap_or_default();
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let unit = u16::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        let unit = unit.ok_or_else(|| self.error("\\u is followed by four hexadecimal digits"))?;
        self.at += 5;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compacted(source: &str) -> Result<String, JsonError> {
        let mut out = String::new();
        compact(source, &parse(source)?, &mut out);
        Ok(out)
    }

    #[test]
    fn order_and_meaning_stay_and_white_space_goes() {
        assert_eq!(
            compacted("\u{feff}{ \"b\" : [1.50, -2e3,\r\n true], \"a\": {\"x\": null} }\n").unwrap(),
            r#"{"b":[1.50,-2e3,true],"a":{"x":null}}"#
        );
        assert_eq!(compacted(r#""\u0061\ud83d\ude00\n\/""#).unwrap(), "\"a😀\\n/\"");
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        for (source, at, said) in [
            ("", 0, "missing at the end"),
            ("[1,]", 3, "no JSON value"),
            ("{\"a\":1,\"a\":2}", 7, "twice"),
            ("{a: 1}", 1, "a key in double quotes"),
            ("[1] x", 4, "nothing may follow"),
            ("\"abc", 0, "never closed"),
            ("[01]", 2, "a `,` or `]`"),
            ("[\"\\ud800x\"]", 8, "second half"),
            ("// no\n[]", 0, "no comments"),
        ] {
            let error = parse(source).unwrap_err();
            assert_eq!(error.at, at, "{source}: {}", error.said);
            assert!(error.said.contains(said), "{source}: {}", error.said);
        }
        assert!(parse(&"[".repeat(5_000)).unwrap_err().said.contains("deeper"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(source in "[\\[\\]{}:,\"\\\\ue0-9tn. ]{0,40}") {
            if let Ok(once) = compacted(&source) {
                prop_assert_eq!(compacted(&once).unwrap(), once);
            }
        }

        #[test]
        fn what_is_quoted_is_read_back(text in any::<String>()) {
            let mut out = String::new();
            quote(&text, &mut out);
            prop_assert_eq!(parse(&out).unwrap().value, Value::Text(text));
        }
    }
}
