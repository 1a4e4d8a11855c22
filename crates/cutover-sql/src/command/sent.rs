//! A command as it is sent: where it must run, and waited for until it cannot be lost.

use std::time::Duration;

use super::fact::{Command, read};
use crate::json::{self, Node, quote};

/// A command and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Whether it runs in the database `admin`.
    pub admin: bool,
    /// Its text.
    pub text: String,
}

/// Commands that take a write concern. What only one server has done is gone when another one takes its place, and by then the
/// history may say that it is done.
const WRITES: [&str; 13] = [
    "collMod",
    "convertToCapped",
    "create",
    "createIndexes",
    "delete",
    "drop",
    "dropDatabase",
    "dropIndexes",
    "findAndModify",
    "findandmodify",
    "insert",
    "renameCollection",
    "update",
];

/// Prepares a command of a file for a database. `renameCollection` runs in `admin` and names databases: the file may leave its
/// own out. Writes wait for a majority, and a command that may not run for long is ended by the server, unless the file says otherwise.
#[must_use]
pub fn sent(statement: &str, database: &str, limit: Option<Duration>) -> Sent {
    let Ok(node) = json::parse(statement) else {
        return Sent {
            admin: false,
            text: statement.to_owned(),
        };
    };
    let admin = matches!(read(statement), Some(Command::Rename { .. }));
    let name = node.members().first().map_or("", |member| member.key.as_str());
    let mut text = statement.trim_end().to_owned();
    let writes = WRITES.contains(&name) || matches!(read(statement), Some(Command::Fill { .. }));
    if writes && node.get("writeConcern").is_none() && text.pop() == Some('}') {
        text.push_str(",\"writeConcern\":{\"w\":\"majority\"}}");
    }
    if let Some(limit) = limit.filter(|_| node.get("maxTimeMS").is_none())
        && text.pop() == Some('}')
    {
        // Zero would be without end.
        text.push_str(&format!(",\"maxTimeMS\":{}}}", limit.as_millis().max(1)));
    }
    if admin {
        let mut names: Vec<&Node> = node.get(name).into_iter().chain(node.get("to")).collect();
        // From the end, so that the places before stay.
        names.sort_by_key(|node| std::cmp::Reverse(node.range.start));
        for one in names {
            let collection = one.text().unwrap_or_default();
            let has_own = collection
                .strip_prefix(database)
                .is_some_and(|rest| rest.starts_with('.'));
            if !has_own {
                let mut whole = String::new();
                quote(&format!("{database}.{collection}"), &mut whole);
                text.replace_range(one.range.clone(), &whole);
            }
        }
    }
    Sent { admin, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_wait_for_a_majority_and_names_are_whole() {
        let of = |text: &str| sent(text, "shop", None);
        assert_eq!(
            of("{\"create\": \"users\" }\n").text,
            r#"{"create": "users" ,"writeConcern":{"w":"majority"}}"#
        );
        let own = r#"{"drop": "users", "writeConcern": {"w": 1}}"#;
        assert_eq!(of(own).text, own);
        assert_eq!(of(r#"{"count": "users"}"#).text, r#"{"count": "users"}"#);
        assert_eq!(
            of(r#"{"renameCollection": "old.users", "to": "shop.people", "dropTarget": false}"#),
            Sent {
                admin: true,
                text: r#"{"renameCollection": "shop.old.users", "to": "shop.people", "dropTarget": false,"writeConcern":{"w":"majority"}}"#
                    .to_owned()
            }
        );
        assert!(!of(r#"{"create": "users"}"#).admin);
    }

    #[test]
    fn a_command_ends_in_its_time_unless_it_says_its_own() {
        let of = |text: &str| sent(text, "shop", Some(Duration::from_secs(2))).text;
        assert_eq!(
            of(r#"{"count": "users"} "#),
            r#"{"count": "users","maxTimeMS":2000}"#
        );
        assert_eq!(
            of(r#"{"create": "users"}"#),
            r#"{"create": "users","writeConcern":{"w":"majority"},"maxTimeMS":2000}"#
        );
        let own = r#"{"count": "users", "maxTimeMS": 5}"#;
        assert_eq!(of(own), own);
    }
}
