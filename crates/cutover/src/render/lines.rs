//! Progress where there is no terminal: one calm line for each event that is worth telling.

use cutover_model::{Event, Plan, Progress, Record, Span, Timestamp};
use cutover_plan::State;

use super::style::Style;
use super::telling::{Rank, Teller};
use super::text::{Line, Tone};
use super::words;

/// Between two lines about the same long act.
const PART_EVERY: Span = Span::from_secs(10);

/// Tells an upgrade line by line. Lines are not wrapped: they are for logs, and for `grep`.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    teller: Teller,
    started: Option<Timestamp>,
    part_at: Option<Timestamp>,
}

impl Lines {
    /// From where an upgrade stands: a new controller, or a watcher that came late, tells the rest.
    pub(crate) fn after(state: &State) -> Self {
        Self {
            teller: Teller::after(state),
            started: Some(state.created_at),
            part_at: None,
        }
    }

    /// The line for a record; none when it is not worth one.
    pub(crate) fn line(&mut self, record: &Record, plan: &Plan, style: &Style) -> Option<String> {
        let started = *self.started.get_or_insert(record.at);
        let told = self.teller.tell(record, plan)?;
        if told.rank < Rank::Major && !self.is_due(record) {
            return None;
        }
        let elapsed = words::took(Span::between(started, record.at));
        let line = Line::new().tone(Tone::Dim, &format!("{elapsed:>8}")).plain("  ");
        let line = line
            .tone(told.tone, told.sign)
            .plain(" ")
            .tone(Tone::Strong, &told.label)
            .to(25);
        let line = line.plain(&told.text);
        let line = match told.acknowledged {
            Some(ms) => line.plain(&format!(", acknowledged after {ms} ms")),
            None => line,
        };
        let line = match told.took {
            Some(took) if took.as_millis() >= 100 => {
                line.tone(Tone::Dim, &format!("  {}", words::took(took)))
            }
            _ => line,
        };
        Some(line.paint(style))
    }

    fn is_due(&mut self, record: &Record) -> bool {
        let Event::Progress {
            what: Progress::Part { .. },
            ..
        } = &record.event
        else {
            if matches!(record.event, Event::Intent { .. }) {
                self.part_at = Some(record.at);
            }
            return false;
        };
        let last = *self.part_at.get_or_insert(record.at);
        let due = Span::between(last, record.at) >= PART_EVERY;
        if due {
            self.part_at = Some(record.at);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::{self, Told};

    fn lines(run: &Told) -> String {
        let mut lines = Lines::default();
        let told: Vec<String> = run
            .records
            .iter()
            .filter_map(|record| lines.line(record, &run.plan, &Style::bare()))
            .collect();
        told.join("\n")
    }

    #[test]
    fn a_good_upgrade() {
        insta::assert_snapshot!(lines(&fixtures::succeeded()));
    }

    #[test]
    fn one_that_is_caught() {
        insta::assert_snapshot!(lines(&fixtures::caught()));
    }

    #[test]
    fn who_comes_late_hears_the_rest_in_the_same_words() {
        let run = fixtures::caught();
        let whole = lines(&run);
        let (before, rest) = run.records.split_at(run.records.len() - 4);
        let mut state = cutover_plan::start(&run.plan, &before[0]).unwrap();
        for record in &before[1..] {
            state = cutover_plan::next(&run.plan, &state, record).unwrap();
        }
        let mut late = Lines::after(&state);
        for record in rest {
            if let Some(line) = late.line(record, &run.plan, &Style::bare()) {
                assert!(whole.contains(&line), "{line}");
            }
        }
    }

    #[test]
    fn one_that_is_stuck() {
        insta::assert_snapshot!(lines(&fixtures::stuck()));
    }
}
