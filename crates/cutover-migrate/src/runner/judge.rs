//! What came of a command, by how it ended and by where the schema was and is. Pure.

use cutover_model::{Diagnostic, SchemaRevision};
use cutover_ports::{Certainty, PortError};

use super::command::{Ended, Ran};

/// Where the schema should be afterwards.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// The tool knows.
    Anything,
    /// There.
    At(&'a SchemaRevision),
}

/// From where to where, or what is wrong, and whether it is known.
///
/// With a `current` nothing is in doubt: the schema is where it says. Without one the exit code is the tool's word; who got
/// none (it was ended, or killed) is in doubt, and a person is asked.
pub(super) fn judge(
    what: &str,
    ran: &Ran,
    wanted: Wanted<'_>,
    before: Option<SchemaRevision>,
    after: Option<Result<SchemaRevision, PortError>>,
) -> Result<Option<(SchemaRevision, SchemaRevision)>, PortError> {
    let after = after.transpose();
    let place = match (&before, &after) {
        (Some(before), Ok(Some(after))) if before == after => format!("; the schema stays at {after}"),
        (Some(before), Ok(Some(after))) => format!("; the schema was at {before} and is at {after}"),
        (Some(before), _) => format!("; the schema was at {before}"),
        (None, _) => String::new(),
    };
    let unmoved = matches!((&before, &after), (Some(before), Ok(Some(after))) if before == after);
    let code = match ran.ended {
        Ended::Code(0) => match (after?, wanted) {
            (Some(after), Wanted::At(to)) if after != *to => {
                let message = format!(
                    "{what} ended well, but the schema is at {after}, not at {to}{}",
                    ran.said()
                );
                return Err(failed("runner.elsewhere", message, false, true));
            }
            (after, _) => return Ok(before.zip(after)),
        },
        Ended::Code(_) | Ended::Signal(_) => "runner.failed",
        Ended::TimedOut(_) => "runner.timed-out",
        Ended::Stopped => "migrate.stopped",
    };
    let its_word = matches!(ran.ended, Ended::Code(_));
    let known = before.is_some() || its_word;
    Err(failed(code, format!("{what} {ran}{place}"), unmoved, known))
}

fn failed(code: &str, message: String, unmoved: bool, known: bool) -> PortError {
    let help = if known {
        "cutover migrate status"
    } else {
        "cutover mark-done, or cutover mark-not-done"
    };
    PortError {
        certainty: if unmoved {
            Certainty::DefinitelyNot
        } else {
            Certainty::Unknown
        },
        // What is known and stays is not tried again by itself.
        transient: !known,
        diagnostic: Box::new(Diagnostic::error(code, message).help(help)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ran(ended: Ended) -> Ran {
        Ran {
            ended,
            out: String::new(),
            last: "boom".to_owned(),
        }
    }

    fn at(text: &str) -> SchemaRevision {
        SchemaRevision::from_output(text, false)
    }

    #[test]
    fn how_it_ended_and_where_the_schema_is() {
        let late = Ended::TimedOut(Duration::from_secs(1));
        let to = at("a");
        let anything = Wanted::Anything;
        let table = [
            (Ended::Code(0), anything, Some("a"), Some("b"), "a → b"),
            (Ended::Code(0), anything, Some("a"), Some("a"), "a → a"),
            (Ended::Code(0), anything, None, None, "done"),
            (Ended::Code(0), Wanted::At(&to), Some("b"), Some("a"), "b → a"),
            (
                Ended::Code(0),
                Wanted::At(&to),
                Some("b"),
                Some("b"),
                "runner.elsewhere Unknown stays",
            ),
            (
                Ended::Code(3),
                anything,
                Some("a"),
                Some("a"),
                "runner.failed DefinitelyNot stays",
            ),
            (
                Ended::Code(3),
                anything,
                Some("a"),
                Some("b"),
                "runner.failed Unknown stays",
            ),
            (
                Ended::Code(3),
                anything,
                None,
                None,
                "runner.failed Unknown stays",
            ),
            (
                Ended::Signal(9),
                anything,
                Some("a"),
                Some("a"),
                "runner.failed DefinitelyNot stays",
            ),
            (
                Ended::Signal(9),
                anything,
                None,
                None,
                "runner.failed Unknown asks",
            ),
            (
                late,
                anything,
                Some("a"),
                Some("b"),
                "runner.timed-out Unknown stays",
            ),
            (late, anything, None, None, "runner.timed-out Unknown asks"),
            (
                Ended::Stopped,
                anything,
                Some("a"),
                None,
                "migrate.stopped Unknown stays",
            ),
            (
                Ended::Stopped,
                anything,
                None,
                None,
                "migrate.stopped Unknown asks",
            ),
        ];
        for (ended, wanted, before, after, expected) in table {
            let got = judge(
                "m of db",
                &ran(ended),
                wanted,
                before.map(at),
                after.map(|text| Ok(at(text))),
            );
            let got = match got {
                Ok(Some((from, to))) => format!("{from} → {to}"),
                Ok(None) => "done".to_owned(),
                Err(error) => {
                    let next = if error.transient { "asks" } else { "stays" };
                    format!("{} {:?} {next}", error.diagnostic.code, error.certainty)
                }
            };
            assert_eq!(got, expected, "{ended:?} {before:?} {after:?}");
        }
    }

    #[test]
    fn an_error_says_where_the_schema_is_and_what_was_said() {
        let error = judge(
            "m of db",
            &ran(Ended::Code(3)),
            Wanted::Anything,
            Some(at("a")),
            Some(Ok(at("b"))),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "m of db ended with exit code 3, and said last: boom; the schema was at a and is at b"
        );
    }
}
