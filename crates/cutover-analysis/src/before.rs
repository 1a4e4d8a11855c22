//! The time before a switch, as what comes after is compared with.
//!
//! Where all requests change over at once there is no stable beside the candidate, only one before it. What it counted
//! is taken down in stretches, and the last two are kept: the recent past, and not a day of waiting for an approval. The same
//! holds of a canary once it has all requests: what stable counted until then is what there is.

use cutover_model::{Metric, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Counters;
use crate::binomial::at_least;
use crate::judge::{CHANCE, EARLY_CHANCE, Finding, failed, inconclusive, no_data, successful};
use crate::rise::Rise;
use crate::words;

/// What was counted in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Tally {
    requests: u64,
    errors: u64,
    total_us: u64,
    ms: u64,
}

impl Tally {
    /// What was counted within `time`.
    pub(crate) const fn of(counters: &Counters, time: Span) -> Self {
        Self {
            requests: counters.requests,
            errors: counters.errors,
            total_us: counters.total_us,
            ms: time.as_millis(),
        }
    }

    /// Without its pace: where stable had a part of the requests only.
    pub(crate) const fn timeless(self) -> Self {
        Self { ms: 0, ..self }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            errors: self.errors.saturating_add(other.errors),
            total_us: self.total_us.saturating_add(other.total_us),
            ms: self.ms.saturating_add(other.ms),
        }
    }

    fn share(self) -> f64 {
        self.errors as f64 / self.requests.max(1) as f64
    }

    fn mean_us(self) -> u64 {
        self.total_us / self.requests.max(1)
    }

    fn per_second(self) -> f64 {
        self.requests as f64 * 1_000.0 / self.ms.max(1) as f64
    }
}

/// What stable counted lately, before the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Before {
    at: Option<Timestamp>,
    /// All that it counted before the first look; nobody knows in what time.
    ever: Tally,
    former: Tally,
    latest: Tally,
}

impl Before {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in what was counted since the last look, or ever, if this is the first.
    pub(crate) fn add(&mut self, since: &Counters, ever: &Counters, now: Timestamp, every: Span) {
        match self.at.replace(now) {
            Some(at) => self.latest = self.latest.and(Tally::of(since, Span::between(at, now))),
            None => self.ever = Tally::of(ever, Span::ZERO),
        }
        if self.latest.ms >= every.as_millis() {
            self.former = std::mem::take(&mut self.latest);
        }
    }

    /// What is compared with: the recent past, or all that was ever counted where that is too little.
    pub(crate) const fn tally(&self, least: u64) -> Tally {
        let recent = self.former.and(self.latest);
        if recent.requests >= least || self.ever.requests < least {
            recent
        } else {
            self.ever
        }
    }

    /// In words, for who watches.
    pub(crate) fn words(&self) -> String {
        let all = self.former.and(self.latest);
        format!(
            "before: {} in {}, {} failed, {} on average",
            words::count(all.requests, "request"),
            Span::from_millis(all.ms),
            all.errors,
            words::time(all.mean_us())
        )
    }
}

/// The bounds of a `change`.
struct Bounds {
    error_ratio: f64,
    /// As a share.
    least_errors: f64,
    longer_us: u64,
    request_ratio: f64,
}

impl Bounds {
    const fn of(metric: &Metric) -> Option<Self> {
        match metric {
            Metric::Change {
                max_error_ratio,
                min_error_rate,
                max_avg_increase,
                min_request_ratio,
            } => Some(Self {
                error_ratio: *max_error_ratio,
                least_errors: *min_error_rate / 100.0,
                longer_us: max_avg_increase.as_millis().saturating_mul(1_000),
                request_ratio: *min_request_ratio,
            }),
            _ => None,
        }
    }
}

impl Bounds {
    /// Whether more fails than is allowed, and not by chance.
    fn are_broken(&self, after: Tally, before: Tally, chance: f64) -> bool {
        let share = after.share();
        share > self.least_errors
            && share > before.share() * self.error_ratio
            && surprise(after, before, self.error_ratio) < chance
    }
}

/// The chance of so many failures after, of all in both times, if requests failed `ratio` times as often as before.
fn surprise(after: Tally, before: Tally, ratio: f64) -> f64 {
    let weighed = after.requests as f64 * ratio;
    let share = weighed / (weighed + before.requests as f64);
    at_least(after.errors, after.errors.saturating_add(before.errors), share)
}

fn errors(after: Tally, before: Tally) -> String {
    format!(
        "errors {} ({} of {}), before it {} ({} of {})",
        words::percent(after.share()),
        after.errors,
        after.requests,
        words::percent(before.share()),
        before.errors,
        before.requests
    )
}

/// What more failures are held against, beside the bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Against<'a> {
    /// The bets on a rise, over all measurements.
    pub(crate) rise: Option<&'a Rise>,
    /// Whether each measurement is looked at for itself too. Of a whole soak there are too many for that: one of a hundred
    /// would be wrong by chance.
    pub(crate) each: bool,
}

/// Judges the time after a switch at the end of a measurement.
pub(crate) fn judge(
    metric: &Metric,
    after: Tally,
    before: Tally,
    min_requests: u64,
    against: Against<'_>,
) -> Finding {
    let Some(bounds) = Bounds::of(metric) else {
        return inconclusive("it compares nothing with before".to_owned());
    };
    let least = min_requests.max(1);
    if before.requests < least {
        return inconclusive(format!(
            "only {} before to compare with, {least} needed",
            words::count(before.requests, "request")
        ));
    }
    // First, for where nobody comes any more there is nothing else to judge.
    let (now, then) = (after.per_second(), before.per_second());
    let pace = format!("{now:.1} requests a second, before it {then:.1}");
    if before.ms > 0
        && now < then * bounds.request_ratio
        && fewer_by_chance(after, before, bounds.request_ratio) < CHANCE
    {
        return failed(format!(
            "{pace}: less than {} times as many",
            bounds.request_ratio
        ));
    }
    if after.requests < least {
        let words = format!("{} of {least} requests", after.requests);
        return no_data(least - after.requests, &words);
    }
    let errors = errors(after, before);
    if against.each && bounds.are_broken(after, before, CHANCE) {
        return failed(format!("{errors}: more than {} times", bounds.error_ratio));
    }
    if let Some(words) = against.rise.and_then(Rise::words) {
        return failed(words);
    }
    let times = format!(
        "{} on average, before it {}",
        words::time(after.mean_us()),
        words::time(before.mean_us())
    );
    if after.mean_us() > before.mean_us().saturating_add(bounds.longer_us) {
        return failed(format!(
            "{times}: longer by more than {}",
            words::time(bounds.longer_us)
        ));
    }
    let pace = if before.ms > 0 {
        format!("; {pace}")
    } else {
        String::new()
    };
    successful(format!("{errors}; {times}{pace}"))
}

/// The chance of so few requests after, of all in both times, if they came `ratio` times as fast as before.
fn fewer_by_chance(after: Tally, before: Tally, ratio: f64) -> f64 {
    let share = before.ms as f64 / (before.ms as f64 + after.ms as f64 * ratio);
    at_least(
        before.requests,
        before.requests.saturating_add(after.requests),
        share,
    )
}

/// The bets on a rise against this baseline.
pub(crate) fn rise(metric: &Metric, before: Tally) -> Option<Rise> {
    let bounds = Bounds::of(metric)?;
    let was = (before.errors, before.requests);
    (before.requests > 0).then(|| Rise::since(was, bounds.error_ratio, bounds.least_errors))
}

/// Whether so many fail after the switch that the end of the measurement need not be waited for, and in which words.
pub(crate) fn early(metric: &Metric, after: Tally, before: Tally) -> Option<String> {
    let bounds = Bounds::of(metric)?;
    (before.requests > 0 && bounds.are_broken(after, before, EARLY_CHANCE)).then(|| {
        format!(
            "{}: more than {} times",
            errors(after, before),
            bounds.error_ratio
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Against<'_> = Against {
        rise: None,
        each: true,
    };

    const fn tally(requests: u64, errors: u64, mean_ms: u64, seconds: u64) -> Tally {
        Tally {
            requests,
            errors,
            total_us: requests * mean_ms * 1_000,
            ms: seconds * 1_000,
        }
    }

    fn change() -> Metric {
        Metric::Change {
            max_error_ratio: 1.5,
            min_error_rate: 0.0,
            max_avg_increase: Span::from_millis(100),
            min_request_ratio: 0.5,
        }
    }

    #[test]
    fn every_bound_has_its_sentence() {
        let before = tally(3_000, 30, 20, 60);
        for (after, sentence) in [
            (
                tally(1_500, 16, 25, 30),
                "errors 1.1 % (16 of 1500), before it 1.0 % (30 of 3000); 25 ms on average, before it 20 ms; \
                 50.0 requests a second, before it 50.0",
            ),
            (
                tally(1_500, 60, 25, 30),
                "errors 4.0 % (60 of 1500), before it 1.0 % (30 of 3000): more than 1.5 times",
            ),
            (
                tally(1_500, 15, 121, 30),
                "121 ms on average, before it 20 ms: longer by more than 100 ms",
            ),
            (
                tally(600, 6, 20, 30),
                "20.0 requests a second, before it 50.0: less than 0.5 times as many",
            ),
            (
                tally(0, 0, 0, 30),
                "0.0 requests a second, before it 50.0: less than 0.5 times as many",
            ),
        ] {
            assert_eq!(judge(&change(), after, before, 30, ALONE).words, sentence);
        }
    }

    #[test]
    fn chance_fails_nobody() {
        use crate::judge::Outcome;
        // Four of 100 are four times as much as 1 %, and yet no evidence of half as many again.
        let few = judge(
            &change(),
            tally(100, 4, 20, 2),
            tally(3_000, 30, 20, 60),
            30,
            ALONE,
        );
        assert_eq!(few.outcome, Outcome::Successful, "{}", few.words);
        // A service that is asked once a minute is not silent because nobody came for ten seconds.
        let quiet = judge(&change(), tally(0, 0, 0, 10), tally(60, 0, 20, 3_600), 30, ALONE);
        assert_eq!(quiet.outcome, Outcome::NoData { needed: 30 }, "{}", quiet.words);
        let blind = judge(&change(), tally(500, 0, 20, 10), tally(3, 0, 20, 60), 30, ALONE);
        assert_eq!(blind.outcome, Outcome::Inconclusive);
        assert_eq!(blind.words, "only 3 requests before to compare with, 30 needed");
    }

    #[test]
    fn a_floor_is_never_held_against_it() {
        let guarded = Metric::Change {
            max_error_ratio: 2.0,
            min_error_rate: 5.0,
            max_avg_increase: Span::from_secs(1),
            min_request_ratio: 0.0,
        };
        let ever = Tally {
            ms: 0,
            ..tally(100_000, 10, 20, 0)
        };
        let some = judge(&guarded, tally(1_000, 40, 20, 10), ever, 30, ALONE);
        assert_eq!(
            some.words,
            "errors 4.0 % (40 of 1000), before it 0.01 % (10 of 100000); 20 ms on average, before it 20 ms"
        );
        let many = judge(&guarded, tally(1_000, 60, 20, 10), ever, 30, ALONE);
        assert!(many.words.ends_with("more than 2 times"), "{}", many.words);
        assert!(early(&guarded, tally(1_000, 60, 20, 10), ever).is_some());
        assert!(early(&guarded, tally(1_000, 40, 20, 10), ever).is_none());
    }

    #[test]
    fn a_break_at_once_is_not_waited_for() {
        let before = tally(3_000, 3, 20, 60);
        assert!(early(&change(), tally(20, 10, 20, 1), before).is_some());
        assert!(early(&change(), tally(20, 1, 20, 1), before).is_none());
        assert!(early(&change(), tally(20, 20, 20, 1), Tally::default()).is_none());
    }

    #[test]
    fn the_recent_past_is_kept_and_not_all_of_it() {
        let mut before = Before::default();
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        let since = |requests| Counters {
            requests,
            ..Counters::default()
        };
        let every = Span::from_secs(10);
        // What came before the first look is not known to be recent.
        before.add(&since(9), &since(1_000_000), start, every);
        for second in 1..=95 {
            before.add(&since(7), &since(0), Span::from_secs(second).after(start), every);
        }
        let recent = before.tally(30);
        assert_eq!((recent.ms, recent.requests), (15_000, 105));
        // Where that is too little, all that was ever counted stands in.
        let ever = before.tally(200);
        assert_eq!((ever.ms, ever.requests), (0, 1_000_000));
    }
}
