//! What every renderer is told about where its text will be read.

use std::sync::LazyLock;

use jiff::tz::TimeZone;

use super::address::Address;

/// The zone of this machine's clock: found when a moment is told, because all zones are looked through for it.
pub(crate) static HERE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

#[cfg(test)]
static UTC: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::UTC);

/// Where a text will be read.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    /// How many columns there are.
    pub(crate) width: usize,
    /// Whether it may carry colour.
    pub(crate) colour: bool,
    /// The zone of the reader's clock.
    pub(crate) zone: &'static LazyLock<TimeZone>,
    /// What the commands in it are about.
    pub(crate) address: Address,
}

impl Style {
    /// Eighty columns, no colour, UTC: for files and tests.
    #[cfg(test)]
    pub(crate) fn bare() -> Self {
        Self {
            width: 80,
            colour: false,
            zone: &UTC,
            address: Address::default(),
        }
    }

    /// The same, of a command that was given for an environment.
    #[cfg(test)]
    pub(crate) fn within(environment: &str) -> Self {
        let mut style = Self::bare();
        if environment != "production" {
            style.address = style.address.with("--env", environment);
        }
        style
    }

    /// The column before which every line ends: the last two stay free, as the first two do.
    pub(crate) const fn edge(&self) -> usize {
        self.width.saturating_sub(2)
    }
}
