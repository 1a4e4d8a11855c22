//! `${name}`: what differs between databases and is put into statements when they run. `$${name}` is a literal `${name}`.

use std::collections::BTreeMap;
use std::ops::Range;

/// One `${name}` of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder<'a> {
    /// Its name.
    pub name: &'a str,
    /// Which bytes it stands in, from the dollar to the brace.
    pub range: Range<usize>,
}

/// A piece of a text.
enum Piece<'a> {
    Text(&'a str),
    Placeholder(Placeholder<'a>),
}

/// How long a `${name}` is that these bytes begin with. A name begins with a letter or `_`: `'${1,2}'` is an array and `$${`
/// may begin a quote, and both are left alone.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let inner = bytes.strip_prefix(b"${")?;
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let is_rest = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(*byte, b'_' | b'-' | b'.' | b':');
    let name = inner.iter().take_while(|byte| is_rest(byte)).count();
    (inner.first().is_some_and(is_first) && inner.get(name) == Some(&b'}')).then_some(name + 3)
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find("${")) {
        let start = at + found;
        let Some(length) = length(&text.as_bytes()[start..]) else {
            at = start + 2;
            continue;
        };
        let end = start + length;
        let escaped = text.as_bytes().get(start.wrapping_sub(1)) == Some(&b'$');
        let before = if escaped { start - 1 } else { start };
        out.push(Piece::Text(text.get(kept..before).unwrap_or_default()));
        out.push(if escaped {
            Piece::Text(text.get(start..end).unwrap_or_default())
        } else {
            Piece::Placeholder(Placeholder {
                name: text.get(start + 2..end - 1).unwrap_or_default(),
                range: start..end,
            })
        });
        (kept, at) = (end, end);
    }
    out.push(Piece::Text(text.get(kept..).unwrap_or_default()));
    out
}

/// Those of a text, in order.
#[must_use]
pub fn placeholders(text: &str) -> Vec<Placeholder<'_>> {
    let pieces = pieces(text).into_iter();
    pieces
        .filter_map(|piece| match piece {
            Piece::Placeholder(placeholder) => Some(placeholder),
            Piece::Text(_) => None,
        })
        .collect()
}

/// The text with its values.
///
/// # Errors
/// The first name that has none.
pub fn filled(text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Placeholder(one) => {
                out.push_str(values.get(one.name).ok_or_else(|| one.name.to_owned())?);
            }
        }
    }
    Ok(out)
}

/// A text that comes out as it is when it is filled: a value of the database within a statement.
#[must_use]
pub fn literally(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut kept = 0;
    for (start, _) in text.match_indices("${") {
        if length(&text.as_bytes()[start..]).is_some() {
            out.push_str(text.get(kept..start).unwrap_or_default());
            out.push('$');
            kept = start;
        }
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(text: &str) -> Result<String, String> {
        let values = [
            ("a".to_owned(), "X".to_owned()),
            ("b-1".to_owned(), "${a}".to_owned()),
        ];
        filled(text, &values.into_iter().collect())
    }

    #[test]
    fn names_are_replaced_once_and_the_rest_is_left_alone() {
        assert_eq!(fill("${a}${a} é ${b-1}"), Ok("XX é ${a}".to_owned()));
        assert_eq!(
            fill("$${a} $${1} '${1,2}' ${ a} ${"),
            Ok("${a} $${1} '${1,2}' ${ a} ${".to_owned())
        );
        assert_eq!(fill("${a} ${none}"), Err("none".to_owned()));
        let text = "x ${a} $${a} ${env:B}";
        let found: Vec<_> = placeholders(text)
            .into_iter()
            .map(|one| (one.name, &text[one.range]))
            .collect();
        assert_eq!(found, [("a", "${a}"), ("env:B", "${env:B}")]);
    }

    proptest! {
        #[test]
        fn what_is_meant_literally_stays(text in "[a${}é1]{0,24}") {
            prop_assert_eq!(filled(&literally(&text), &BTreeMap::new()), Ok(text));
        }

        #[test]
        fn nothing_else_is_lost(text in "[a${}é1]{0,24}") {
            let values = [("a".to_owned(), "a".to_owned()), ("aa".to_owned(), "aa".to_owned())];
            if let Ok(out) = filled(&text, &values.into_iter().collect()) {
                let kept = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
                prop_assert_eq!(kept(&out), kept(&text));
            }
        }
    }
}
