//! Opening hours as people write them: `Mon-Fri 09:00-16:00, Sat 10:00-12:00`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Days of the week with times, by the clock on the wall: `Mon-Fri 09:00-16:00`; several with commas between; `daily`
/// for all days. A range whose end is not after its start passes midnight: `Fri 22:00-02:00` ends on Saturday.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "cutover-hours"))]
pub struct OpenHours(Vec<Range>);

/// One of the ranges; none of them is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Range {
    /// The first and the last day that it begins on, from Monday as 0; the last may be before the first (`Sat-Mon`).
    days: (u8, u8),
    /// In minutes of the day.
    from: u16,
    /// The same; from `from` on or less, it is of the next day.
    until: u16,
}

/// A text that is no opening hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not opening hours such as `Mon-Fri 09:00-16:00`: {cause}")]
pub struct InvalidHours {
    /// As written.
    pub text: String,
    /// What is wrong with it.
    pub cause: String,
}

impl OpenHours {
    /// Whether the clock on the wall shows a time within them.
    #[must_use]
    pub fn contain(&self, wall: DateTime) -> bool {
        let day = wall.date().weekday().to_monday_zero_offset().cast_unsigned();
        let minute = u16::from(wall.hour().cast_unsigned()) * 60 + u16::from(wall.minute().cast_unsigned());
        self.0.iter().any(|range| range.contains(day, minute))
    }

    /// The times of day at which a range may begin, as hour and minute.
    pub(super) fn starts(&self) -> impl Iterator<Item = (i8, i8)> + '_ {
        // Midnight as well: a freeze ends there.
        self.0.iter().map(|range| range.from).chain([0]).map(|from| {
            let part = |n: u16| i8::try_from(n).unwrap_or(0);
            (part(from / 60), part(from % 60))
        })
    }
}

impl Range {
    fn begins_on(&self, day: u8) -> bool {
        let (first, last) = self.days;
        if first <= last {
            (first..=last).contains(&day)
        } else {
            day >= first || day <= last
        }
    }

    fn contains(&self, day: u8, minute: u16) -> bool {
        if self.from < self.until {
            return self.begins_on(day) && (self.from..self.until).contains(&minute);
        }
        let before = (day + 6) % 7;
        (self.begins_on(day) && minute >= self.from) || (self.begins_on(before) && minute < self.until)
    }
}

impl FromStr for OpenHours {
    type Err = InvalidHours;
    fn from_str(text: &str) -> Result<Self, InvalidHours> {
        let refuse = |cause: String| InvalidHours {
            text: text.to_owned(),
            cause,
        };
        let ranges: Result<Vec<Range>, String> = text.split(',').map(range).collect();
        ranges.map(Self).map_err(refuse)
    }
}

fn range(text: &str) -> Result<Range, String> {
    let Some((days, times)) = text.trim().split_once(' ') else {
        return Err("days and times are wanted, with a space between".to_owned());
    };
    let days = if days.eq_ignore_ascii_case("daily") {
        (0, 6)
    } else {
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        (day(first)?, day(last)?)
    };
    let Some((from, until)) = times.trim().split_once('-') else {
        return Err(format!("`{}` has no end", times.trim()));
    };
    let (from, until) = (time(from)?, time(until)?);
    if from == DAY {
        return Err("a day begins at 00:00".to_owned());
    }
    if from == until {
        return Err("it would never open; a whole day is 00:00-24:00".to_owned());
    }
    Ok(Range { days, from, until })
}

fn day(text: &str) -> Result<u8, String> {
    DAYS.iter()
        .position(|day| day.eq_ignore_ascii_case(text.trim()))
        .and_then(|at| u8::try_from(at).ok())
        .ok_or_else(|| format!("`{}` is none of {} and daily", text.trim(), DAYS.join(", ")))
}

fn time(text: &str) -> Result<u16, String> {
    let refuse = || format!("`{}` is no time from 00:00 to 24:00", text.trim());
    let (hour, minute) = text.trim().split_once(':').ok_or_else(refuse)?;
    let two = |digits: &str| -> Option<u16> {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok())
            .flatten()
    };
    let (hour, minute) = (two(hour).ok_or_else(refuse)?, two(minute).ok_or_else(refuse)?);
    let total = hour * 60 + minute;
    if minute > 59 || total > DAY {
        return Err(refuse());
    }
    Ok(total)
}

impl fmt::Display for OpenHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            let name = |day: u8| DAYS[usize::from(day) % 7];
            match range.days {
                (0, 6) => f.write_str("daily")?,
                (first, last) if first == last => f.write_str(name(first))?,
                (first, last) => write!(f, "{}-{}", name(first), name(last))?,
            }
            let (from, until) = (range.from, range.until);
            write!(
                f,
                " {:02}:{:02}-{:02}:{:02}",
                from / 60,
                from % 60,
                until / 60,
                until % 60
            )?;
        }
        Ok(())
    }
}

impl TryFrom<String> for OpenHours {
    type Error = InvalidHours;
    fn try_from(text: String) -> Result<Self, InvalidHours> {
        text.parse()
    }
}

impl From<OpenHours> for String {
    fn from(hours: OpenHours) -> Self {
        hours.to_string()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "Mon-Fri 09:00-16:00",
            "Mon-Thu 09:00-16:00, Fri 09:00-12:00",
            "daily 22:00-04:00",
            "Sat-Mon 00:00-24:00",
        ] {
            assert_eq!(text.parse::<OpenHours>().unwrap().to_string(), text);
        }
        assert_eq!(
            "mon-sun 1:00-02:00".parse::<OpenHours>().unwrap_err().cause,
            "`1:00` is no time from 00:00 to 24:00"
        );
    }

    #[test]
    fn bad_hours_say_what_is_wrong() {
        for (text, cause) in [
            ("", "with a space between"),
            ("Mon", "with a space between"),
            ("Mon 09:00", "has no end"),
            ("Mon 09:00-09:00", "never open"),
            ("Mo-Fr 09:00-10:00", "`Mo` is none of"),
            ("Mon 09:00-25:00", "`25:00` is no time"),
            ("Mon 09:60-10:00", "`09:60` is no time"),
            ("Mon 24:00-10:00", "begins at 00:00"),
            ("Mon 09:00-10:00,", "with a space between"),
            ("Mon 99:99-10:00", "is no time"),
        ] {
            let found = text.parse::<OpenHours>().unwrap_err();
            assert!(found.cause.contains(cause), "{text}: {found}");
        }
    }

    #[test]
    fn days_and_times_are_those_of_the_wall() {
        let contain = |text: &str, day: i8, hour: i8, minute: i8| {
            // 2026-11-23 is a Monday.
            text.parse::<OpenHours>()
                .unwrap()
                .contain(datetime(2026, 11, 22 + day, hour, minute, 0, 0))
        };
        let work = "Mon-Fri 09:00-16:00";
        for (day, hour, minute, open) in [
            (1, 8, 59, false),
            (1, 9, 0, true),
            (5, 15, 59, true),
            (5, 16, 0, false),
            (6, 12, 0, false),
        ] {
            assert_eq!(contain(work, day, hour, minute), open, "{day} {hour}:{minute}");
        }
        // Past midnight it belongs to the day it began on.
        let night = "Fri 22:00-02:00";
        for (day, hour, open) in [
            (5, 21, false),
            (5, 23, true),
            (6, 1, true),
            (6, 2, false),
            (5, 1, false),
        ] {
            assert_eq!(contain(night, day, hour, 0), open, "{day} {hour}");
        }
        assert!(contain("Sat-Mon 10:00-11:00", 7, 10, 30));
        assert!(!contain("Sat-Mon 10:00-11:00", 2, 10, 30));
    }
}
