//! Lines made of toned spans: laid out by width first, coloured last, so that escapes never disturb a column.

use owo_colors::{OwoColorize as _, Style as Escape};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::address::is_part_of_a_word;
use super::style::Style;

/// What a span means. Every meaning is also readable without its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    Plain,
    /// What the eye should find first.
    Strong,
    /// What it may pass over.
    Dim,
    /// Nothing special, and somebody else's words: no command in it is ours.
    Quoted,
    /// The stable revision.
    Stable,
    /// The candidate.
    Candidate,
    /// Something waits, or a person should look.
    Waiting,
    /// Something is wrong.
    Wrong,
}

impl Tone {
    fn escape(self) -> Escape {
        let base = Escape::new();
        match self {
            Self::Plain | Self::Quoted => base,
            Self::Strong => base.bold(),
            Self::Dim => base.dimmed(),
            Self::Stable => base.blue(),
            Self::Candidate => base.green(),
            Self::Waiting => base.yellow(),
            Self::Wrong => base.red(),
        }
    }
}

/// How many columns a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// What comes from outside must not move the cursor: control characters become spaces.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A text cut to a width, with `…` where something is missing.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        kept.push(c);
        used += wide;
    }
    let mut kept = kept.trim_end().to_owned();
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// Words that stay together: a command in backticks, the program and what it is told, a number and its per cent sign.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for piece in text.split_whitespace() {
        match words.last_mut() {
            Some(last)
                if open
                    || ends_with_the_program(last)
                    || piece.starts_with('%')
                    || piece == "×"
                    || last.ends_with(" ×") =>
            {
                last.push(' ');
                last.push_str(piece);
            }
            _ => words.push(piece.to_owned()),
        }
        if piece.matches('`').count() % 2 == 1 {
            open = !open;
        }
    }
    words
}

fn ends_with_the_program(text: &str) -> bool {
    text.strip_suffix("cutover")
        .is_some_and(|before| !is_part_of_a_word(before))
}

/// A text in lines of at most a width. Line breaks stay; what is longer than a line is broken where it must be, but for a
/// command in backticks: half of one does something else.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    for part in text.split('\n') {
        let mut line = String::new();
        let mut queue: Vec<String> = words(part);
        queue.reverse();
        while let Some(word) = queue.pop() {
            let gap = usize::from(!line.is_empty());
            let is_command = word.starts_with("`cutover ");
            if columns(&line) + gap + columns(&word) <= width || (gap == 0 && is_command) {
                if gap == 1 {
                    line.push(' ');
                }
                line.push_str(&word);
            } else if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                queue.push(word);
            } else if let Some((first, rest)) = word.split_once(' ') {
                // A glued group that is longer than a line comes apart again.
                queue.push(rest.to_owned());
                queue.push(first.to_owned());
            } else {
                let (head, tail) = split_at_width(&word, width);
                lines.push(head);
                queue.push(tail);
            }
        }
        lines.push(line);
    }
    lines
}

fn split_at_width(word: &str, width: usize) -> (String, String) {
    let mut used = 0;
    for (at, c) in word.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width && at > 0 {
            return (word[..at].to_owned(), word[at..].to_owned());
        }
    }
    (word.to_owned(), String::new())
}

/// One line, in spans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Tone, String)>);

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// So many spaces.
    pub(crate) fn indent(columns: usize) -> Self {
        Self::new().plain(&" ".repeat(columns))
    }

    pub(crate) fn plain(self, text: &str) -> Self {
        self.tone(Tone::Plain, text)
    }

    pub(crate) fn tone(mut self, tone: Tone, text: &str) -> Self {
        if !text.is_empty() {
            self.0.push((tone, harmless(text)));
        }
        self
    }

    /// Everything of another line behind this.
    pub(crate) fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| columns(text)).sum()
    }

    /// Spaces up to a column; two when it is past it already, so that cells never touch.
    pub(crate) fn to(self, column: usize) -> Self {
        let missing = column.checked_sub(self.width()).unwrap_or(2);
        self.plain(&" ".repeat(missing))
    }

    /// A text that ends at a column.
    pub(crate) fn right(self, tone: Tone, text: &str, edge: usize) -> Self {
        let gap = edge.saturating_sub(self.width() + columns(text)).max(1);
        self.plain(&" ".repeat(gap)).tone(tone, text)
    }

    /// Cut to a width.
    pub(crate) fn fit(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let mut left = width;
        let mut kept = Vec::new();
        for (tone, text) in self.0 {
            let wide = columns(&text);
            if wide < left {
                left -= wide;
                kept.push((tone, text));
            } else {
                // One column is always left for the ellipsis.
                kept.push((tone, fit(&format!("{text}…"), left)));
                break;
            }
        }
        Self(kept)
    }

    /// Its words as they were put in, without spaces at the end.
    pub(crate) fn text(&self) -> String {
        let text: String = self.0.iter().map(|(_, text)| text.as_str()).collect();
        text.trim_end().to_owned()
    }

    /// Its spans as they are shown: the commands in them have what they need to be about the same.
    fn told(&self, style: &Style) -> impl Iterator<Item = (Tone, String)> {
        self.0.iter().map(|(tone, text)| match tone {
            Tone::Quoted => (*tone, text.clone()),
            _ => (*tone, harmless(&style.address.put(text))),
        })
    }

    /// As text, without spaces at the end.
    pub(crate) fn paint(&self, style: &Style) -> String {
        let mut spans: Vec<(Tone, String)> = self.told(style).collect();
        while let Some((_, last)) = spans.last_mut() {
            let kept = last.trim_end().len();
            last.truncate(kept);
            if kept > 0 {
                break;
            }
            spans.pop();
        }
        spans
            .iter()
            .map(|(tone, text)| {
                if style.colour && !matches!(tone, Tone::Plain | Tone::Quoted) {
                    text.style(tone.escape()).to_string()
                } else {
                    text.clone()
                }
            })
            .collect()
    }
}

/// Lines from top to bottom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page(pub(crate) Vec<Line>);

impl Page {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn push(&mut self, line: Line) {
        self.0.push(line);
    }

    /// An empty line, unless there is one already.
    pub(crate) fn blank(&mut self) {
        if self.0.last().is_some_and(|last| last.width() > 0) {
            self.0.push(Line::new());
        }
    }

    /// A head, and a text beside it that is wrapped under its own beginning.
    pub(crate) fn hanging(&mut self, head: Line, tone: Tone, text: &str, edge: usize) {
        let column = head.width();
        let mut head = Some(head);
        for part in wrap(text, edge.saturating_sub(column)) {
            let line = head.take().unwrap_or_else(|| Line::indent(column));
            self.0.push(line.tone(tone, &part));
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many rows it takes where it is read: a command is never broken, and may be longer than a row.
    pub(crate) fn rows(&self, style: &Style) -> usize {
        let width = style.width.max(1);
        let wide = |line: &Line| line.told(style).map(|(_, text)| columns(&text)).sum::<usize>();
        self.0.iter().map(|line| wide(line).div_ceil(width).max(1)).sum()
    }

    /// As text; every line ends with a line break.
    pub(crate) fn paint(&self, style: &Style) -> String {
        self.0.iter().fold(String::new(), |mut text, line| {
            text.push_str(&line.paint(style));
            text.push('\n');
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("→ x", 3), "→ x");
        assert_eq!(
            Line::new().plain("日").to(4).plain("x").paint(&Style::bare()),
            "日  x"
        );
    }

    #[test]
    fn wrapping_keeps_commands_and_percentages_together() {
        assert_eq!(
            wrap("waits for it, then `cutover migrate contract` at 10 %", 27),
            ["waits for it, then", "`cutover migrate contract`", "at 10 %"]
        );
        assert_eq!(wrap("a\nb", 20), ["a", "b"]);
        for line in wrap(&"x".repeat(25), 10) {
            assert!(columns(&line) <= 10);
        }
    }

    #[test]
    fn commands_are_told_whole_and_quotations_as_they_are() {
        let mut style = Style::within("staging");
        style.width = 30;
        let mut page = Page::new();
        let text = "from here: relaunch 1.0.0, by `cutover rollback --to 1.0.0`, or wait";
        page.hanging(Line::new(), Tone::Plain, text, 20);
        page.push(Line::indent(2).tone(Tone::Quoted, "run: cutover status"));
        let lines = [
            "from here: relaunch",
            "1.0.0, by",
            "`cutover --env staging rollback --to 1.0.0`,",
            "or wait",
            "  run: cutover status",
        ];
        assert_eq!(page.paint(&style).lines().collect::<Vec<_>>(), lines);
        assert_eq!(page.rows(&style), 6);
        assert_eq!(wrap("then: cutover watch", 14), ["then:", "cutover watch"]);
    }

    #[test]
    fn what_comes_from_outside_cannot_move_the_cursor() {
        let line = Line::new().plain("a\u{1b}[2Jb\rc");
        assert_eq!(line.paint(&Style::bare()), "a [2Jb c");
    }

    #[test]
    fn a_line_is_cut_across_spans() {
        let line = Line::new().plain("abc").tone(Tone::Dim, "defgh");
        assert_eq!(line.clone().fit(8).paint(&Style::bare()), "abcdefgh");
        assert_eq!(line.clone().fit(6).paint(&Style::bare()), "abcde…");
        assert_eq!(line.fit(3).paint(&Style::bare()), "ab…");
    }
}
