//! Lengths of time as people write them: `30s`, `5m`, `1h30m`, `500ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time in whole milliseconds; written `500ms`, `30s`, `5m`, `1h30m`, `24h`, `7d`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("format" = "cutover-duration", "pattern" = "^(0|([0-9]+(d|h|m|s|ms))+)$"))]
pub struct Span(u64);

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration such as 500ms, 30s, 5m, 1h30m or 7d")]
pub struct InvalidSpan(pub String);

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000)
    }

    /// So many minutes.
    #[must_use]
    pub const fn from_mins(mins: u64) -> Self {
        Self(mins * 60_000)
    }

    /// So many hours.
    #[must_use]
    pub const fn from_hours(hours: u64) -> Self {
        Self(hours * 3_600_000)
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// As the standard library's duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// From one moment to a later one; zero when the second is not later.
    #[must_use]
    pub fn between(from: jiff::Timestamp, to: jiff::Timestamp) -> Self {
        Self(u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0))
    }

    /// The moment this long after another; the last representable moment when it would be later than that.
    #[must_use]
    pub fn after(self, at: jiff::Timestamp) -> jiff::Timestamp {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(at.as_millisecond().saturating_add(millis))
            .unwrap_or(jiff::Timestamp::MAX)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0s");
        }
        let mut rest = self.0;
        let mut text = String::new();
        for (unit, size) in UNITS {
            // Whole days only, from two on: "24h" and "36h" read better than "1d" and "1d12h".
            if unit == "d" && (!rest.is_multiple_of(size) || rest < 2 * size) {
                continue;
            }
            if rest >= size {
                text.push_str(&format!("{}{unit}", rest / size));
                rest %= size;
            }
        }
        f.pad(&text)
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;
    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let refuse = || InvalidSpan(text.to_owned());
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(refuse());
        }
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
            let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit = &rest[..letters];
            rest = &rest[letters..];
            let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
            let add = number.checked_mul(*size).ok_or_else(refuse)?;
            total = total.checked_add(add).ok_or_else(refuse)?;
        }
        Ok(Self(total))
    }
}

impl TryFrom<String> for Span {
    type Error = InvalidSpan;
    fn try_from(text: String) -> Result<Self, InvalidSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_writes_as_people_do() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().as_millis(), millis);
        }
        assert_eq!(Span::from_hours(24).to_string(), "24h");
        assert_eq!(Span::from_hours(48).to_string(), "2d");
        assert_eq!(Span::from_hours(36).to_string(), "36h");
        for bad in ["", "5", "m", "5 m", "-5m", "5x", "1.5h", "99999999999999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0u64..10_000_000_000) {
            let span = Span::from_millis(millis);
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }
}
