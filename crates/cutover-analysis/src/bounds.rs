//! Bounds on a failure rate that hold at every moment at once.
//!
//! The mean of `p^x (1 − p)^(n − x)` over Jeffreys' prior, divided by its value at the true rate, is a non-negative
//! martingale with mean 1. The rates at which it stays below 1/α are therefore a *confidence sequence*: looked at after
//! every request, the chance that the true rate is *ever* outside is at most α (Ville's inequality). A bound for one
//! fixed number of requests, as the "zero failures in 299 requests" of a 1 % budget is, does not survive looking.
//!
//! After Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences",
//! Annals of Statistics 49 (2021). Exact for a rate that stays what it is.

use crate::gamma::ln_beta;

/// Lower and upper end for the rate behind `x` failures of `n`, wrong ever with a chance of at most `alpha`.
pub(crate) fn rate_bounds(x: u64, n: u64, alpha: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (x, n) = (x.min(n) as f64, n as f64);
    let mixture = ln_beta(0.5 + x, 0.5 + n - x) - ln_beta(0.5, 0.5);
    let limit = -alpha.clamp(f64::MIN_POSITIVE, 1.0).ln();
    let outside = |p: f64| {
        let failed = if x > 0.0 { x * p.ln() } else { 0.0 };
        let passed = if n > x { (n - x) * (-p).ln_1p() } else { 0.0 };
        mixture - failed - passed >= limit
    };
    let rate = x / n;
    (edge(0.0, rate, outside), edge(1.0, rate, outside))
}

/// By how much more one side fails than the other at most, as a difference of shares, wrong ever with a chance of at most
/// `alpha`: the upper end of the one rate less the lower end of the other. Each is (failures, all).
pub(crate) fn worse_by(one: (u64, u64), other: (u64, u64), alpha: f64) -> f64 {
    let (_, upper) = rate_bounds(one.0, one.1, alpha / 2.0);
    let (lower, _) = rate_bounds(other.0, other.1, alpha / 2.0);
    upper - lower
}

/// A share that the rate behind `x` failures of `n` is below, 95 % sure: the upper end of Wilson's interval. For one look at
/// what is over.
pub(crate) fn at_most(x: u64, n: u64) -> f64 {
    const SURE: f64 = 1.645;
    if n == 0 {
        return 1.0;
    }
    let (x, n) = (x.min(n) as f64, n as f64);
    let spread = SURE * (x * (n - x) / n + SURE * SURE / 4.0).sqrt();
    (x + SURE * SURE / 2.0 + spread) / (n + SURE * SURE)
}

/// The rate between `far`, which is outside, and `near`, which is inside, where one becomes the other.
fn edge(far: f64, near: f64, outside: impl Fn(f64) -> bool) -> f64 {
    if !outside(far) {
        return far;
    }
    let (mut far, mut near) = (far, near);
    // A hundred halvings are more than a float can tell apart.
    for _ in 0..100 {
        let middle = f64::midpoint(far, near);
        if outside(middle) {
            far = middle;
        } else {
            near = middle;
        }
    }
    far
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_close_in_on_the_rate() {
        assert_eq!(rate_bounds(0, 0, 0.05), (0.0, 1.0));
        let (lower, upper) = rate_bounds(0, 1_000, 0.05);
        assert!(lower == 0.0 && (0.005..0.008).contains(&upper), "{upper}");
        let (lower, upper) = rate_bounds(50, 1_000, 0.05);
        assert!((0.025..0.05).contains(&lower) && (0.05..0.085).contains(&upper));
        let wide = rate_bounds(5, 100, 0.05);
        assert!(wide.0 < lower && wide.1 > upper);
        assert_eq!(rate_bounds(7, 7, 0.05).1, 1.0);
    }

    #[test]
    fn at_most_is_above_the_rate_and_never_above_one() {
        assert_eq!((at_most(0, 0), at_most(5, 5)), (1.0, 1.0));
        assert!((0.002..0.003).contains(&at_most(0, 1_000)));
        assert!((0.001..0.0015).contains(&at_most(100, 100_000)));
    }

    #[test]
    fn they_hold_at_every_moment_at_once() {
        let mut dice = 0x2545_F491_4F6C_DD1Du64;
        let mut throw = || {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            (dice >> 11) as f64 / (1u64 << 53) as f64
        };
        let (runs, alpha, rate) = (200, 0.05, 0.03);
        let mut wrong = 0;
        for _ in 0..runs {
            let mut failures = 0;
            let left = (1..=500u64).any(|n| {
                failures += u64::from(throw() < rate);
                let (lower, upper) = rate_bounds(failures, n, alpha);
                rate < lower || rate > upper
            });
            wrong += u32::from(left);
        }
        // Three standard deviations above the bound would still be consistent with it.
        let bound = alpha * f64::from(runs) + 3.0 * (alpha * f64::from(runs)).sqrt();
        assert!(f64::from(wrong) <= bound, "{wrong} of {runs}");
    }
}
