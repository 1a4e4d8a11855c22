//! Answer times in log-linear buckets.

use serde::{Deserialize, Serialize};

/// Sub-buckets to an octave, as a power of two.
const SUB_BITS: u32 = 4;
const SUBS: u64 = 1 << SUB_BITS;

/// Answer times in log-linear buckets: 16 to an octave of microseconds, so at most 6.25 % wide.
///
/// The layout, for whoever counts in an array of its own: a time of `v` whole microseconds belongs to bucket
/// - `v`, when `v < 16`;
/// - `16 + (octave − 4) · 16 + sub` otherwise, where `octave = ⌊log2 v⌋` and `sub = (v >> (octave − 4)) & 15`.
///
/// There are [`Histogram::BUCKETS`] of them; the vector holds their counts from bucket 0 on and ends where the source
/// likes: what is missing counts as zero.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(pub Vec<u64>);

impl Histogram {
    /// How many buckets there are: enough for every `u64`. Up to 71 minutes it takes 464 (see [`Histogram::index`]).
    pub const BUCKETS: usize = 976;

    /// The bucket of a time in microseconds.
    #[must_use]
    pub const fn index(us: u64) -> usize {
        if us < SUBS {
            return us as usize;
        }
        let shift = us.ilog2() - SUB_BITS;
        (SUBS + shift as u64 * SUBS + ((us >> shift) & (SUBS - 1))) as usize
    }

    /// The smallest time of a bucket, in microseconds.
    #[must_use]
    pub const fn lower_bound(index: usize) -> u64 {
        let index = if index < Self::BUCKETS {
            index as u64
        } else {
            Self::BUCKETS as u64 - 1
        };
        if index < SUBS {
            return index;
        }
        let shift = (index - SUBS) / SUBS;
        (SUBS + index % SUBS) << shift
    }

    /// The greatest time of a bucket, in microseconds.
    #[must_use]
    pub const fn upper_bound(index: usize) -> u64 {
        if index + 1 >= Self::BUCKETS {
            u64::MAX
        } else {
            Self::lower_bound(index + 1) - 1
        }
    }

    /// Counts one time in microseconds.
    pub fn record(&mut self, us: u64) {
        let index = Self::index(us);
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        self.0[index] = self.0[index].saturating_add(1);
    }

    /// How many times were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The `q`-quantile (0 to 1) in microseconds: the greatest time of the bucket that holds the ⌈q·n⌉-th smallest, so
    /// never too small and at most 6.25 % too great. None when nothing was counted.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let q = if q.is_nan() { 1.0 } else { q.clamp(0.0, 1.0) };
        let rank = ((q * count as f64).ceil() as u64).clamp(1, count);
        let mut seen: u64 = 0;
        for (index, n) in self.0.iter().enumerate() {
            seen = seen.saturating_add(*n);
            if seen >= rank {
                return Some(Self::upper_bound(index));
            }
        }
        None
    }

    /// How many of the times are greater than the whole bucket that `us` belongs to: certainly greater than `us`.
    #[must_use]
    pub fn above(&self, us: u64) -> u64 {
        self.0
            .iter()
            .skip(Self::index(us) + 1)
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Both together.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let (long, short) = if self.0.len() >= other.0.len() {
            (self, other)
        } else {
            (other, self)
        };
        let mut sum = long.clone();
        for (to, from) in sum.0.iter_mut().zip(&short.0) {
            *to = to.saturating_add(*from);
        }
        sum
    }

    /// The difference of two cumulative histograms of one source; a bucket never goes below zero.
    #[must_use]
    pub fn minus(&self, earlier: &Self) -> Self {
        let mut rest = self.clone();
        for (from, less) in rest.0.iter_mut().zip(&earlier.0) {
            *from = from.saturating_sub(*less);
        }
        rest
    }
}

/// The form in which a state is kept: the first bucket that is not empty, and the counts from there on.
pub(crate) mod compact {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Histogram;

    pub(crate) fn serialize<S: Serializer>(value: &Histogram, to: S) -> Result<S::Ok, S::Error> {
        let first = value.0.iter().position(|n| *n > 0).unwrap_or(0);
        let end = value.0.iter().rposition(|n| *n > 0).map_or(first, |at| at + 1);
        (first, &value.0[first..end]).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Histogram, D::Error> {
        let (first, counts) = <(usize, Vec<u64>)>::deserialize(from)?;
        let mut all = vec![0; first.min(Histogram::BUCKETS)];
        all.extend(counts);
        all.truncate(Histogram::BUCKETS);
        Ok(Histogram(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        for (us, index) in [
            (0, 0),
            (15, 15),
            (16, 16),
            (17, 17),
            (31, 31),
            (32, 32),
            (33, 32),
            (34, 33),
            (63, 47),
            (64, 48),
            (1_000, 16 + 5 * 16 + 15),
            (u64::MAX, Histogram::BUCKETS - 1),
        ] {
            assert_eq!(Histogram::index(us), index, "{us} µs");
        }
        // 71 minutes is 2³² µs: the first bucket of octave 32.
        assert_eq!(Histogram::index(1 << 32), 464);
    }

    #[test]
    fn buckets_follow_each_other_without_gap_or_overlap() {
        for index in 0..Histogram::BUCKETS {
            let (low, high) = (Histogram::lower_bound(index), Histogram::upper_bound(index));
            assert_eq!(Histogram::index(low), index);
            assert_eq!(Histogram::index(high), index);
            assert!(low <= high);
            if low >= 16 {
                assert!(
                    (high - low + 1) as f64 <= low as f64 / 16.0 + 1.0,
                    "{low}..{high}"
                );
            }
        }
    }

    #[test]
    fn quantiles_of_nothing_and_of_one() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        let mut one = Histogram::default();
        one.record(9);
        for q in [0.0, 0.5, 1.0, f64::NAN, -3.0] {
            assert_eq!(one.quantile(q), Some(9));
        }
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_too_small_and_hardly_too_great(
            mut times in prop::collection::vec(0u64..10_000_000, 1..200), q in 0.0f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            for us in &times { histogram.record(*us); }
            times.sort_unstable();
            let rank = ((q * times.len() as f64).ceil() as usize).clamp(1, times.len());
            let exact = times[rank - 1];
            let found = histogram.quantile(q).unwrap();
            prop_assert!(found >= exact && found as f64 <= exact as f64 * 1.0625 + 1.0, "{exact} {found}");
        }

        #[test]
        fn what_was_merged_can_be_taken_away(
            a in prop::collection::vec(0u64..100_000, 0..50), b in prop::collection::vec(0u64..100_000, 0..50),
        ) {
            let fill = |times: &[u64]| {
                let mut histogram = Histogram::default();
                for us in times { histogram.record(*us); }
                histogram
            };
            let (a, b) = (fill(&a), fill(&b));
            let both = a.merge(&b);
            prop_assert_eq!(both.count(), a.count() + b.count());
            prop_assert_eq!(both.minus(&a).count(), b.count());
            prop_assert_eq!(a.minus(&both).count(), 0);
        }
    }
}
