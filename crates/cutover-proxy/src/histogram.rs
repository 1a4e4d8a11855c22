//! Answer times in log-linear buckets: 16 to an octave of microseconds, at most 6.25 % wide.
//!
//! The layout is that of [`cutover_analysis::Histogram`]: bucket `i < 16` counts exactly `i` µs; from there each
//! octave `2^k ..` has 16 equal parts. It maps to OpenTelemetry's exponential histogram of scale 4.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// 16 exact buckets and 16 for each octave from 2^4 to 2^30 µs (18 minutes); longer counts in the last.
pub(crate) const BUCKETS: usize = 16 + (31 - 4) * 16;

/// One writer thread adds, any thread reads.
#[derive(Debug)]
pub(crate) struct LatencyHistogram {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            sum_us: AtomicU64::new(0),
        }
    }
}

impl LatencyHistogram {
    pub(crate) fn record(&self, micros: u64) {
        self.counts[bucket_of(micros)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(micros, Relaxed);
    }

    /// Adds what was recorded to a dense sum.
    pub(crate) fn add_to(&self, counts: &mut [u64], sum_us: &mut u64) {
        for (sum, count) in counts.iter_mut().zip(&self.counts) {
            *sum += count.load(Relaxed);
        }
        *sum_us += self.sum_us.load(Relaxed);
    }
}

fn bucket_of(micros: u64) -> usize {
    if micros < 16 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let octave = 63 - micros.leading_zeros();
    let part = (micros >> (octave - 4)) & 15;
    let index = 16 + u64::from(octave - 4) * 16 + part;
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The first value, in microseconds, that is above a bucket.
pub(crate) fn upper_bound(bucket: usize) -> u64 {
    if bucket < 16 {
        return bucket as u64 + 1;
    }
    let (octave, part) = ((bucket - 16) / 16, (bucket - 16) % 16);
    (17 + part as u64) << octave
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_at_most_one_sixteenth_wide() {
        let mut last = 0;
        for value in (0..5_000_000u64).step_by(7).chain([u64::MAX]) {
            let bucket = bucket_of(value);
            assert!(bucket >= last, "{value}");
            if bucket < BUCKETS - 1 {
                assert!(value < upper_bound(bucket), "{value} in {bucket}");
                assert!(
                    bucket == 0 || value >= upper_bound(bucket - 1),
                    "{value} in {bucket}"
                );
            }
            last = bucket;
        }
        assert_eq!(last, BUCKETS - 1);
        for bucket in 17..BUCKETS {
            let (low, high) = (upper_bound(bucket - 1), upper_bound(bucket));
            assert!((high - low) * 16 <= low, "{bucket}");
        }
    }
}
