//! What every renderer is told about where its text will be read.

use cutover_model::EnvironmentName;
use jiff::tz::TimeZone;

/// Where a text will be read.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    /// How many columns there are.
    pub(crate) width: usize,
    /// Whether it may carry colour.
    pub(crate) colour: bool,
    /// The zone of the reader's clock.
    pub(crate) zone: TimeZone,
    /// The environment that the commands in it are meant for.
    pub(crate) environment: EnvironmentName,
}

impl Style {
    /// Eighty columns, no colour, UTC: for files and tests.
    #[cfg(test)]
    pub(crate) fn bare() -> Self {
        Self {
            width: 80,
            colour: false,
            zone: TimeZone::UTC,
            environment: EnvironmentName::production(),
        }
    }

    /// The column before which every line ends: the last two stay free, as the first two do.
    pub(crate) const fn edge(&self) -> usize {
        self.width.saturating_sub(2)
    }
}
