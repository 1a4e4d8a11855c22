//! By how much one series of points lies above another, whatever their distribution.
//!
//! The Mann-Whitney U test turned around: the shifts d at which the first series, less d, cannot be told from the
//! second are a confidence interval for the shift between them, and the shift at which U is just what chance makes it is
//! the Hodges-Lehmann estimate (Hollander and Wolfe, "Nonparametric Statistical Methods", ch. 4). The normal
//! approximation with continuity and tie correction is used at every size, as R's `wilcox.test(exact = FALSE)` and
//! Kayenta do.

use std::cell::Cell;

/// So many differences are looked at one by one.
const MANY: usize = 250_000;

/// The shift of one series against another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shift {
    /// Lower end of the confidence interval.
    pub(crate) lower: f64,
    /// Upper end.
    pub(crate) upper: f64,
    /// The Hodges-Lehmann estimate: the median of all differences between a point of one and a point of the other.
    pub(crate) estimate: f64,
}

/// The shift of `x` against `y` with the confidence `confidence` (between 0 and 1). Both hold at least one finite number.
pub(crate) fn shift(x: &[f64], y: &[f64], confidence: f64) -> Shift {
    let pair = Pair::new(x, y);
    let z = normal_quantile(1.0 - (1.0 - confidence) / 2.0);
    Shift {
        lower: pair.crossing(|d| pair.score(d) - z),
        upper: pair.crossing(|d| pair.score(d) + z),
        estimate: pair.median_difference(),
    }
}

/// The chance that a point of `x` is above one of `y`; of equal ones, half. Both hold at least one finite number.
pub(crate) fn above(x: &[f64], y: &[f64]) -> f64 {
    let (deviation, _) = Pair::new(x, y).deviation(0.0);
    0.5 + deviation / (x.len() as f64 * y.len() as f64)
}

/// Both series, sorted.
struct Pair {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Pair {
    fn new(x: &[f64], y: &[f64]) -> Self {
        let sorted = |values: &[f64]| {
            let mut values = values.to_vec();
            values.sort_by(f64::total_cmp);
            values
        };
        Self {
            x: sorted(x),
            y: sorted(y),
        }
    }

    /// The smallest and the greatest difference.
    fn span(&self) -> (f64, f64) {
        let (n, m) = (self.x.len() - 1, self.y.len() - 1);
        (self.x[0] - self.y[m], self.x[n] - self.y[0])
    }

    /// How far U, with `x` shifted back by `d`, is from what chance makes it, and the sum of t³ − t over its ties.
    fn deviation(&self, d: f64) -> (f64, f64) {
        let (x, y) = (self.x.as_slice(), self.y.as_slice());
        let (n, m) = (x.len(), y.len());
        let (mut u, mut ties) = (0.0, 0.0);
        let (mut at_x, mut at_y) = (0, 0);
        // Both in one pass, group by group of equal values.
        while at_x < n || at_y < m {
            let value = if at_x == n {
                y[at_y]
            } else if at_y == m {
                x[at_x] - d
            } else {
                (x[at_x] - d).min(y[at_y])
            };
            let (before_x, before_y) = (at_x, at_y);
            while at_x < n && x[at_x] - d == value {
                at_x += 1;
            }
            while at_y < m && y[at_y] == value {
                at_y += 1;
            }
            let (of_x, of_y) = (at_x - before_x, at_y - before_y);
            u += of_x as f64 * (before_y as f64 + of_y as f64 / 2.0);
            if of_x + of_y > 1 {
                let tied = (of_x + of_y) as f64;
                ties += tied * tied * tied - tied;
            }
        }
        (u - n as f64 * m as f64 / 2.0, ties)
    }

    /// The standardised deviation at a shift; it falls as the shift rises.
    fn score(&self, d: f64) -> f64 {
        let (deviation, ties) = self.deviation(d);
        let (n, m) = (self.x.len() as f64, self.y.len() as f64);
        let all = n + m;
        let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
        if variance <= 0.0 {
            // All are tied: nothing points anywhere.
            return 0.0;
        }
        let correction = if deviation == 0.0 {
            0.0
        } else {
            deviation.signum() * 0.5
        };
        (deviation - correction) / variance.sqrt()
    }

    /// Where a falling function goes through zero, within the span of the differences. The bits of the place are found
    /// one by one: as many looks as it has, however far apart the points are.
    fn crossing(&self, f: impl Fn(f64) -> f64) -> f64 {
        let (least, most) = self.span();
        if f(least) <= 0.0 {
            return least;
        }
        if f(most) >= 0.0 {
            return most;
        }
        let (mut above, mut below) = (order(least), order(most));
        while below - above > CLOSE {
            let middle = above + (below - above) / 2;
            if f(at(middle)) > 0.0 {
                above = middle;
            } else {
                below = middle;
            }
        }
        f64::midpoint(at(above), at(below))
    }

    /// The median of all differences. Of very long series it is found where U is just what chance makes it, which is
    /// constant between two neighbouring differences.
    fn median_difference(&self) -> f64 {
        if self.x.len().saturating_mul(self.y.len()) <= MANY {
            let mut all: Vec<f64> = self
                .x
                .iter()
                .flat_map(|x| self.y.iter().map(move |y| x - y))
                .collect();
            all.sort_unstable_by(f64::total_cmp);
            return f64::midpoint(all[(all.len() - 1) / 2], all[all.len() / 2]);
        }
        let level = Cell::new(false);
        let last_above = self.crossing(|d| {
            let (deviation, _) = self.deviation(d);
            level.set(level.get() || deviation == 0.0);
            deviation
        });
        if !level.get() {
            // It jumps over what chance makes it: the two ends are one.
            return last_above;
        }
        let first_below = self.crossing(|d| if self.deviation(d).0 < 0.0 { -1.0 } else { 1.0 });
        f64::midpoint(last_above, first_below)
    }
}

/// So many neighbouring numbers apart (of the 2⁵² between 1 and 2) two places are one: a part in 10¹⁴.
const CLOSE: i128 = 64;

/// A number's place among all numbers, in their order.
fn order(number: f64) -> i128 {
    let bits = i128::from(number.abs().to_bits());
    if number.is_sign_negative() { -bits } else { bits }
}

/// The number at a place.
fn at(place: i128) -> f64 {
    let number = f64::from_bits(place.unsigned_abs() as u64);
    if place < 0 { -number } else { number }
}

/// The standard normal distribution's quantile. Acklam's rational approximation (relative error below 1.2e-9).
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    const EDGE: f64 = 0.02425;
    let horner = |coefficients: &[f64], at: f64| coefficients.iter().fold(0.0, |sum, c| sum * at + c);
    if p <= 0.0 {
        f64::NEG_INFINITY
    } else if p >= 1.0 {
        f64::INFINITY
    } else if p < EDGE {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&C, q) / (horner(&D, q) * q + 1.0)
    } else if p > 1.0 - EDGE {
        -normal_quantile(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        horner(&A, r) * q / (horner(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found}, not {expected}");
    }

    #[test]
    fn quantiles_of_the_normal_distribution() {
        close(normal_quantile(0.975), 1.959_963_985, 1e-8);
        close(normal_quantile(0.99), 2.326_347_874, 1e-8);
        close(normal_quantile(0.5), 0.0, 1e-12);
        close(normal_quantile(0.001), -3.090_232_306, 1e-8);
    }

    #[test]
    fn by_hand() {
        // Differences 1−0, 1−2, 3−0, 3−2 are −1, 1, 1, 3: their median is 1.
        close(shift(&[1.0, 3.0], &[0.0, 2.0], 0.98).estimate, 1.0, 1e-9);
        // The middle of the two middle ones of 4, 5, 6, 7.
        close(shift(&[10.0, 12.0], &[6.0, 5.0], 0.98).estimate, 5.5, 1e-9);
        let pair = Pair::new(&[1.0, 2.0, 2.0, 4.0], &[2.0, 3.0]);
        // U: 1 beats none, each 2 ties once, 4 beats both: 3 of 8, so 1 below the middle; ties: three 2s, 27 − 3.
        assert_eq!(pair.deviation(0.0), (-1.0, 24.0));
    }

    #[test]
    fn chances_by_hand() {
        // 1 ties with 1 and is below 2; 3 is above both.
        close(above(&[1.0, 3.0], &[1.0, 2.0]), (0.5 + 2.0) / 4.0, 1e-12);
        close(above(&[-0.0], &[0.0]), 0.5, 1e-12);
        close(above(&[9.0, 8.0, 7.0], &[1.0]), 1.0, 1e-12);
    }

    #[test]
    fn rounding_does_not_move_the_estimate() {
        let found = shift(&[90.472_387_085_797_1, 0.0], &[-14.149_193_066_216_672], 0.98);
        close(
            found.estimate,
            (104.621_580_152_013_77 + 14.149_193_066_216_672) / 2.0,
            1e-9,
        );
    }

    #[test]
    fn with_few_points_the_interval_is_as_wide_as_the_differences() {
        let found = shift(&[5.0, 6.0], &[1.0, 2.0], 0.98);
        assert_eq!((found.lower, found.upper), (3.0, 5.0));
    }

    proptest! {
        #[test]
        fn a_shift_is_found_and_reversed_by_a_swap(
            x in prop::collection::vec(-100.0f64..100.0, 1..40),
            y in prop::collection::vec(-100.0f64..100.0, 1..40),
            d in -50.0f64..50.0,
        ) {
            let found = shift(&x, &y, 0.98);
            prop_assert!(found.lower <= found.estimate + 1e-6 && found.estimate <= found.upper + 1e-6);
            let moved: Vec<f64> = x.iter().map(|value| value + d).collect();
            let after = shift(&moved, &y, 0.98);
            prop_assert!((after.estimate - found.estimate - d).abs() < 1e-6);
            prop_assert!((after.lower - found.lower - d).abs() < 1e-6);
            let swapped = shift(&y, &x, 0.98);
            prop_assert!((swapped.estimate + found.estimate).abs() < 1e-6);
            prop_assert!((swapped.lower + found.upper).abs() < 1e-6);
        }

        #[test]
        fn the_estimate_is_the_median_of_all_differences(
            x in prop::collection::vec(-9i32..9, 1..12), y in prop::collection::vec(-9i32..9, 1..12),
        ) {
            let float = |values: &[i32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let mut all: Vec<i32> = x.iter().flat_map(|a| y.iter().map(move |b| a - b)).collect();
            all.sort_unstable();
            let median = f64::from(all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2.0;
            prop_assert!((shift(&float(&x), &float(&y), 0.98).estimate - median).abs() < 1e-6);
        }
    }
}
