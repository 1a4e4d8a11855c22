//! Numbers, times and ids as people read them.

use cutover_model::{AnalysisTemplate, Metric, Migration, Span, StrategyKind, Timestamp, UpgradeId};
use jiff::tz::TimeZone;

/// How long something took: `12ms`, `0.3s`, `29.4s`, `2m 41s`, `1h 04m`, `3d 02h`.
pub(crate) fn took(span: Span) -> String {
    let ms = span.as_millis();
    let seconds = ms / 1_000;
    match ms {
        0 => "0s".to_owned(),
        1..100 => format!("{ms}ms"),
        100..59_950 => {
            let tenths = (ms + 50) / 100;
            format!("{}.{}s", tenths / 10, tenths % 10)
        }
        59_950..3_600_000 => {
            let seconds = (ms + 500) / 1_000;
            format!("{}m {:02}s", seconds / 60, seconds % 60)
        }
        3_600_000..86_400_000 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// What is left, without fractions: `38s`, `4m 10s`.
pub(crate) fn left(span: Span) -> String {
    let seconds = span.as_millis().div_ceil(1_000);
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        took(Span::from_secs(seconds))
    }
}

/// An estimate: `about 30 seconds`, `about 12 minutes`, `about 25 hours`.
pub(crate) fn about(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000).max(1);
    match seconds {
        0..90 => format!("about {}", count(seconds, "second")),
        90..5_400 => format!("about {}", count((seconds + 30) / 60, "minute")),
        5_400..172_800 => format!("about {}", count((seconds + 1_800) / 3_600, "hour")),
        _ => format!("about {}", count((seconds + 43_200) / 86_400, "day")),
    }
}

/// A length of time in words: `30 minutes`, `24 hours`, `7 days`.
pub(crate) fn length(span: Span) -> String {
    let minutes = span.as_millis().div_ceil(60_000);
    match minutes {
        0..2 => count(span.as_millis().div_ceil(1_000), "second"),
        2..120 => count(minutes, "minute"),
        120..2_880 => count(minutes / 60, "hour"),
        _ => count(minutes / 1_440, "day"),
    }
}

/// With thousands apart: `1,204,118`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 request`, `1,204 requests`.
pub(crate) fn count(n: u64, one: &str) -> String {
    if n == 1 {
        return format!("1 {one}");
    }
    let many = match one.strip_suffix('y') {
        Some(stem) if !one.ends_with("ay") => format!("{stem}ies"),
        _ => format!("{one}s"),
    };
    format!("{} {many}", number(n))
}

/// A percentage, with as many digits as say something.
pub(crate) fn percent(percent: f64) -> String {
    if percent == 0.0 || percent >= 99.95 {
        format!("{percent:.0} %")
    } else if percent < 0.1 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// `9 of 38` as a percentage.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        "0 %".to_owned()
    } else {
        percent(part as f64 * 100.0 / whole as f64)
    }
}

/// An answer time given in milliseconds: `0.4 ms`, `21 ms`, `1.3 s`.
pub(crate) fn latency(ms: f64) -> String {
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1_000.0)
    }
}

/// Requests a second: `183`, `3.2`.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second < 9.95 && per_second > 0.0 {
        format!("{per_second:.1}")
    } else {
        number(per_second.round().max(0.0) as u64)
    }
}

/// A moment near another one: `14:07:11` within the hour, `16:47` on the same day, else with its date.
pub(crate) fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let there = at.to_zoned(zone.clone());
    let here = now.to_zoned(zone.clone());
    let apart = (at.as_millisecond() - now.as_millisecond()).unsigned_abs();
    if there.date() == here.date() {
        let form = if apart < 3_600_000 { "%H:%M:%S" } else { "%H:%M" };
        there.strftime(form).to_string()
    } else if there.year() == here.year() {
        there.strftime("%-d %b %H:%M").to_string()
    } else {
        there.strftime("%Y-%m-%d %H:%M").to_string()
    }
}

/// A moment in a column, always with its date: `12 Mar 14:02`, `2025-12-31 14:02`.
pub(crate) fn day(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let there = at.to_zoned(zone.clone());
    let form = if there.year() == now.to_zoned(zone.clone()).year() {
        "%e %b %H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    there.strftime(form).to_string()
}

/// From one moment to another, with the date once.
pub(crate) fn period(from: Timestamp, to: Timestamp, zone: &TimeZone) -> String {
    let (a, b) = (from.to_zoned(zone.clone()), to.to_zoned(zone.clone()));
    let form = if a.date() == b.date() {
        "%H:%M:%S %Z"
    } else {
        "%Y-%m-%d %H:%M:%S %Z"
    };
    format!("{} to {}", a.strftime("%Y-%m-%d %H:%M:%S"), b.strftime(form))
}

/// How long ago: `just now`, `3 minutes ago`, `2 days ago`.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = Span::between(at, now).as_millis() / 1_000;
    match seconds {
        0..10 => "just now".to_owned(),
        10..90 => format!("{} ago", count(seconds, "second")),
        90..5_400 => format!("{} ago", count((seconds + 30) / 60, "minute")),
        5_400..129_600 => format!("{} ago", count((seconds + 1_800) / 3_600, "hour")),
        _ => format!("{} ago", count((seconds + 43_200) / 86_400, "day")),
    }
}

/// Enough of an id to tell upgrades apart: the time part of a UUIDv7.
pub(crate) fn short(id: &UpgradeId) -> &str {
    id.as_str().get(..13).unwrap_or(id.as_str())
}

/// A strategy in words.
pub(crate) const fn strategy(kind: StrategyKind) -> &'static str {
    match kind {
        StrategyKind::BlueGreen => "blue-green",
        StrategyKind::Canary => "canary",
        StrategyKind::Rolling => "rolling",
        StrategyKind::Recreate => "recreate",
    }
}

/// A list with its last comma as `and`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// The names of some migrations.
pub(crate) fn migrations(migrations: &[Migration]) -> String {
    list(
        &migrations
            .iter()
            .map(|one| one.id.to_string())
            .collect::<Vec<_>>(),
    )
}

/// What makes an analysis fail, in one phrase.
pub(crate) fn bounds(template: &AnalysisTemplate) -> String {
    let quantile = |q: f64| {
        let text = format!("{:.2}", q * 100.0);
        format!("p{}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    let either = |name: &str, max: Option<String>, ratio: Option<f64>| {
        let mut parts: Vec<String> = max.into_iter().collect();
        parts.extend(ratio.map(|ratio| format!("{ratio} × stable's")));
        format!("{name} over {}", parts.join(" or "))
    };
    let parts: Vec<String> = template
        .metrics
        .iter()
        .map(|metric| match metric {
            Metric::Change {
                max_error_ratio,
                min_error_rate,
                max_avg_increase,
                min_request_ratio,
            } => {
                let mut parts = vec![
                    format!("errors over {max_error_ratio} × those before"),
                    format!("{max_avg_increase} slower on average"),
                ];
                if *min_error_rate > 0.0 {
                    parts[0].push_str(&format!(" and {min_error_rate} %"));
                }
                if template.baseline.is_stable() {
                    return format!("once it has all requests {}", parts.join(" or "));
                }
                if *min_request_ratio > 0.0 {
                    parts.push(format!("fewer than {min_request_ratio} × the requests"));
                }
                parts.join(" or ")
            }
            Metric::ErrorRate { max, max_ratio } => {
                either("errors", max.map(|max| format!("{max} %")), *max_ratio)
            }
            Metric::BurnRate { objective, max } => {
                format!("the budget of {objective} % burns over {max} times as fast as it lasts")
            }
            Metric::MannWhitney(test) => format!("points of {} unlike stable's", test.candidate.name()),
            Metric::Latency {
                quantile: q,
                max,
                max_ratio,
            } => either(&quantile(*q), max.map(|max| max.to_string()), *max_ratio),
            Metric::Query {
                provider,
                success_condition,
                failure_condition,
            } => match (failure_condition, success_condition) {
                (Some(failure), _) => format!("{}: {failure}", provider.name()),
                (None, success) => format!(
                    "{}: not {}",
                    provider.name(),
                    success.as_deref().unwrap_or("good")
                ),
            },
            Metric::Sequential {
                alpha,
                latency,
                history,
                ..
            } => {
                let slow = latency.map_or("", |_| " or slow answers");
                let before = if *history {
                    ", or failures than it had before"
                } else {
                    ""
                };
                format!(
                    "more failures{slow} than stable{before} (false alarm below 1 in {})",
                    number((1.0 / alpha).round() as u64)
                )
            }
        })
        .collect();
    parts.join(", or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn lengths_of_time() {
        for (ms, text) in [
            (0, "0s"),
            (12, "12ms"),
            (300, "0.3s"),
            (29_449, "29.4s"),
            (59_960, "1m 00s"),
            (161_000, "2m 41s"),
            (3_840_000, "1h 04m"),
            (266_400_000, "3d 02h"),
        ] {
            assert_eq!(took(Span::from_millis(ms)), text, "{ms}");
        }
        assert_eq!(left(Span::from_millis(37_200)), "38s");
        assert_eq!(left(Span::from_millis(249_100)), "4m 10s");
        assert_eq!(about(30_000), "about 30 seconds");
        assert_eq!(about(700_000), "about 12 minutes");
        assert_eq!(about(87_000_000), "about 24 hours");
        assert_eq!(length(Span::from_hours(24)), "24 hours");
        assert_eq!(length(Span::from_secs(30)), "30 seconds");
    }

    #[test]
    fn numbers() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_204_118), "1,204,118");
        assert_eq!(count(1, "request"), "1 request");
        assert_eq!(count(2, "day"), "2 days");
        assert_eq!(count(2, "query"), "2 queries");
        assert_eq!(share(9, 38), "23.7 %");
        assert_eq!(share(0, 0), "0 %");
        assert_eq!(latency(0.42), "0.4 ms");
        assert_eq!(latency(1_340.0), "1.3 s");
        assert_eq!(rate(1_832.4), "1,832");
        assert_eq!(rate(3.21), "3.2");
    }

    #[test]
    fn moments() {
        let now = at("2026-03-12T14:02:11Z");
        let utc = TimeZone::UTC;
        assert_eq!(clock(at("2026-03-12T14:07:11Z"), now, &utc), "14:07:11");
        assert_eq!(clock(at("2026-03-12T20:00:00Z"), now, &utc), "20:00");
        assert_eq!(clock(at("2026-03-13T14:02:00Z"), now, &utc), "13 Mar 14:02");
        assert_eq!(clock(at("2025-12-31T14:02:00Z"), now, &utc), "2025-12-31 14:02");
        assert_eq!(ago(at("2026-03-12T13:59:11Z"), now), "3 minutes ago");
        assert_eq!(ago(at("2026-03-13T13:59:11Z"), now), "just now");
    }
}
