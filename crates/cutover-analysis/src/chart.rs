//! Both revisions over time, as a picture needs it: what failed of how many, in equal stretches.
//!
//! Knows nothing of colours or columns: whoever draws it decides.

use cutover_model::{Span, Timestamp, Verdict};
use serde::{Deserialize, Serialize};

use crate::sample::Sample;
use crate::{Judgement, Recording, Side};

/// At most so many stretches. When there would be more, two become one.
const MOST: usize = 60;

/// How long the first stretches are.
const FIRST: Span = Span::from_secs(1);

/// Both revisions over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// How long one stretch is, in seconds; more than 0.
    pub seconds: f64,
    /// The stretches in their order, 60 at most.
    pub points: Vec<ChartPoint>,
    /// When it was decided, in seconds from the beginning, and how; none while it is not.
    pub decided: Option<(f64, Verdict)>,
}

/// One stretch: failed requests, and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChartPoint {
    /// Of the candidate.
    pub candidate: (u64, u64),
    /// Of stable.
    pub stable: (u64, u64),
}

impl Chart {
    /// What was recorded, from the first request that was over to the last, with what was judged of it.
    #[must_use]
    pub fn of(recording: &Recording, judgement: &Judgement) -> Self {
        let over = |most: fn(f64, f64) -> f64, from| {
            let times = recording.events.iter().map(|event| event.over_ms());
            times.fold(from, most)
        };
        let (first, last) = (over(f64::min, f64::INFINITY), over(f64::max, f64::NEG_INFINITY));
        let count = recording.events.len().clamp(1, MOST);
        // One long enough for all to fall into it, also when they are over in one moment, or at the ends of time.
        let step = ((last / count as f64 - first / count as f64) * (1.0 + 1e-9)).clamp(1e-3, 1e300);
        let mut points = vec![ChartPoint::default(); if recording.events.is_empty() { 0 } else { count }];
        for event in &recording.events {
            let at = (event.over_ms() / step - first / step) as usize;
            if let Some(point) = points.get_mut(at.min(count - 1)) {
                let (failed, all) = match event.revision {
                    Side::Candidate => &mut point.candidate,
                    Side::Stable => &mut point.stable,
                };
                *failed += u64::from(!event.ok);
                *all += 1;
            }
        }
        Self {
            seconds: step / 1_000.0,
            points,
            decided: judgement
                .at_ms
                .map(|at| ((at / 1_000.0) - (first / 1_000.0), judgement.verdict)),
        }
    }

    /// The greatest share of failed requests in it, 0 to 1.
    #[must_use]
    pub fn greatest(&self) -> f64 {
        let sides = self
            .points
            .iter()
            .flat_map(|point| [point.candidate, point.stable]);
        sides.filter_map(share).fold(0.0, f64::max)
    }
}

/// The failed share; none of no requests.
#[must_use]
pub fn share((failed, all): (u64, u64)) -> Option<f64> {
    (all > 0).then(|| failed as f64 / all as f64)
}

/// What an analysis remembers of its own course.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Trace {
    from: Option<Timestamp>,
    step: Option<Span>,
    until: Option<Timestamp>,
    /// Candidate failed, candidate, stable failed, stable.
    points: Vec<[u64; 4]>,
}

impl Trace {
    pub(crate) const fn is_empty(&self) -> bool {
        self.from.is_none()
    }

    /// Begins, if it has not begun.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.from.get_or_insert(now);
    }

    /// Takes in what was counted since the last look.
    pub(crate) fn add(&mut self, latest: &Sample, now: Timestamp) {
        let from = *self.from.get_or_insert(now);
        let mut step = self.step.unwrap_or(FIRST).max(FIRST);
        let passed = Span::between(from, now).as_millis();
        // A look that ends a stretch belongs to it.
        let at =
            |step: Span| usize::try_from(passed.saturating_sub(1) / step.as_millis()).unwrap_or(usize::MAX);
        while at(step) >= MOST {
            step = Span::from_millis(step.as_millis().saturating_mul(2));
            self.points = self.points.chunks(2).map(sum).collect();
        }
        let place = at(step);
        if self.points.len() <= place {
            self.points.resize(place + 1, [0; 4]);
        }
        let stable = latest.stable.as_ref();
        let seen = [
            latest.candidate.errors,
            latest.candidate.requests,
            stable.map_or(0, |stable| stable.errors),
            stable.map_or(0, |stable| stable.requests),
        ];
        self.points[place] = sum(&[self.points[place], seen]);
        (self.step, self.until) = (Some(step), Some(now));
    }

    pub(crate) fn chart(&self, verdict: Option<Verdict>) -> Chart {
        let step = self.step.unwrap_or(FIRST);
        let took = self
            .from
            .zip(self.until)
            .map(|(from, until)| Span::between(from, until));
        let seconds = |span: Span| span.as_millis() as f64 / 1_000.0;
        let point = |[candidate_failed, candidate, stable_failed, stable]: &[u64; 4]| ChartPoint {
            candidate: (*candidate_failed, *candidate),
            stable: (*stable_failed, *stable),
        };
        Chart {
            seconds: seconds(step),
            points: self.points.iter().map(point).collect(),
            decided: verdict.zip(took).map(|(verdict, took)| (seconds(took), verdict)),
        }
    }
}

fn sum(points: &[[u64; 4]]) -> [u64; 4] {
    points.iter().fold([0; 4], |mut sum, point| {
        for (all, one) in sum.iter_mut().zip(point) {
            *all = all.saturating_add(*one);
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counters, judge};

    fn sample(candidate: (u64, u64), stable: (u64, u64)) -> Sample {
        let counters = |(errors, requests)| Counters {
            errors,
            requests,
            ..Counters::default()
        };
        Sample {
            candidate: counters(candidate),
            stable: Some(counters(stable)),
        }
    }

    #[test]
    fn a_trace_of_any_length_is_short_and_loses_nothing() {
        let mut trace = Trace::default();
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        trace.begin(start);
        for second in 1..=10_000 {
            trace.add(&sample((1, 10), (2, 90)), Span::from_secs(second).after(start));
        }
        let chart = trace.chart(Some(Verdict::Failed));
        assert!(chart.points.len() <= MOST && chart.points.len() > MOST / 2);
        assert_eq!(chart.decided, Some((10_000.0, Verdict::Failed)));
        assert_eq!(chart.seconds, 256.0);
        let all = chart.points.iter().fold((0, 0), |sum, point| {
            (sum.0 + point.candidate.1, sum.1 + point.stable.0)
        });
        assert_eq!(all, (100_000, 20_000));
        // A look after a year away is one step too.
        trace.add(&sample((0, 1), (0, 1)), Span::from_mins(525_600).after(start));
        assert!(trace.chart(None).points.len() <= MOST);
        assert!(serde_json::to_string(&trace).unwrap().len() < 2_000);
    }

    #[test]
    fn a_recording_is_drawn_to_its_ends() {
        let recording = |events: &str| -> Recording {
            let weights = r#"[{"at_ms":0,"candidate":0.05}]"#;
            serde_json::from_str(&format!(r#"{{"events":[{events}],"weights":{weights}}}"#)).unwrap()
        };
        let event = |at: f64, ok: bool| format!(r#"{{"at_ms":{at:e},"revision":"candidate","ok":{ok}}}"#);
        for times in [
            vec![],
            vec![5.0],
            vec![5.0, 5.0],
            vec![-1e300, 1e300],
            vec![0.0, 1.0, 1e9],
        ] {
            let events: Vec<String> = times.iter().map(|at| event(*at, *at > 0.0)).collect();
            let recording = recording(&events.join(","));
            let chart = Chart::of(&recording, &judge(&recording));
            let all: u64 = chart.points.iter().map(|point| point.candidate.1).sum();
            assert_eq!(all, times.len() as u64, "{times:?}");
            assert!(chart.seconds > 0.0 && chart.greatest() <= 1.0);
            assert!(chart.decided.is_none_or(|(at, _)| at >= 0.0), "{times:?}");
        }
        let many: Vec<String> = (0..6_000).map(|n| event(f64::from(n), n < 3_000)).collect();
        let recording = recording(&many.join(","));
        let chart = Chart::of(&recording, &judge(&recording));
        assert_eq!(chart.points.len(), MOST);
        assert_eq!(chart.points[29].candidate, (0, 100));
        assert_eq!(chart.points[31].candidate, (100, 100));
        assert_eq!(chart.decided.map(|(_, verdict)| verdict), Some(Verdict::Failed));
    }
}
