//! `cutover history show`: a journal as a story.

use cutover_model::{Event, Plan, Record, UpgradeId};
use jiff::tz::TimeZone;

use super::style::Style;
use super::telling::{Rank, Teller};
use super::text::{Line, Page, Tone};
use super::words;

/// Where the words of an event begin.
const TEXT: usize = 31;

/// What happened, in order. With `analysis` every measurement is told.
pub(crate) fn story(
    id: &UpgradeId,
    plan: &Plan,
    records: &[Record],
    analysis: bool,
    style: &Style,
) -> String {
    let mut page = Page::new();
    let what = format!("{} · {}", plan.environment, super::plan::what(plan));
    page.push(
        super::plan::heading(plan)
            .tone(Tone::Dim, &what)
            .fit(style.edge()),
    );
    if let (Some(first), Some(last)) = (records.first(), records.last()) {
        page.push(Line::new().tone(Tone::Dim, &words::period(first.at, last.at, style.zone)));
    }
    page.push(
        Line::new()
            .tone(Tone::Dim, &format!("{id}, plan {}", plan.id))
            .fit(style.edge()),
    );
    page.blank();
    let least = if analysis { Rank::Detail } else { Rank::Minor };
    let mut teller = Teller::default();
    let mut day = records
        .first()
        .map(|first| first.at.to_zoned(TimeZone::clone(style.zone)).date());
    for (at, record) in records.iter().enumerate() {
        let over = records
            .get(at + 1)
            .is_some_and(|next| is_whole_step(record, next));
        let Some(told) = teller
            .tell(record, plan)
            .filter(|told| told.rank >= least && !over)
        else {
            continue;
        };
        let at = record.at.to_zoned(TimeZone::clone(style.zone));
        if day != Some(at.date()) {
            day = Some(at.date());
            page.push(Line::indent(2).tone(Tone::Dim, &at.strftime("%Y-%m-%d").to_string()));
        }
        let clock = at.strftime("%H:%M:%S%.3f").to_string();
        let head = Line::indent(2)
            .tone(Tone::Dim, &clock)
            .plain("  ")
            .tone(told.tone, told.sign);
        let head = head.plain(" ").plain(&told.label).to(TEXT);
        let tone = if told.rank == Rank::Major {
            Tone::Plain
        } else {
            Tone::Dim
        };
        let took = told
            .took
            .map(|took| format!(" ({})", words::took(took)))
            .unwrap_or_default();
        page.hanging(head, tone, &format!("{}{took}", told.text), style.edge());
    }
    page.paint(style)
}

/// Whether a step begins and ends with nothing between: then its end says it all.
fn is_whole_step(record: &Record, next: &Record) -> bool {
    matches!(
        (&record.event, &next.event),
        (Event::Intent { step: begun, .. }, Event::Outcome { step: ended, .. }) if begun == ended
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn of_one_that_is_caught() {
        let run = fixtures::caught();
        insta::assert_snapshot!(story(&run.id, &run.plan, &run.records, true, &Style::bare()));
    }

    #[test]
    fn of_a_good_one() {
        let run = fixtures::succeeded();
        insta::assert_snapshot!(story(&run.id, &run.plan, &run.records, false, &Style::bare()));
    }
}
