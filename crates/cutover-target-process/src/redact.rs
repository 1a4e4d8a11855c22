//! Keep secrets out of what an application wrote, before a line of it is shown elsewhere.

use std::collections::BTreeMap;

/// A variable whose name holds one of these is taken for a secret.
const SECRET_NAMES: [&str; 6] = ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH"];

/// Shorter values would blot out ordinary words.
const SHORTEST_SECRET: usize = 4;

/// The line with the environment's secrets and all passwords in URLs replaced by `***`.
pub(crate) fn redact(line: &str, environment: &BTreeMap<String, String>) -> String {
    let mut text = line.to_owned();
    for (name, value) in environment {
        let upper = name.to_ascii_uppercase();
        if SECRET_NAMES.iter().any(|part| upper.contains(part)) && value.len() >= SHORTEST_SECRET {
            text = text.replace(value.as_str(), "***");
        }
        if let Some((_, password)) = userinfo(value).and_then(|info| info.split_once(':'))
            && password.len() >= SHORTEST_SECRET
        {
            text = text.replace(password, "***");
        }
    }
    hide_url_passwords(&text)
}

/// What stands between `://` and the last `@` of a URL's authority.
fn userinfo(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', ' ', '"', '\'']).next()?;
    authority.rsplit_once('@').map(|(info, _)| info)
}

fn hide_url_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        rest = after;
        if let Some(info) = userinfo(&format!("://{after}"))
            && let Some((user, _)) = info.split_once(':')
        {
            shown.push_str(user);
            shown.push_str(":***");
            rest = &after[info.len()..];
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_environment_and_passwords_in_urls_are_hidden() {
        let environment = BTreeMap::from([
            (
                "DATABASE_URL".to_owned(),
                "postgres://shop:hunter2@db/shop".to_owned(),
            ),
            ("API_TOKEN".to_owned(), "abcdef".to_owned()),
            ("GREETING".to_owned(), "hello".to_owned()),
        ]);
        let cases = [
            (
                "cannot connect to postgres://shop:hunter2@db/shop",
                "cannot connect to postgres://shop:***@db/shop",
            ),
            (
                "two http://a:b@c/ and https://d:e@f/g",
                "two http://a:***@c/ and https://d:***@f/g",
            ),
            ("token abcdef, hello", "token ***, hello"),
            ("password hunter2", "password ***"),
            ("see http://host/path@x:y", "see http://host/path@x:y"),
        ];
        for (line, shown) in cases {
            assert_eq!(redact(line, &environment), shown);
        }
    }
}
