//! The picture as a file for a browser or a report: self-contained, readable in grey and by a screen reader.

use std::fmt::Write as _;

use cutover_analysis::{Chart, ChartPoint, share};

use super::super::text::wrap;
use super::{length, time, top};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 96.0;

/// Picks failed requests, and all, of one revision.
type Side = fn(&ChartPoint) -> (u64, u64);

/// Characters of the sentence in one line.
const LINE: usize = 110;

/// Both revisions over time, with what was judged in one sentence.
pub(crate) fn svg(chart: &Chart, sentence: &str) -> String {
    let (wide, high) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let (top, length) = (top(chart), length(chart).max(f64::MIN_POSITIVE));
    let x = |seconds: f64| LEFT + (seconds / length).clamp(0.0, 1.0) * wide;
    let y = |share: f64| TOP + (1.0 - (share / top).clamp(0.0, 1.0)) * high;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        escaped(sentence)
    );
    text(
        &mut out,
        LEFT,
        24.0,
        "start",
        "#222222",
        "Failed requests, % of each revision's",
    );
    for part in 0..=4 {
        let share = top * f64::from(part) / 4.0;
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#dddddd\"/>",
            WIDTH - RIGHT,
            y(share)
        );
        let label = format!("{} %", (share * 1_000.0).round() / 10.0);
        text(&mut out, LEFT - 8.0, y(share) + 4.0, "end", "#666666", &label);
    }
    let below = HEIGHT - BOTTOM + 18.0;
    text(&mut out, LEFT, below, "start", "#666666", "0");
    text(&mut out, WIDTH - RIGHT, below, "end", "#666666", &time(length));
    let point = |index: usize| x((index as f64 + 0.5) * chart.seconds);
    // Stable is hollow and dashed, the candidate full: not by colour alone.
    let sides: [(Side, &str, &str, &str); 2] = [
        (
            |point| point.stable,
            "#2b6cb0",
            "#ffffff",
            " stroke-dasharray=\"5 3\"",
        ),
        (|point| point.candidate, "#2f855a", "#2f855a", ""),
    ];
    for (side, colour, fill, dash) in sides {
        let seen: Vec<(f64, f64)> = chart
            .points
            .iter()
            .enumerate()
            .filter_map(|(index, at)| Some((point(index), y(share(side(at))?))))
            .collect();
        let path: Vec<String> = seen.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dash}/>",
            path.join(" ")
        );
        for (x, y) in seen {
            let _ = writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.8\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
            );
        }
    }
    legend(&mut out);
    if let Some((at, verdict)) = chart.decided {
        let _ = writeln!(
            out,
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{1:.1}\" stroke=\"#c53030\" stroke-width=\"1.5\" \
             stroke-dasharray=\"2 3\"/>",
            x(at),
            HEIGHT - BOTTOM
        );
        let anchor = if x(at) > WIDTH / 2.0 { "end" } else { "start" };
        let said = format!("{verdict} at {}", time(at));
        text(&mut out, x(at), TOP - 8.0, anchor, "#c53030", &said);
    }
    for (line, words) in wrap(sentence, LINE).iter().take(3).enumerate() {
        text(
            &mut out,
            LEFT,
            below + 24.0 + 16.0 * line as f64,
            "start",
            "#222222",
            words,
        );
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String) {
    for (x, colour, fill, name) in [
        (WIDTH - 190.0, "#2f855a", "#2f855a", "candidate"),
        (WIDTH - 90.0, "#2b6cb0", "#ffffff", "stable"),
    ] {
        let _ = writeln!(
            out,
            "<circle cx=\"{x}\" cy=\"20\" r=\"3.5\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        );
        text(out, x + 8.0, 24.0, "start", "#222222", name);
    }
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, colour: &str, words: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{}</text>",
        escaped(words)
    );
}

/// For a place between tags; what XML has no room for is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use cutover_analysis::Chart;

    use super::super::fixture::caught;
    use super::*;

    #[test]
    fn it_has_both_lines_the_moment_and_the_sentence() {
        let drawn = svg(&caught(), "the candidate failed 26 times & stable <once>");
        assert_eq!(drawn.matches("<polyline").count(), 2);
        // A point a stretch with requests, and two in the legend.
        assert_eq!(drawn.matches("<circle").count(), 20 + 19 + 2);
        assert!(drawn.contains("Failed at 15.4 s"));
        assert!(drawn.contains("26 times &amp; stable &lt;once&gt;"));
        assert!(drawn.ends_with("</svg>\n") && !drawn.contains("NaN"));
    }

    #[test]
    fn of_nothing_it_is_still_a_picture() {
        let nothing = Chart {
            seconds: 1.0,
            points: Vec::new(),
            decided: None,
        };
        let drawn = svg(&nothing, "");
        assert!(drawn.ends_with("</svg>\n") && !drawn.contains("NaN") && !drawn.contains("inf"));
    }
}
