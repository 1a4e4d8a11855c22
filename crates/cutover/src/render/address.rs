//! Commands that are told to a person, with the options by which they find what this command was about.
//!
//! Whoever tells a command writes it without them (`cutover rollback`): what is stored is read again from elsewhere, and by others.
//! They are put in where it is shown, by [`Line::paint`](super::text::Line::paint) and the [`Printer`](super::Printer).

use std::borrow::Cow;
use std::sync::LazyLock;

use clap::CommandFactory as _;
use serde_json::Value;

use crate::cli::Cli;

/// The program, as it stands before a command.
const NAME: &str = "cutover ";

/// Commands that look at no file, environment and state: nothing is put into them.
const ALONE: [&[&str]; 7] = [
    &["analyze"],
    &["completion"],
    &["demo"],
    &["demo-shop"],
    &["migrate", "rules"],
    &["proxy", "run"],
    &["schema"],
];

/// Fields with what a user wrote, word for word.
const QUOTED: [&str; 4] = ["location", "sql", "statement", "text"];

/// The words that make a command of the name before them: in "the cutover that wrote it" nothing is put.
static COMMANDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let program = Cli::command();
    let names = program.get_subcommands().flat_map(|command| {
        let aliases = command.get_all_aliases().map(ToOwned::to_owned);
        std::iter::once(command.get_name().to_owned()).chain(aliases)
    });
    names.collect()
});

/// The options that a command needs so that it is about the same application, environment and state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Address(Vec<Told>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    /// `--state`
    option: &'static str,
    /// `--state /var/lib/cutover`, as a shell reads it.
    words: String,
}

impl Address {
    /// One more option.
    #[must_use]
    pub(crate) fn with(mut self, option: &'static str, value: &str) -> Self {
        // What looks like an option is a value only behind `=`.
        let between = if value.starts_with('-') { '=' } else { ' ' };
        let words = format!("{option}{between}{}", quoted(value));
        self.0.push(Told { option, words });
        self
    }

    /// A text whose commands have the options: `cutover resume` becomes `cutover --state /srv/shop resume`. What a command says
    /// itself stays.
    pub(crate) fn put<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.0.is_empty() || !text.contains(NAME) {
            return Cow::Borrowed(text);
        }
        let mut put = String::with_capacity(text.len() + 64);
        let mut rest = text;
        while let Some(at) = rest.find(NAME) {
            let (before, from) = rest.split_at(at);
            let after = &from[NAME.len()..];
            put.push_str(before);
            put.push_str(NAME);
            if !is_part_of_a_word(before)
                && let Some(command) = command(after)
            {
                for told in self.0.iter().filter(|told| !says(command, told.option)) {
                    put.push_str(&told.words);
                    put.push(' ');
                }
            }
            rest = after;
        }
        put.push_str(rest);
        Cow::Owned(put)
    }

    /// The same for every text in a value, but for what is quoted from a user's file.
    pub(super) fn put_into(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(put) = self.put(text) {
                    *text = put;
                }
            }
            Value::Array(all) => all.iter_mut().for_each(|one| self.put_into(one)),
            Value::Object(fields) => {
                let told = fields
                    .iter_mut()
                    .filter(|(key, _)| !QUOTED.contains(&key.as_str()));
                told.for_each(|(_, one)| self.put_into(one));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whether what follows is the end of a path or of another name.
pub(super) fn is_part_of_a_word(before: &str) -> bool {
    before.ends_with(|c: char| c.is_alphanumeric() || "-/_.".contains(c))
}

/// What follows the name of the program, as far as it belongs to one command that stands on file and state: to the end of the
/// line, of the backticks, or to the next command.
fn command(after: &str) -> Option<&str> {
    let line = &after[..after.find(['\n', '`']).unwrap_or(after.len())];
    let command = &line[..line.find(NAME).unwrap_or(line.len())];
    let mut words = command.split_whitespace().peekable();
    while let Some(option) = words.next_if(|word| word.starts_with("--")) {
        if !option.contains('=') {
            words.next();
        }
    }
    let end = |word: &'_ str| {
        word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
            .to_owned()
    };
    let words: Vec<String> = words.take(2).map(end).collect();
    let is_command = words.first().is_some_and(|first| COMMANDS.contains(first));
    let is_alone = ALONE
        .iter()
        .any(|alone| words.iter().zip(*alone).all(|(a, b)| a == b) && words.len() >= alone.len());
    (is_command && !is_alone && !says(command, "--help")).then_some(command)
}

/// Whether a command has an option.
fn says(command: &str, option: &str) -> bool {
    command.split_whitespace().any(|word| {
        word.strip_prefix(option).is_some_and(|rest| {
            rest.is_empty() || !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
        })
    })
}

/// One word for a POSIX shell.
pub(crate) fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,-=".contains(c);
    // zsh looks for a program behind `=` at the beginning.
    if !value.is_empty() && !value.starts_with('=') && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn elsewhere() -> Address {
        Address::default()
            .with("--config", "deploy/cutover.yaml")
            .with("--state", "/var/lib/cutover")
    }

    #[track_caller]
    fn becomes(text: &str, put: &str) {
        assert_eq!(elsewhere().put(text), put);
    }

    #[test]
    fn commands_get_the_options_wherever_they_stand() {
        let staging = Address::default().with("--env", "staging");
        let text = "end it, then: cutover resume\nor `cutover abort`; /opt/cutover is no command";
        assert_eq!(
            staging.put(text),
            "end it, then: cutover --env staging resume\nor `cutover --env staging abort`; /opt/cutover is no command"
        );
        assert_eq!(Address::default().put(text), text);
        becomes(
            "cutover rollback",
            "cutover --config deploy/cutover.yaml --state /var/lib/cutover rollback",
        );
        becomes(
            "2 of 3 done; cutover migrate up goes on",
            "2 of 3 done; cutover --config deploy/cutover.yaml --state /var/lib/cutover migrate up goes on",
        );
        becomes(
            "cutover retry, or cutover abort.",
            "cutover --config deploy/cutover.yaml --state /var/lib/cutover retry, or cutover --config deploy/cutover.yaml \
             --state /var/lib/cutover abort.",
        );
    }

    #[test]
    fn nothing_is_said_twice() {
        becomes(
            "cutover --state DIR status",
            "cutover --config deploy/cutover.yaml --state DIR status",
        );
        becomes(
            "`cutover status --state=/srv` or cutover abort",
            "`cutover --config deploy/cutover.yaml status --state=/srv` or cutover --config deploy/cutover.yaml --state \
             /var/lib/cutover abort",
        );
        let once = elsewhere().put("cutover watch, or cutover abort").into_owned();
        becomes(&once, &once);
        let staging = Address::default().with("--env", "staging");
        for text in ["cutover upgrade 1.2.0 --env canary", "cutover --env NAME status"] {
            assert_eq!(staging.put(text), text);
        }
        // Another option with the same beginning is another option.
        assert_eq!(
            staging.put("cutover check --environment x"),
            "cutover --env staging check --environment x"
        );
    }

    #[test]
    fn what_is_no_command_on_a_state_stays() {
        for text in [
            "this cutover knows up to 3",
            "use the newer cutover that wrote it",
            "/bin/cutover status",
            "my-cutover status",
            "cutover --version",
            "ls -l deploy",
            "-- cutover: phase=expand",
            "cutover schema strategy.canary.steps",
            "cutover migrate rules drop-column",
            "cutover migrate rules",
            "cutover proxy run --state-dir DIR …",
            "cutover migrate lint --help",
            "cutover demo",
            "cutover",
            "cutover ",
        ] {
            becomes(text, text);
        }
        becomes(
            "`cutover proxy status`",
            "`cutover --config deploy/cutover.yaml --state /var/lib/cutover proxy status`",
        );
    }

    #[test]
    fn a_shell_reads_one_word() {
        for (value, word) in [
            ("/var/lib/cutover", "/var/lib/cutover"),
            ("my shop/cutover.yaml", "'my shop/cutover.yaml'"),
            ("it's", r"'it'\''s'"),
            ("$HOME/x", "'$HOME/x'"),
            ("~/x", "'~/x'"),
            ("a;b", "'a;b'"),
            ("--to=0", "--to=0"),
            ("=ls", "'=ls'"),
            ("*", "'*'"),
            ("日本", "'日本'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(value), word);
            let shell = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {word}")])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), value);
        }
        let odd = Address::default()
            .with("--config", "-x.yaml")
            .with("--state", "a b");
        assert_eq!(
            odd.put("cutover check"),
            "cutover --config=-x.yaml --state 'a b' check"
        );
        assert_eq!(
            odd.put(&odd.put("cutover check")),
            "cutover --config=-x.yaml --state 'a b' check"
        );
    }

    #[test]
    fn values_get_them_too_and_quotations_do_not() {
        let mut value = json!({
            "help": "cutover status",
            "notes": [["next", "then: cutover resume"]],
            "location": { "text": "run: cutover status" },
            "took": 3,
        });
        Address::default().with("--env", "staging").put_into(&mut value);
        let told = json!({
            "help": "cutover --env staging status",
            "notes": [["next", "then: cutover --env staging resume"]],
            "location": { "text": "run: cutover status" },
            "took": 3,
        });
        assert_eq!(value, told);
    }

    #[test]
    fn the_commands_that_stand_alone_are_there() {
        let program = Cli::command();
        for words in ALONE {
            let mut at = &program;
            for word in words {
                at = at.find_subcommand(word).unwrap_or_else(|| panic!("{words:?}"));
            }
        }
    }
}
