//! Durations in buckets that are at most 1/32 of their value wide.

use std::time::Duration;

use super::report::Quantiles;

/// Each power of two is cut into this many buckets; values below it have one each.
const PARTS: u64 = 32;
const PARTS_BITS: u32 = PARTS.trailing_zeros();

/// Microseconds, log-linear: the bucket's upper end is at most 3.2 % above the true value.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    longest: u64,
}

impl Histogram {
    pub(super) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(micros);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.longest = self.longest.max(micros);
    }

    /// The duration in milliseconds that `share` (0 to 1) of the values do not exceed; 0 when there are none.
    fn quantile(&self, share: f64) -> f64 {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_end(bucket).min(self.longest) as f64 / 1000.0;
            }
        }
        0.0
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        Quantiles {
            p50_ms: self.quantile(0.5),
            p90_ms: self.quantile(0.9),
            p99_ms: self.quantile(0.99),
            max_ms: self.longest as f64 / 1000.0,
        }
    }
}

fn bucket(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(PARTS_BITS + 1);
    // Below 2 * PARTS the shift is 0 and the value is its own bucket.
    (u64::from(shift) * PARTS + (micros >> shift)) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / PARTS).saturating_sub(1);
    let part = bucket - shift * PARTS;
    ((u128::from(part + 1) << shift) - 1)
        .try_into()
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bucket_that_ends_at_most_a_32nd_above_it() {
        let values = (0..5000).chain((14..60).map(|bits| (1 << bits) + 12_345 % (1 << bits)));
        let mut before = 0;
        for value in values {
            let (bucket, end) = (bucket(value), upper_end(bucket(value)));
            assert!(bucket >= before, "{value}: buckets go down");
            assert!(
                end >= value && end - value <= value / PARTS,
                "{value} ends at {end}"
            );
            before = bucket;
        }
        assert!(upper_end(bucket(u64::MAX)) == u64::MAX);
    }

    #[test]
    fn quantiles_of_one_to_a_thousand_milliseconds() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|millis| histogram.record(Duration::from_millis(millis)));
        let Quantiles {
            p50_ms,
            p90_ms,
            p99_ms,
            max_ms,
        } = histogram.quantiles();
        assert!((500.0..517.0).contains(&p50_ms), "{p50_ms}");
        assert!((900.0..930.0).contains(&p90_ms), "{p90_ms}");
        assert!((990.0..=1000.0).contains(&p99_ms), "{p99_ms}");
        assert_eq!(max_ms, 1000.0);
    }

    #[test]
    fn nothing_recorded_is_zero() {
        assert_eq!(Histogram::default().quantiles(), Quantiles::default());
    }
}
