//! A condition's text as words.

use super::InvalidCondition;

/// A word and the character where it begins, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) column: usize,
    pub(super) word: Word,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Number(f64),
    Text(String),
    Name(String),
    Sign(&'static str),
}

/// Longer ones first, so that `<=` is not read as `<` and `=`.
const SIGNS: [&str; 20] = [
    "<=", ">=", "==", "!=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", ".", ",",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, InvalidCondition> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let skipped = rest.trim_start();
        let column = text[..text.len() - skipped.len()].chars().count() + 1;
        rest = skipped;
        let Some(first) = rest.chars().next() else {
            return Ok(found);
        };
        let (word, length) = if first.is_ascii_digit() {
            number(rest, column)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            (name(&rest[..length]), length)
        } else if first == '"' || first == '\'' {
            text_in(rest, first, column)?
        } else {
            sign(rest, first, column)?
        };
        found.push(Token { column, word });
        rest = &rest[length..];
    }
}

/// `and`, `or` and `not` are other spellings; `in` is a sign that is written as a word.
fn name(text: &str) -> Word {
    match text {
        "and" => Word::Sign("&&"),
        "or" => Word::Sign("||"),
        "not" => Word::Sign("!"),
        "in" => Word::Sign("in"),
        other => Word::Name(other.to_owned()),
    }
}

fn number(rest: &str, column: usize) -> Result<(Word, usize), InvalidCondition> {
    let mut length = 0;
    let mut before = ' ';
    for c in rest.chars() {
        let exponent_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
        if !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || exponent_sign) {
            break;
        }
        length += 1;
        before = c;
    }
    let text = &rest[..length];
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    let number = number.ok_or_else(|| InvalidCondition {
        column,
        problem: format!("`{text}` is no number"),
    })?;
    Ok((Word::Number(number), length))
}

fn text_in(rest: &str, quote: char, column: usize) -> Result<(Word, usize), InvalidCondition> {
    let mut text = String::new();
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            text.push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Ok((Word::Text(text), at + 1));
        } else {
            text.push(c);
        }
    }
    Err(InvalidCondition {
        column,
        problem: "this text is not closed".to_owned(),
    })
}

fn sign(rest: &str, first: char, column: usize) -> Result<(Word, usize), InvalidCondition> {
    if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
        return Ok((Word::Sign(sign), sign.len()));
    }
    let meant = match first {
        '=' => "; did you mean `==`?",
        '&' => "; did you mean `&&`?",
        '|' => "; did you mean `||`?",
        _ => "",
    };
    Err(InvalidCondition {
        column,
        problem: format!("`{first}` means nothing here{meant}"),
    })
}
