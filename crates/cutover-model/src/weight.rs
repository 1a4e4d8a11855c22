//! Shares of traffic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A share of requests in parts per 10,000: 0 is none, 10,000 is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

/// A share above the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} parts per 10,000 is more than all requests")]
pub struct InvalidWeight(pub u32);

impl Weight {
    /// No request.
    pub const NONE: Self = Self(0);
    /// Every request.
    pub const ALL: Self = Self(10_000);

    /// A share in parts per 10,000.
    ///
    /// # Errors
    /// When it is more than 10,000.
    pub fn new(parts: u32) -> Result<Self, InvalidWeight> {
        if parts > Self::ALL.0 {
            Err(InvalidWeight(parts))
        } else {
            Ok(Self(parts))
        }
    }

    /// A share in per cent; above 100 counts as 100.
    #[must_use]
    pub fn percent(percent: u8) -> Self {
        Self(u32::from(percent.min(100)) * 100)
    }

    /// A share of `part` in `whole`, rounded to the nearest part; none of nothing is none.
    #[must_use]
    pub fn share(part: u32, whole: u32) -> Self {
        if whole == 0 {
            return Self::NONE;
        }
        let parts = (u64::from(part.min(whole)) * 10_000 + u64::from(whole) / 2) / u64::from(whole);
        Self(u32::try_from(parts).unwrap_or(10_000))
    }

    /// In parts per 10,000.
    #[must_use]
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// What is left for the others.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(10_000 - self.0)
    }

    /// Whether no request goes there.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<u32> for Weight {
    type Error = InvalidWeight;
    fn try_from(parts: u32) -> Result<Self, InvalidWeight> {
        Self::new(parts)
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        let text = if rest == 0 {
            format!("{whole} %")
        } else if rest % 10 == 0 {
            format!("{whole}.{} %", rest / 10)
        } else {
            format!("{whole}.{rest:02} %")
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        assert_eq!(Weight::percent(10).to_string(), "10 %");
        assert_eq!(Weight::share(1, 3).to_string(), "33.33 %");
        assert_eq!(Weight::share(1, 3).rest().parts(), 6667);
        assert_eq!(Weight::share(0, 0), Weight::NONE);
        assert!(serde_json::from_str::<Weight>("10001").is_err());
    }
}
