//! Eighty columns, readable without colour: each revision has its own mark.

use cutover_analysis::{Chart, share};

use super::super::text::{Line, Page, Tone};
use super::{LEAST, length, time, top};

const ROWS: usize = 7;

/// Where the axis stands.
const AXIS: usize = 8;

/// Both revisions over time; nothing of a chart with too few points. `indent` columns stay free.
pub(crate) fn chart(chart: &Chart, indent: usize) -> Page {
    let mut page = Page::new();
    if chart.points.len() < LEAST {
        return page;
    }
    let top = top(chart);
    // One column a point, two where there is room: a short course is not drawn in a corner.
    let wide = if chart.points.len() <= 30 { 2 } else { 1 };
    let row = |share: f64| ((share / top * (ROWS - 1) as f64).round() as usize).min(ROWS - 1);
    let columns: Vec<(Option<usize>, Option<usize>)> = chart
        .points
        .iter()
        .map(|point| (share(point.candidate).map(row), share(point.stable).map(row)))
        .collect();
    let decided = chart.decided.map(|(at, verdict)| {
        let column = (at / chart.seconds).ceil() as usize;
        (column.clamp(1, columns.len()) - 1, at, verdict)
    });
    page.push(
        Line::indent(indent)
            .plain("failed")
            .to(indent + AXIS + 2)
            .tone(Tone::Candidate, "●")
            .plain(" candidate   ")
            .tone(Tone::Stable, "○")
            .plain(" stable   ◉ both"),
    );
    for level in (0..ROWS).rev() {
        let label = if level % 3 == 0 {
            let percent = top * 100.0 * level as f64 / (ROWS - 1) as f64;
            format!("{} %", (percent * 10.0).round() / 10.0)
        } else {
            String::new()
        };
        let mut line = Line::indent(indent).right(Tone::Dim, &label, indent + AXIS - 1);
        line = line.to(indent + AXIS).tone(Tone::Dim, "│");
        for (column, (candidate, stable)) in columns.iter().enumerate() {
            let (tone, mark) = match (*candidate == Some(level), *stable == Some(level)) {
                (true, true) => (Tone::Plain, "◉"),
                (true, false) => (Tone::Candidate, "●"),
                (false, true) => (Tone::Stable, "○"),
                _ if decided.is_some_and(|(at, ..)| at == column) => (Tone::Wrong, "╎"),
                _ => (Tone::Plain, " "),
            };
            line = line.tone(tone, mark).plain(&" ".repeat(wide - 1));
        }
        page.push(line);
    }
    let width = columns.len() * wide;
    let axis: String = (0..width)
        .map(|at| {
            if decided.is_some_and(|(column, ..)| column * wide == at) {
                '┴'
            } else {
                '─'
            }
        })
        .collect();
    page.push(Line::indent(indent + AXIS).tone(Tone::Dim, &format!("└{axis}")));
    let end = time(length(chart));
    let under = Line::indent(indent + AXIS + 1).tone(Tone::Dim, "0");
    page.push(match decided {
        None => under.right(Tone::Dim, &end, indent + AXIS + 1 + width),
        Some((column, at, verdict)) => {
            let said = format!("{verdict} at {}", time(at));
            let from = indent + AXIS + 1 + column * wide;
            // To the left of the mark where it would leave the page.
            let from = if from + said.chars().count() + 2 > indent + 70 {
                from.saturating_sub(said.chars().count() + 1)
            } else {
                from
            };
            let line = under.to(from.max(indent + AXIS + 4)).tone(Tone::Wrong, &said);
            if line.width() + end.chars().count() < indent + AXIS + width {
                line.right(Tone::Dim, &end, indent + AXIS + 1 + width)
            } else {
                line
            }
        }
    });
    page
}

#[cfg(test)]
mod tests {
    use cutover_analysis::{Chart, ChartPoint};
    use cutover_model::Verdict;

    use super::super::fixture::caught;
    use super::*;
    use crate::render::style::Style;

    #[test]
    fn of_one_that_was_caught() {
        insta::assert_snapshot!(chart(&caught(), 2).paint(&Style::bare()));
    }

    #[test]
    fn it_fits_eighty_columns_wherever_it_was_decided() {
        for points in [2, 3, 29, 30, 31, 60] {
            for at in [0.0, 0.3, 0.7, 1.0] {
                let drawn = Chart {
                    seconds: 60.0,
                    points: vec![
                        ChartPoint {
                            candidate: (1, 3),
                            stable: (0, 9)
                        };
                        points
                    ],
                    decided: Some((at * 60.0 * points as f64, Verdict::Inconclusive)),
                };
                let text = chart(&drawn, 4).paint(&Style::bare());
                assert!(
                    text.lines().all(|line| line.chars().count() <= 80),
                    "{points} {at}\n{text}"
                );
                assert!(text.contains("Inconclusive at"), "{text}");
            }
        }
        let alone = Chart {
            seconds: 1.0,
            points: vec![ChartPoint::default()],
            decided: None,
        };
        assert_eq!(chart(&alone, 4).paint(&Style::bare()), "");
    }
}
