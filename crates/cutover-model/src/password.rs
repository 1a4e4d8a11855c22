//! Texts that may hold a password, made fit to be shown.
//!
//! The one place that knows where passwords stand in a text: between user and host of a URL, and after `password=` in
//! its parameters or in a list of connection settings.

/// What precedes a password in parameters and connection settings.
const KEYS: [&str; 4] = ["password=", "passwd=", "pwd=", "sslpassword="];

/// The text with `***` for every password.
#[must_use]
pub fn cover_passwords(text: &str) -> String {
    cover(text, |_| "***".to_owned())
}

/// The same with a `*` for every character, so that what follows stays in its column.
#[must_use]
pub fn cover_passwords_in_place(text: &str) -> String {
    cover(text, |password| "*".repeat(password.chars().count()))
}

/// A text without these secrets, wherever they stand in it.
#[must_use]
pub fn cover_secrets(text: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    secrets.retain(|secret| !secret.trim().is_empty());
    // The longest first: one may be a part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
        .into_iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

/// The passwords of a text, as they stand in it.
#[must_use]
pub fn passwords(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((start, length)) = password(rest) {
        found.push(&rest[start..start + length]);
        rest = &rest[start + length..];
    }
    found
}

fn cover(text: &str, mask: impl Fn(&str) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, length)) = password(rest) {
        let (before, from) = rest.split_at(start);
        shown.push_str(before);
        shown.push_str(&mask(&from[..length]));
        rest = &from[length..];
    }
    shown.push_str(rest);
    shown
}

/// The first password of a text: where it begins, and its length in bytes. A reference (`${env:NAME}`) is none.
fn password(text: &str) -> Option<(usize, usize)> {
    let lower = text.to_ascii_lowercase();
    (0..text.len()).find_map(|at| {
        let (start, length) = if text.get(at..)?.starts_with("://") {
            in_authority(text, at + 3)?
        } else {
            let key = KEYS.iter().find(|key| lower[at..].starts_with(**key))?;
            after_key(text, at + key.len())
        };
        let found = &text[start..start + length];
        (!found.is_empty() && !found.starts_with("${") && found.chars().any(|c| c != '*'))
            .then_some((start, length))
    })
}

/// `user:password@` after a URL's `://`.
fn in_authority(text: &str, from: usize) -> Option<(usize, usize)> {
    let url = &text[from..];
    let end = url
        .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>'))
        .unwrap_or(url.len());
    // The last `@`, whatever stands before it: a password that was not percent-encoded may hold `@`, `/` and `?`.
    let host = url[..end].rfind('@')?;
    let colon = url[..host].find(':')?;
    Some((from + colon + 1, host - colon - 1))
}

/// What follows `password=`: quoted, or up to what ends a parameter.
fn after_key(text: &str, from: usize) -> (usize, usize) {
    let value = &text[from..];
    if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let inner = &value[1..];
        return (from + 1, inner.find(quote).unwrap_or(inner.len()));
    }
    let end = value
        .find(|c: char| {
            c.is_whitespace() || matches!(c, '&' | ';' | ',' | '"' | '\'' | '`' | '<' | '>' | ')')
        })
        .unwrap_or(value.len());
    (from, end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn passwords_are_covered_and_nothing_else() {
        for (text, shown) in [
            ("postgres://u:hunter2@db/x", "postgres://u:***@db/x"),
            ("postgres://u:p@ss@db/x", "postgres://u:***@db/x"),
            ("postgres://u:p/w?d@db/x", "postgres://u:***@db/x"),
            (
                "two http://a:b@c/ and 'https://d:e@f/g'",
                "two http://a:***@c/ and 'https://d:***@f/g'",
            ),
            (
                "postgres://h/x?user=u&password=hunter2&a=b",
                "postgres://h/x?user=u&password=***&a=b",
            ),
            (
                "host=h PASSWORD='hunter 2' user=u",
                "host=h PASSWORD='***' user=u",
            ),
            (
                "url: postgres://u:${env:PW}@db/x",
                "url: postgres://u:${env:PW}@db/x",
            ),
            (
                "see http://host:80/ and http://host/path@x:y",
                "see http://host:80/ and http://host/path@x:y",
            ),
            ("a password is asked for", "a password is asked for"),
            ("é://ü:ß@ö", "é://ü:***@ö"),
            ("", ""),
        ] {
            assert_eq!(cover_passwords(text), shown);
            assert_eq!(cover_passwords(shown), shown, "once is enough");
        }
    }

    #[test]
    fn passwords_are_found() {
        let text = "postgres://u:one@h/d?sslpassword=two";
        assert_eq!(passwords(text), ["one", "two"]);
        assert!(passwords("sqlite:shop.db").is_empty());
    }

    #[test]
    fn columns_stay() {
        assert_eq!(
            cover_passwords_in_place("url: postgres://u:hünter2@db/x # why"),
            "url: postgres://u:*******@db/x # why"
        );
    }

    proptest! {
        #[test]
        fn no_password_comes_through(password in "[a-zA-Z0-9/?@:#=&%$;,]{6,20}", before in ".{0,20}") {
            prop_assume!(!before.contains("://") && !before.contains("${"));
            let shown = cover_passwords(&format!("{before} postgres://shop:Q{password}Q@host/db"));
            prop_assert!(!shown.contains(&password), "{shown}");
        }

        #[test]
        fn any_text_keeps_its_columns(text in ".*") {
            prop_assert_eq!(cover_passwords_in_place(&text).chars().count(), text.chars().count());
        }
    }
}
