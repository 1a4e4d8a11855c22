//! How surprising a count is.

use crate::gamma::ln_gamma;

/// The chance that at least `x` of `n` independent trials with chance `p` succeed: an exact binomial tail. Counts at or
/// below the expected one are not surprising and answer 1. Where it is hopelessly small it answers 0.
pub(crate) fn at_least(x: u64, n: u64, p: f64) -> f64 {
    let p = if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) };
    if x as f64 <= n as f64 * p {
        return 1.0;
    }
    if x > n || p == 0.0 {
        return 0.0;
    }
    // Past the mean each term is smaller than the one before, so the sum is over after a few.
    let mut term = (ln_choose(n, x) + x as f64 * p.ln() + (n - x) as f64 * (-p).ln_1p()).exp();
    let mut sum = term;
    for k in x..n {
        term *= (n - k) as f64 / (k + 1) as f64 * (p / (1.0 - p));
        sum += term;
        if term <= sum * 1e-12 {
            break;
        }
    }
    sum.min(1.0)
}

fn ln_choose(n: u64, k: u64) -> f64 {
    let ln_factorial = |n: u64| ln_gamma(n as f64 + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= expected.abs() * 1e-9 + 1e-300,
            "{found} {expected}"
        );
    }

    #[test]
    fn tails_that_can_be_worked_out_by_hand() {
        close(at_least(3, 3, 0.05), 0.05f64.powi(3));
        close(at_least(2, 2, 0.5), 0.25);
        close(at_least(2, 3, 0.1), 3.0 * 0.01 * 0.9 + 0.001);
        close(at_least(20, 20, 0.3), 0.3f64.powi(20));
        // 1 − 0.99^100
        close(
            at_least(1, 100, 0.009_999_999),
            1.0 - (1.0 - 0.009_999_999f64).powi(100),
        );
    }

    #[test]
    fn the_ends() {
        assert_eq!(at_least(0, 0, 0.5), 1.0);
        assert_eq!(at_least(5, 10, 0.5), 1.0);
        assert_eq!(at_least(11, 10, 0.5), 0.0);
        assert_eq!(at_least(1, 10, 0.0), 0.0);
        assert_eq!(at_least(10, 10, 1.0), 1.0);
        assert!(at_least(9, 12, 0.05) < 1e-9);
        assert_eq!(at_least(900_000, 1_000_000, 0.01), 0.0);
    }

    #[test]
    fn more_successes_are_never_less_surprising() {
        for n in [10u64, 100, 5_000] {
            for p in [0.001, 0.05, 0.5, 0.9] {
                let mut before = 1.0;
                for x in 0..=n {
                    let now = at_least(x, n, p);
                    assert!(now <= before && now >= 0.0, "{x} of {n} at {p}");
                    before = now;
                }
            }
        }
    }
}
