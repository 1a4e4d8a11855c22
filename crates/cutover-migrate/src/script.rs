//! A dry run as text: what would be run, in order, as files that another program could run. Pure.

use std::fmt::Write as _;
use std::sync::Arc;

use cutover_sql::{Dialect, ended};

use crate::job::commits_by_itself;
use crate::{Direction, MigrationFile, Script};

/// The statements of files one after the other, each file with what it is and whether it is one transaction.
pub(crate) fn text(dialect: Dialect, files: &[Arc<MigrationFile>], direction: Direction) -> String {
    let mut out = String::new();
    for file in files {
        let script = match direction {
            Direction::Up => Some(&file.up),
            Direction::Down => file.down.as_ref(),
        };
        let Some(script) = script else { continue };
        let whole = script.transaction && !commits_by_itself(dialect, script);
        let how = if whole {
            "one transaction"
        } else {
            "statement by statement"
        };
        let phase = file.migration.phase;
        let separator = if out.is_empty() { "" } else { "\n" };
        let (comment, how) = match dialect {
            Dialect::MongoDb => ("//", "command by command"),
            _ => ("--", how),
        };
        // Into a String, this cannot fail.
        let _ = writeln!(out, "{separator}{comment} {} ({phase}, {how})", script.name);
        if dialect == Dialect::MongoDb {
            out.push_str(&statements(dialect, script));
            out.push('\n');
            continue;
        }
        if whole {
            out.push_str("BEGIN;\n");
        }
        let written = script.text.trim_start_matches('\u{feff}').trim();
        let directed = !file.syncs.is_empty() || !file.ended.is_empty() || file.batched.is_some();
        let body = if directed {
            statements(dialect, script)
        } else {
            written.to_owned()
        };
        out.push_str(&body);
        // The last line may be a comment.
        out.push_str(if body.ends_with(';') { "\n" } else { "\n;\n" });
        if whole {
            out.push_str("COMMIT;\n");
        }
    }
    out
}

/// With what the header's directives add.
fn statements(dialect: Dialect, script: &Script) -> String {
    let all = script.statements.iter();
    let text: String = all.map(|one| ended(dialect, &one.text)).collect();
    text.trim_end().to_owned()
}
