//! MongoDB's files: database commands in Extended JSON.
//!
//! A file is a list of commands, or an object that says of them what a header says of SQL: `{"phase": "contract", "retires":
//! "2.0.0", "commands": […]}`. A command is one statement. It must not know what a command answers.

mod again;
mod fact;
mod file;
mod sent;

pub use again::{Again, again};
pub(crate) use fact::read;
pub use fact::{Command, IndexFact, UpdateFact};
pub(crate) use file::{header, normalised, split, suppressions};
pub use sent::{Sent, sent};

use crate::json;

/// A value as it stands between the quotes of a JSON text.
#[must_use]
pub fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    json::escape(value, &mut out);
    out
}

/// A command as MongoDB's shell runs it.
pub(crate) fn in_shell(statement: &str) -> String {
    let run = match read(statement) {
        Some(Command::Rename { .. }) => "adminCommand",
        _ => "runCommand",
    };
    // The shell reads `{"$date": …}` as an object unless it is told otherwise.
    if statement.contains("\"$") {
        format!("db.{run}(EJSON.deserialize({statement}));\n")
    } else {
        format!("db.{run}({statement});\n")
    }
}

/// Whether it would be a part of a transaction, or end one.
pub(crate) fn controls_transaction(statement: &str) -> bool {
    const WORDS: [&str; 6] = [
        "startTransaction",
        "autocommit",
        "txnNumber",
        "lsid",
        "commitTransaction",
        "abortTransaction",
    ];
    let node = json::parse(statement);
    node.is_ok_and(|node| {
        let mut keys = node.members().iter().map(|member| member.key.as_str());
        keys.any(|key| WORDS.contains(&key))
    })
}
