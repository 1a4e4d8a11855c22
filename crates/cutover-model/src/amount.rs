//! Amounts as people say them.

use std::fmt;

/// A size in bytes, in decimal units with at most one digit after the point: `214 MB`, `2.1 GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] = [
            ("TB", 1_000_000_000_000),
            ("GB", 1_000_000_000),
            ("MB", 1_000_000),
            ("kB", 1_000),
        ];
        let text = UNITS.iter().find(|(_, size)| self.0 >= *size).map_or_else(
            || format!("{} B", self.0),
            |(unit, size)| {
                let tenths = self.0 / (size / 10);
                if tenths >= 100 || tenths.is_multiple_of(10) {
                    format!("{} {unit}", tenths / 10)
                } else {
                    format!("{}.{} {unit}", tenths / 10, tenths % 10)
                }
            },
        );
        f.pad(&text)
    }
}

/// A number with a comma between thousands: `1,204,118`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (999, "999 B"),
            (32_000, "32 kB"),
            (214_000_000, "214 MB"),
            (2_140_000_000, "2.1 GB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_204_118, "1,204,118")] {
            assert_eq!(Grouped(number).to_string(), text);
        }
    }
}
