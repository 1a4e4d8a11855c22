//! The one place that prints: data on stdout, talk on stderr.
//!
//! Owns what was decided about both streams when the command began: colour, width, quiet, JSON, and what commands that are told
//! are about. A reader that goes away (`cutover status | head -1`) ends the printing, never the program.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cutover_model::Diagnostic;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::address::Address;
use super::style::{HERE, Style};
use super::{diagnostic, some_diagnostics};

/// Columns where there is no terminal to ask.
const DEFAULT_WIDTH: u16 = 80;
/// Longer lines than this are hard to read, whatever the terminal's width.
const MAX_WIDTH: u16 = 100;
/// Columns below which nothing is laid out any more.
const MIN_WIDTH: u16 = 40;

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` or `TERM=dumb` say otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Prints.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    output: Output,
    quiet: bool,
    data: Style,
    talk: Style,
    live: bool,
    /// Whether a reader has gone away, by stream: nothing more is written there.
    gone: Arc<[AtomicBool; 2]>,
}

fn colour(choice: Colour, found: anstream::ColorChoice) -> bool {
    match choice {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => !matches!(found, anstream::ColorChoice::Never),
    }
}

fn width(is_terminal: bool) -> usize {
    let found = if is_terminal {
        crossterm::terminal::size().ok().map(|(columns, _)| columns)
    } else {
        None
    };
    // Some terminals answer 0 when they do not know.
    let columns = found.filter(|columns| *columns > 0).unwrap_or(DEFAULT_WIDTH);
    usize::from(columns.clamp(MIN_WIDTH, MAX_WIDTH))
}

impl Printer {
    /// A printer for this process's streams; commands that are told get what `address` says.
    pub(crate) fn new(output: Output, choice: Colour, quiet: bool, address: &Address) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let data = Style {
            width: width(stdout.is_terminal()),
            colour: output == Output::Text && colour(choice, anstream::AutoStream::choice(&stdout)),
            zone: &HERE,
            address: address.clone(),
        };
        let talk = Style {
            width: width(stderr.is_terminal()),
            colour: colour(choice, anstream::AutoStream::choice(&stderr)),
            zone: &HERE,
            address: address.clone(),
        };
        let live = output == Output::Text && !quiet && stderr.is_terminal() && !is_dumb();
        Self {
            output,
            quiet,
            data,
            talk,
            live,
            gone: Arc::default(),
        }
    }

    /// The same, for another application or state.
    #[must_use]
    pub(crate) fn about(mut self, address: &Address) -> Self {
        self.data.address = address.clone();
        self.talk.address = address.clone();
        self
    }

    /// How data is drawn.
    pub(crate) const fn style(&self) -> &Style {
        &self.data
    }

    /// How talk is drawn; with the terminal's present width.
    pub(crate) fn talk_style(&self) -> Style {
        Style {
            width: width(io::stderr().is_terminal()),
            ..self.talk.clone()
        }
    }

    /// Whether data goes out as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Whether progress can be drawn in place.
    pub(crate) const fn is_live(&self) -> bool {
        self.live
    }

    /// Whether a person can answer.
    pub(crate) fn can_ask(&self) -> bool {
        self.live && io::stdin().is_terminal()
    }

    /// Data: to stdout as it is.
    pub(crate) fn data(&self, text: &str) {
        self.write(0, &mut io::stdout().lock(), text);
    }

    /// Data that names commands.
    pub(crate) fn told(&self, text: &str) {
        self.data(&self.data.address.put(text));
    }

    /// One JSON value as it is, on a line of its own: to stdout.
    pub(crate) fn json(&self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(line) => self.data(&format!("{line}\n")),
            Err(error) => self.talk(&format!("this value is no JSON: {error}\n")),
        }
    }

    /// One JSON value over several lines, for a command that answers with one: to stdout.
    pub(crate) fn json_pretty(&self, value: &impl Serialize) {
        let address = &self.data.address;
        if *address == Address::default() {
            return self.json_stored(value);
        }
        match serde_json::to_value(value) {
            Ok(mut value) => {
                address.put_into(&mut value);
                self.json_stored(&value);
            }
            Err(error) => self.talk(&format!("this value is no JSON: {error}\n")),
        }
    }

    /// The same of a value that is kept, or that others made: no word of it is changed.
    pub(crate) fn json_stored(&self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.data(&format!("{text}\n")),
            Err(error) => self.talk(&format!("this value is no JSON: {error}\n")),
        }
    }

    /// Talk: to stderr, unless quiet.
    pub(crate) fn talk(&self, text: &str) {
        if !self.quiet {
            self.write(1, &mut io::stderr().lock(), text);
        }
    }

    /// Talk that names commands.
    pub(crate) fn advise(&self, text: &str) {
        self.talk(&self.talk.address.put(text));
    }

    /// What is wrong: to stderr, also when quiet; with `--output json` as `{"error": …}` or `{"errors": …}` on stdout, with what
    /// belongs beside it.
    pub(crate) fn failure(&self, found: &[Diagnostic], mut beside: Map<String, Value>) {
        if self.is_json() {
            let (key, value) = match found {
                [one] => ("error", json!(one)),
                all => ("errors", json!(all)),
            };
            beside.insert(key.to_owned(), value);
            let mut value = Value::Object(beside);
            self.data.address.put_into(&mut value);
            self.json(&value);
            return;
        }
        let style = self.talk_style();
        let text = match found {
            [one] => diagnostic(one, &style),
            all => some_diagnostics(all, &style),
        };
        self.write(1, &mut io::stderr().lock(), &text);
    }
}

impl Printer {
    /// Nobody can be told that nobody reads: a closed pipe, a full disk behind a redirection.
    fn write(&self, stream: usize, out: &mut impl io::Write, text: &str) {
        let gone = &self.gone[stream];
        if gone.load(Ordering::Relaxed) {
            return;
        }
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if let Err(error) = written {
            gone.store(true, Ordering::Relaxed);
            if error.kind() != io::ErrorKind::BrokenPipe {
                tracing::warn!(%error, "could not print");
            }
        }
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let printer = Printer::new(Output::Text, Colour::Never, true, &Address::default());
        printer.write(0, &mut writer, "nobody reads this\n");
        assert!(printer.gone[0].load(Ordering::Relaxed));
    }

    #[test]
    fn the_flag_decides_before_the_stream() {
        assert!(colour(Colour::Always, anstream::ColorChoice::Never));
        assert!(!colour(Colour::Never, anstream::ColorChoice::Always));
        assert!(!colour(Colour::Auto, anstream::ColorChoice::Never));
        assert!(colour(Colour::Auto, anstream::ColorChoice::Always));
    }
}
