//! When something may be touched: opening hours and freezes, in a time zone.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OpenHours;
use crate::{Span, Timestamp};

/// The zones that were compiled in. The machine's own might be missing or older, and reading them is not for this floor:
/// the same moment is inside the same window on every machine.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// How many jumps of a week, or over a freeze, are made in search of an opening: about twenty years.
const JUMPS: u32 = 1_000;

/// When an upgrade may touch anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// The opening hours, such as `Mon-Fri 09:00-16:00`; default always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenHours>,
    /// The time zone of hours and days, such as `Europe/Zurich`; default UTC.
    #[serde(default)]
    pub timezone: ZoneName,
    /// Days on which it is closed whatever the hours say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
    /// What happens outside of it before anything was touched: `wait` until it opens (default) or `refuse`.
    #[serde(default)]
    pub outside: Outside,
    /// Whether it must be open before each shift of traffic, and before a contract, as well; outside it waits. Default
    /// false: what has begun goes on.
    #[serde(default)]
    pub each_shift: bool,
}

/// Days on which nothing is touched, the first and the last of them included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Freeze {
    /// The first day, such as `2026-12-20`.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happens outside of the window before anything was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outside {
    /// It waits until the window opens.
    #[default]
    Wait,
    /// It ends, and nothing has changed.
    Refuse,
}

/// What a window says of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// It is open.
    Open,
    /// It is closed.
    Closed {
        /// When it opens next; none when it does not within twenty years.
        until: Option<Timestamp>,
        /// Why, as a phrase: `frozen until 2027-01-04 (year end)`.
        why: String,
    },
}

impl Window {
    /// Whether it is open at a moment, and until when it is not. Hours are those of the clock on the wall: where it is put
    /// back an hour that comes twice counts twice, where it is put forward the hour that is skipped never comes.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Opening {
        let zone = self.timezone.zone();
        if self.is_open(now, &zone) {
            return Opening::Open;
        }
        let why = match self.frozen(now, &zone) {
            Some(freeze) => {
                let reason = freeze.reason.as_ref();
                let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
                format!("frozen until {}{reason}", freeze.to)
            }
            None => format!("it is open {}", self.hours()),
        };
        Opening::Closed {
            until: self.opens(now, &zone),
            why,
        }
    }

    /// When it is open, in words: `Mon-Fri 09:00-16:00 Europe/Zurich`.
    #[must_use]
    pub fn hours(&self) -> String {
        self.open.as_ref().map_or_else(
            || format!("on days that are not frozen, {}", self.timezone),
            |open| format!("{open} {}", self.timezone),
        )
    }

    fn frozen(&self, at: Timestamp, zone: &TimeZone) -> Option<&Freeze> {
        let today = zone.to_datetime(at).date();
        // Of several, the one that ends last: that is what is waited for.
        self.freeze
            .iter()
            .filter(|freeze| (freeze.from.0..=freeze.to.0).contains(&today))
            .max_by_key(|freeze| freeze.to)
    }

    fn is_open(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let hours = self
            .open
            .as_ref()
            .is_none_or(|open| open.contain(zone.to_datetime(at)));
        hours && self.frozen(at, zone).is_none()
    }

    /// The first moment after `now` at which it is open.
    fn opens(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = now;
        for _ in 0..JUMPS {
            if let Some(freeze) = self.frozen(from, zone) {
                from = freeze
                    .to
                    .0
                    .tomorrow()
                    .ok()?
                    .to_zoned(zone.clone())
                    .ok()?
                    .timestamp();
            } else if self.is_open(from, zone) {
                return Some(from);
            } else {
                match self.opens_within_a_week(from, zone) {
                    Ok(at) => return Some(at),
                    Err(later) => from = later,
                }
            }
        }
        None
    }

    /// The first opening within eight days, or the moment a week later. It opens when the wall shows a beginning, or when
    /// the clock is put forward or back into the hours: no other moment can be the first.
    fn opens_within_a_week(&self, from: Timestamp, zone: &TimeZone) -> Result<Timestamp, Timestamp> {
        let week = Span::from_hours(7 * 24).after(from);
        let Some(open) = &self.open else { return Err(week) };
        let last = Span::from_hours(8 * 24).after(from);
        let mut moments: Vec<Timestamp> = zone
            .following(from)
            .map(|change| change.timestamp())
            .take_while(|at| *at <= last)
            .collect();
        let today = zone.to_datetime(from).date();
        for day in today.series(jiff::Span::new().days(1)).take(9) {
            for (hour, minute) in open.starts() {
                let wall = zone.to_ambiguous_timestamp(day.at(hour, minute, 0, 0));
                moments.extend(wall.earlier());
                moments.extend(wall.later());
            }
        }
        let opens = |at: &Timestamp| *at > from && self.is_open(*at, zone);
        moments.into_iter().filter(opens).min().ok_or(week)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self {
            open: None,
            timezone: ZoneName::default(),
            freeze: Vec::new(),
            outside: Outside::Wait,
            each_shift: false,
        }
    }
}

/// The name of a time zone that is known here, such as `Europe/Zurich`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "cutover-zone"))]
pub struct ZoneName(String);

/// A name that no time zone has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time zone such as Europe/Zurich or UTC")]
pub struct UnknownZone(pub String);

impl ZoneName {
    fn zone(&self) -> TimeZone {
        // It was found when it was read.
        ZONES.get(&self.0).unwrap_or(TimeZone::UTC)
    }

    /// All names that there are, for suggestions.
    pub fn all() -> impl Iterator<Item = String> {
        ZONES.available().map(|name| name.as_str().to_owned())
    }
}

impl Default for ZoneName {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for ZoneName {
    type Error = UnknownZone;
    fn try_from(text: String) -> Result<Self, UnknownZone> {
        match ZONES.get(&text) {
            // As it is spelled in the database: names are found whatever their case.
            Ok(zone) => Ok(Self(zone.iana_name().map_or(text, str::to_owned))),
            Err(_) => Err(UnknownZone(text)),
        }
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> Self {
        name.0
    }
}

/// A day, such as `2026-12-20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "cutover-day"))]
pub struct Day(Date);

/// A text that is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no day such as 2026-12-20")]
pub struct InvalidDay(pub String);

impl FromStr for Day {
    type Err = InvalidDay;
    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        // Nothing but a day: a time after it would be lost.
        match text.parse::<Date>() {
            Ok(date) if date.to_string() == text => Ok(Self(date)),
            _ => Err(InvalidDay(text.to_owned())),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<String> for Day {
    type Error = InvalidDay;
    fn try_from(text: String) -> Result<Self, InvalidDay> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(open: &str, freezes: &[(&str, &str)]) -> Window {
        Window {
            open: (!open.is_empty()).then(|| open.parse().unwrap()),
            timezone: "Europe/Zurich".to_owned().try_into().unwrap(),
            freeze: freezes
                .iter()
                .map(|(from, to)| Freeze {
                    from: from.parse().unwrap(),
                    to: to.parse().unwrap(),
                    reason: Some("year end".to_owned()),
                })
                .collect(),
            ..Window::default()
        }
    }

    /// `open`, or when it opens.
    fn says(window: &Window, now: &str) -> String {
        match window.at(now.parse().unwrap()) {
            Opening::Open => "open".to_owned(),
            Opening::Closed { until, .. } => {
                until.map_or_else(|| "never".to_owned(), |until| until.to_string())
            }
        }
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let work = window("Mon-Fri 09:00-16:00", &[]);
        // Zurich is an hour before UTC in winter and two in summer; 2026-11-25 is a Wednesday.
        for (now, expected) in [
            ("2026-11-25T07:59:59Z", "2026-11-25T08:00:00Z"),
            ("2026-11-25T08:00:00Z", "open"),
            ("2026-11-25T14:59:59Z", "open"),
            ("2026-11-25T15:00:00Z", "2026-11-26T08:00:00Z"),
            ("2026-11-27T15:00:00Z", "2026-11-30T08:00:00Z"),
            ("2026-07-01T06:59:00Z", "2026-07-01T07:00:00Z"),
            // Over a weekend on which the clock is put forward (2026-03-29) and back (2026-10-25).
            ("2026-03-27T15:00:00Z", "2026-03-30T07:00:00Z"),
            ("2026-10-23T15:00:00Z", "2026-10-26T08:00:00Z"),
        ] {
            assert_eq!(says(&work, now), expected, "{now}");
        }
    }

    #[test]
    fn an_hour_that_is_skipped_never_comes() {
        // On 2026-03-29 the wall goes from 02:00 to 03:00, at 01:00Z.
        for (open, now, expected) in [
            // Wholly within what is skipped: the next week's.
            ("Sun 02:10-02:50", "2026-03-28T12:00:00Z", "2026-04-05T00:10:00Z"),
            ("Sun 02:10-02:50", "2026-03-29T01:20:00Z", "2026-04-05T00:10:00Z"),
            // Begins within it: opens the moment the clock is put forward.
            ("Sun 02:30-03:30", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"),
            ("Sun 02:30-03:30", "2026-03-29T01:29:00Z", "open"),
            ("Sun 02:30-03:30", "2026-03-29T01:30:00Z", "2026-04-05T00:30:00Z"),
            // Ends within it: shorter than written.
            ("Sun 01:30-02:30", "2026-03-29T00:59:00Z", "open"),
            ("Sun 01:30-02:30", "2026-03-29T01:00:00Z", "2026-04-04T23:30:00Z"),
        ] {
            assert_eq!(says(&window(open, &[]), now), expected, "{open} {now}");
        }
    }

    #[test]
    fn an_hour_that_comes_twice_counts_twice() {
        // On 2026-10-25 the wall goes from 03:00 back to 02:00, at 01:00Z.
        for (open, now, expected) in [
            ("Sun 02:10-02:50", "2026-10-25T00:00:00Z", "2026-10-25T00:10:00Z"),
            ("Sun 02:10-02:50", "2026-10-25T00:30:00Z", "open"),
            ("Sun 02:10-02:50", "2026-10-25T00:55:00Z", "2026-10-25T01:10:00Z"),
            ("Sun 02:10-02:50", "2026-10-25T01:30:00Z", "open"),
            ("Sun 02:10-02:50", "2026-10-25T01:50:00Z", "2026-11-01T01:10:00Z"),
            // The clock is put back into it.
            ("Sun 01:30-02:30", "2026-10-25T00:40:00Z", "2026-10-25T01:00:00Z"),
        ] {
            assert_eq!(says(&window(open, &[]), now), expected, "{open} {now}");
        }
    }

    #[test]
    fn freezes_are_whole_days_of_the_zone() {
        let frozen = window("Mon-Fri 09:00-16:00", &[("2026-12-20", "2027-01-04")]);
        for (now, expected) in [
            ("2026-12-18T14:00:00Z", "open"),
            ("2026-12-18T15:00:00Z", "2027-01-05T08:00:00Z"),
            ("2026-12-28T10:00:00Z", "2027-01-05T08:00:00Z"),
            ("2027-01-05T08:00:00Z", "open"),
        ] {
            assert_eq!(says(&frozen, now), expected, "{now}");
        }
        let always = window("", &[("2026-12-20", "2026-12-20"), ("2026-12-20", "2026-12-22")]);
        for (now, expected) in [
            ("2026-12-19T22:59:59Z", "open"),
            ("2026-12-19T23:00:00Z", "2026-12-22T23:00:00Z"),
            ("2026-12-22T23:00:00Z", "open"),
        ] {
            assert_eq!(says(&always, now), expected, "{now}");
        }
        let Opening::Closed { why, .. } = always.at("2026-12-20T12:00:00Z".parse().unwrap()) else {
            panic!("it is closed");
        };
        assert_eq!(why, "frozen until 2026-12-22 (year end)");
    }

    #[test]
    fn a_freeze_without_an_end_never_opens() {
        let window = window("Mon 09:00-10:00", &[("2026-01-01", "9999-12-31")]);
        assert_eq!(says(&window, "2026-06-01T00:00:00Z"), "never");
    }

    #[test]
    fn zones_and_days_are_read_strictly() {
        let zone = |text: &str| ZoneName::try_from(text.to_owned());
        assert_eq!(zone("europe/zurich").unwrap().to_string(), "Europe/Zurich");
        assert_eq!(zone("UTC").unwrap(), ZoneName::default());
        assert!(zone("Europe/Zuerich").is_err());
        for bad in ["2026-02-30", "2026-1-1", "2026-01-01T10:00", "tomorrow", ""] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }
}
