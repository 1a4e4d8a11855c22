//! Keep secrets out of what an application wrote, before a line of it is shown elsewhere.

use std::collections::BTreeMap;

use cutover_model::{cover_passwords, passwords};

/// A variable whose name holds one of these is taken for a secret.
const SECRET_NAMES: [&str; 9] = [
    "PASS",
    "SECRET",
    "TOKEN",
    "KEY",
    "CREDENTIAL",
    "AUTH",
    "SALT",
    "SIGN",
    "DSN",
];

/// Shorter values would blot out ordinary words.
const SHORTEST_SECRET: usize = 4;

/// Shorter values are taken for a secret by their variable's name only.
const SHORTEST_OPAQUE: usize = 8;

/// The line with the environment's secrets and all passwords in URLs replaced by `***`.
pub(crate) fn redact(line: &str, environment: &BTreeMap<String, String>) -> String {
    let mut secrets: Vec<&str> = environment
        .iter()
        .filter(|(name, value)| is_secret_name(name) || is_opaque(value))
        .map(|(_, value)| value.as_str())
        .chain(environment.values().flat_map(|value| passwords(value)))
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
        .collect();
    // The longest first: what is left of a long one, when a short one within it is gone, is still a part of it.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let text = secrets
        .into_iter()
        .fold(line.to_owned(), |text, secret| text.replace(secret, "***"));
    cover_passwords(&text)
}

fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|part| upper.contains(part))
}

/// Whether a value looks like something that nobody is meant to read, whatever its variable is called: one word of
/// letters and digits, and neither an address, a path nor a version.
fn is_opaque(value: &str) -> bool {
    value.len() >= SHORTEST_OPAQUE
        && value.contains(|c: char| c.is_ascii_digit())
        && value.contains(|c: char| c.is_ascii_alphabetic())
        && !value.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ':' | '.' | ','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_environment_and_passwords_in_urls_are_hidden() {
        let environment = BTreeMap::from(
            [
                ("DATABASE_URL", "postgres://shop:hunter2@db/shop"),
                ("API_TOKEN", "abcdef"),
                ("OTHER_TOKEN", "abcdefgh"),
                ("PAYMENTS", "sk_live_51H8x"),
                ("GREETING", "hello"),
                ("REDIS_HOST", "redis-1.internal:6379"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let cases = [
            (
                "cannot connect to postgres://shop:hunter2@db/shop",
                "cannot connect to postgres://shop:***@db/shop",
            ),
            ("token abcdef, hello", "token ***, hello"),
            ("token abcdefgh", "token ***"),
            ("payments: sk_live_51H8x?", "payments: ***?"),
            ("password hunter2", "password ***"),
            (
                "no answer of redis-1.internal:6379",
                "no answer of redis-1.internal:6379",
            ),
            ("see http://host/path@x:y", "see http://host/path@x:y"),
        ];
        for (line, shown) in cases {
            assert_eq!(redact(line, &environment), shown);
        }
    }
}
