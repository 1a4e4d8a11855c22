//! Words that make no command, told to a program.

use std::ffi::OsString;

use clap::CommandFactory as _;
use cutover_model::Diagnostic;

use super::Cli;

/// Whether a program reads the answer. The parser does not say where it has refused the words.
pub(crate) fn for_a_program(words: &[OsString]) -> bool {
    let apart = words
        .windows(2)
        .any(|two| two[0] == "--output" && two[1] == "json");
    apart || words.iter().any(|word| word == "--output=json")
}

/// What the parser says in paragraphs, in fields: the fault, a tip, how the command is written.
pub(crate) fn refused(error: &clap::Error, words: &[OsString]) -> Diagnostic {
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ")
    });
    let message = paragraphs.next().unwrap_or_default();
    let message = message.trim_start_matches("error: ").to_owned();
    let found = Diagnostic::error("usage.arguments", message);
    let noted = paragraphs.filter_map(|paragraph| {
        let (key, said) = paragraph.split_once(": ")?;
        ["tip", "Usage"]
            .contains(&key)
            .then(|| (key.to_lowercase(), said.to_owned()))
    });
    noted
        .fold(found, |found, (key, said)| found.note(&key, said))
        .help(format!("{} --help", command(words)))
}

/// The command that is meant, as far as there is one.
fn command(words: &[OsString]) -> String {
    let mut named = "cutover".to_owned();
    let found = Cli::command().ignore_errors(true).try_get_matches_from(words);
    let mut inner = found.as_ref().ok().and_then(clap::ArgMatches::subcommand);
    while let Some((name, matches)) = inner {
        named.extend([" ", name]);
        inner = matches.subcommand();
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &str) -> Diagnostic {
        let words: Vec<OsString> = words.split(' ').map(Into::into).collect();
        assert!(for_a_program(&words), "{words:?}");
        refused(&Cli::read(&words).unwrap_err(), &words)
    }

    #[test]
    fn words_that_make_no_command_are_told_in_fields() {
        let found = told("cutover migrate up --relase 1.0.0 --output json");
        assert_eq!(found.message, "unexpected argument '--relase' found");
        assert_eq!(
            found.notes[0],
            (
                "tip".to_owned(),
                "a similar argument exists: '--release'".to_owned()
            )
        );
        assert_eq!(found.help.as_deref(), Some("cutover migrate up --help"));
        let found = told("cutover --output=json plan");
        assert!(found.message.contains("<VERSION>"), "{found:?}");
        assert!(found.notes[0].1.starts_with("cutover plan"), "{found:?}");
        let found = told("cutover upgrad 1.0.0 --output json");
        assert_eq!(found.help.as_deref(), Some("cutover --help"));
        assert!(found.message.contains("'upgrad'"), "{found:?}");
    }

    #[test]
    fn a_person_is_told_by_the_parser() {
        let words = ["cutover", "plan", "--oops"].map(OsString::from);
        assert!(!for_a_program(&words));
    }
}
