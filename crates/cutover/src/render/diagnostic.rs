//! What is wrong, shown at its place, with what to do next.

use std::collections::BTreeMap;

use cutover_model::{Diagnostic, Location, Severity};
use unicode_width::UnicodeWidthChar as _;

use super::style::Style;
use super::text::{Line, Page, Tone, columns};
use super::words::count;

/// Up to as many findings are all shown.
const MANY: usize = 20;
/// Of more, as many of each code.
const OF_EACH: usize = 3;

/// One finding.
pub(crate) fn diagnostic(found: &Diagnostic, style: &Style) -> String {
    let mut page = Page::new();
    draw(&mut page, found, style);
    page.paint(style)
}

/// Several findings, with a count at the end when there is more than one.
pub(crate) fn diagnostics(found: &[Diagnostic], style: &Style) -> String {
    several(found, usize::MAX, style)
}

/// The same, where hundreds of files may have one fault: some of each, and how many more.
pub(crate) fn some_diagnostics(found: &[Diagnostic], style: &Style) -> String {
    let of_each = if found.len() > MANY { OF_EACH } else { usize::MAX };
    several(found, of_each, style)
}

fn several(found: &[Diagnostic], of_each: usize, style: &Style) -> String {
    let mut page = Page::new();
    let mut hidden: BTreeMap<&str, Vec<&Diagnostic>> = BTreeMap::new();
    let mut drawn: BTreeMap<&str, usize> = BTreeMap::new();
    for one in found {
        let of_code = drawn.entry(&one.code).or_default();
        if *of_code == of_each {
            hidden.entry(&one.code).or_default().push(one);
            continue;
        }
        *of_code += 1;
        page.blank();
        draw(&mut page, one, style);
    }
    for (code, more) in &hidden {
        page.blank();
        let place = |one: &&Diagnostic| one.location.as_ref().map(|place| place.file.clone());
        let ends = more.first().and_then(place).zip(more.last().and_then(place));
        let among = ends.map_or_else(String::new, |(first, last)| format!(", from {first} to {last}"));
        let text = format!(
            "and {} more {code}{among}; --output json has them all",
            more.len()
        );
        page.hanging(Line::new(), Tone::Plain, &text, style.edge());
    }
    if found.len() > 1 {
        page.blank();
        let of = |severity| found.iter().filter(|one| one.severity == severity).count() as u64;
        let parts: Vec<String> = [
            (Severity::Error, "error"),
            (Severity::Warning, "warning"),
            (Severity::Note, "note"),
        ]
        .into_iter()
        .map(|(severity, word)| (of(severity), word))
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| count(n, word))
        .collect();
        page.push(Line::new().plain(&parts.join(", ")));
    }
    page.paint(style)
}

/// Draws a finding at the left edge.
pub(super) fn draw(page: &mut Page, found: &Diagnostic, style: &Style) {
    let (word, tone) = match found.severity {
        Severity::Error => ("error", Tone::Wrong),
        Severity::Warning => ("warning", Tone::Waiting),
        Severity::Note => ("note", Tone::Strong),
    };
    let head = format!("{word}[{}]:", found.code);
    let wrapped = super::text::wrap(&format!("{head} {}", found.message), style.edge());
    for (at, text) in wrapped.iter().enumerate() {
        let line = match text.strip_prefix(&head) {
            Some(rest) if at == 0 => Line::new().tone(tone, &head).tone(Tone::Strong, rest),
            _ => Line::indent(2 * usize::from(at > 0)).tone(Tone::Strong, text),
        };
        page.push(line);
    }
    // What stands above already is not said twice.
    let label = found
        .label
        .as_deref()
        .filter(|label| !found.message.ends_with(label));
    if let Some(place) = &found.location {
        excerpt(page, place, label, tone, style);
    } else if let Some(label) = label {
        page.hanging(Line::indent(2), Tone::Plain, label, style.edge());
    }
    notes(page, found, style);
}

fn notes(page: &mut Page, found: &Diagnostic, style: &Style) {
    let help = found.help.as_ref().map(|help| ("help", help.as_str()));
    let lines: Vec<(&str, &str)> = found
        .notes
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .chain(help)
        .collect();
    let wide = lines.iter().map(|(key, _)| columns(key)).max().unwrap_or(0);
    for (key, value) in lines {
        let head = Line::indent(2).tone(Tone::Dim, key).to(2 + wide + 2);
        let is_command = ["cutover ", "mv ", "sed "]
            .iter()
            .any(|word| value.starts_with(word));
        if key == "help" || is_command {
            // A command is copied: it is never broken.
            page.push(head.plain(value));
        } else {
            page.hanging(head, Tone::Plain, value, style.edge());
        }
    }
}

/// The line with a mark under what is meant. A long line is shown around the mark.
fn excerpt(page: &mut Page, place: &Location, label: Option<&str>, tone: Tone, style: &Style) {
    let number = place.line.to_string();
    let gutter = columns(&number);
    let title = format!("{}:{}:{}", place.file, place.line, place.column);
    page.push(Line::indent(gutter).tone(Tone::Dim, "┌─ ").plain(&title));
    let room = style.edge().saturating_sub(gutter + 2).max(20);
    let (text, from, length) = window(place, room);
    page.push(
        Line::new()
            .tone(Tone::Dim, &format!("{number}│"))
            .plain(" ")
            .tone(Tone::Quoted, &text),
    );
    let under = Line::indent(gutter)
        .tone(Tone::Dim, "│")
        .plain(" ")
        .plain(&" ".repeat(from));
    let mark = under.tone(tone, &"^".repeat(length));
    match label {
        Some(label) if mark.width() + 1 + columns(label) <= style.edge() => {
            page.push(mark.plain(" ").tone(tone, label));
        }
        Some(label) => {
            page.push(mark);
            let head = Line::indent(gutter).tone(Tone::Dim, "│").plain(" ");
            page.hanging(head, tone, label, style.edge());
        }
        None => page.push(mark),
    }
}

/// The part of the line that fits, the column of the mark in it, and the mark's length.
fn window(place: &Location, room: usize) -> (String, usize, usize) {
    // A tab is one column here, so that the mark is where the text is.
    let clean: Vec<char> = place
        .text
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let wide = |chars: &[char]| chars.iter().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    let start = place.column.saturating_sub(1).min(clean.len());
    let end = (start + place.length.max(1)).min(clean.len()).max(start);
    let mut first = 0;
    if wide(&clean) > room && wide(&clean[..end]) > room.saturating_sub(8) {
        while first < start && wide(&clean[first..start]) > room / 3 {
            first += 1;
        }
    }
    let cut = first > 0;
    let shown: String = clean[first..].iter().collect();
    let shown = if cut { format!("…{shown}") } else { shown };
    let from = wide(&clean[first..start]) + usize::from(cut);
    let length = wide(&clean[start..end]).clamp(1, room.saturating_sub(from).max(1));
    (super::text::fit(&shown, room), from, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown_key() -> Diagnostic {
        Diagnostic::error("spec.unknown-key", "`setWeigth` is not a key of a canary step")
            .at(Location {
                file: "cutover.yaml".to_owned(),
                line: 31,
                column: 9,
                length: 9,
                text: "      - setWeigth: 10".to_owned(),
            })
            .label("did you mean `setWeight`?")
            .help("cutover schema strategy.canary.steps")
    }

    fn locked() -> Diagnostic {
        Diagnostic::error(
            "migrate.lock-timeout",
            "004_full_name could not lock table users within 40 tries (6m 12s)",
        )
        .note(
            "held by",
            "pid 5121, application \"reports\", since 16:02, waiting on client\nSELECT … FROM users FOR UPDATE",
        )
        .note("state", "nothing of 004 was applied; the upgrade is paused at step 3")
        .note("next", "end that session, then: cutover resume\nor leave it as it is:   cutover abort")
    }

    #[test]
    fn at_its_place() {
        insta::assert_snapshot!(diagnostic(&unknown_key(), &Style::bare()));
    }

    #[test]
    fn at_its_place_in_colour() {
        let style = Style {
            colour: true,
            ..Style::bare()
        };
        insta::assert_snapshot!(diagnostic(&unknown_key(), &style).replace('\u{1b}', "␛"));
    }

    #[test]
    fn with_notes() {
        insta::assert_snapshot!(diagnostic(&locked(), &Style::bare()));
    }

    #[test]
    fn several_are_counted() {
        let found = [
            unknown_key(),
            Diagnostic::warning("spec.soak", "the soak is shorter than a minute"),
        ];
        insta::assert_snapshot!(diagnostics(&found, &Style::bare()));
        assert_eq!(
            some_diagnostics(&found, &Style::bare()),
            diagnostics(&found, &Style::bare())
        );
    }

    #[test]
    fn a_long_line_is_shown_around_its_mark() {
        let text = format!("url: {} # {}", "x".repeat(90), "y".repeat(60));
        let found = Diagnostic::error("spec.url", "this is no URL").at(Location {
            file: "cutover.yaml".to_owned(),
            line: 4,
            column: 90,
            length: 6,
            text,
        });
        let shown = diagnostic(&found, &Style::bare());
        assert!(shown.lines().all(|line| columns(line) <= 80), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn a_mark_under_wide_characters_and_past_the_end() {
        let found = Diagnostic::error("spec.name", "a name has lower-case letters").at(Location {
            file: "cutover.yaml".to_owned(),
            line: 2,
            column: 14,
            length: 3,
            text: "application: 日本語".to_owned(),
        });
        insta::assert_snapshot!(diagnostic(&found, &Style::bare()));
        let past = Diagnostic::error("spec.yaml", "the file ends here").at(Location {
            file: "cutover.yaml".to_owned(),
            line: 9,
            column: 80,
            length: 4,
            text: "services:".to_owned(),
        });
        insta::assert_snapshot!(diagnostic(&past, &Style::bare()));
    }

    #[test]
    fn of_hundreds_some_are_shown_and_the_others_counted() {
        let one = |at: usize| {
            let code = if at == 7 {
                "migrate.gap"
            } else {
                "migrate.down-missing"
            };
            Diagnostic::error(code, format!("fault {at}")).at(Location {
                file: format!("m/{at:03}_a.up.sql"),
                line: 1,
                column: 1,
                length: 1,
                text: "SELECT 1".to_owned(),
            })
        };
        let found: Vec<Diagnostic> = (1..=300).map(one).collect();
        let text = some_diagnostics(&found, &Style::bare());
        assert!(text.lines().count() < 40, "{text}");
        assert!(
            text.contains("fault 7\n") && !text.contains("fault 4\n"),
            "{text}"
        );
        let words: Vec<&str> = text.split_whitespace().collect();
        let words = words.join(" ");
        assert!(
            words.contains("and 296 more migrate.down-missing, from m/004_a.up.sql to m/300_a.up.sql; --output json has them all"),
            "{text}"
        );
        assert!(words.ends_with("300 errors"), "{text}");
        assert!(diagnostics(&found, &Style::bare()).contains("fault 299"));
    }

    #[test]
    fn what_the_message_says_is_not_said_beside_the_mark() {
        let found = Diagnostic::error("migrate.statement-failed", "001_a.up.sql: no such table: t")
            .label("no such table: t");
        let text = diagnostic(&found, &Style::bare());
        assert_eq!(text.matches("no such table").count(), 1, "{text}");
    }
}
