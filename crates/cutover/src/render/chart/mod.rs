//! Both revisions over time with the moment of decision: for a terminal and as SVG.

mod svg;
mod terminal;

use cutover_analysis::Chart;

pub(crate) use svg::svg;
pub(crate) use terminal::chart;

/// A picture of fewer stretches says no more than the sentence.
const LEAST: usize = 2;

/// The upper end of the axis, as a share: the next of 1, 2, 5, 10, 20, 50 and 100 per cent.
fn top(chart: &Chart) -> f64 {
    let greatest = chart.greatest();
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
        .into_iter()
        .find(|top| greatest <= *top)
        .unwrap_or(1.0)
}

/// A time from the beginning on: `480 ms`, `4.2 s`, `12 min`, `3 h`.
fn time(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1_000.0)
    } else if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else if seconds < 6_000.0 {
        format!("{:.0} min", seconds / 60.0)
    } else if seconds < 360_000.0 {
        format!("{:.0} h", seconds / 3_600.0)
    } else {
        format!("{:.0} days", seconds / 86_400.0)
    }
}

/// The whole time that is drawn, in seconds.
fn length(chart: &Chart) -> f64 {
    chart.seconds * chart.points.len() as f64
}

#[cfg(test)]
mod fixture {
    use cutover_analysis::{Chart, ChartPoint};
    use cutover_model::Verdict;

    /// A candidate that breaks after ten seconds and is caught six later.
    pub(super) fn caught() -> Chart {
        let point = |second: u64| ChartPoint {
            candidate: if second < 10 {
                (0, 5)
            } else if second == 12 {
                (0, 0)
            } else {
                (second - 9, 14)
            },
            stable: (u64::from(second == 3), 95),
        };
        Chart {
            seconds: 1.0,
            points: (0..20).map(point).collect(),
            decided: Some((15.4, Verdict::Failed)),
        }
    }

    #[test]
    fn times_and_ends_of_the_axis() {
        for (seconds, text) in [
            (0.48, "480 ms"),
            (4.2, "4.2 s"),
            (720.0, "12 min"),
            (10_800.0, "3 h"),
            (864_000.0, "10 days"),
        ] {
            assert_eq!(super::time(seconds), text);
        }
        let mut chart = caught();
        assert!((super::top(&chart) - 1.0).abs() < 1e-9);
        chart.points.truncate(10);
        assert!((super::top(&chart) - 0.02).abs() < 1e-9);
        chart.points.clear();
        assert!((super::top(&chart) - 0.01).abs() < 1e-9);
    }
}
