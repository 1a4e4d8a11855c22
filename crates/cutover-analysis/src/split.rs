//! Whether requests fell on both sides as the split says.
//!
//! The sequential test bets against the recorded share. If that share was not the one that requests were drawn with, its
//! evidence means nothing; so the draws themselves are tested. With a uniform prior over the share that would explain
//! them, the likelihood ratio to the recorded one is a martingale with mean 1 when the record is true: it exceeds 1/α
//! ever with a chance of at most α.
//!
//! After Lindon and Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022), for two outcomes.

use crate::gamma::ln_beta;

/// ln E against the share `share` (between 0 and 1), after `x` draws of the candidate and `y` of stable. Two-sided.
pub(crate) fn split_log_e(x: u64, y: u64, share: f64) -> f64 {
    let (x, y) = (x as f64, y as f64);
    ln_beta(1.0 + x, 1.0 + y) - x * share.ln() - y * (-share).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_values() {
        for (x, y, share, log_e) in [
            (3, 0, 0.05, 7.6009),
            (4, 0, 0.05, 10.3735),
            (10, 20, 0.05, 10.331),
            (20, 10, 0.5, 0.1422),
            (0, 50, 0.05, -1.3672),
        ] {
            let found = split_log_e(x, y, share);
            assert!(
                (found - log_e).abs() < 1e-3,
                "({x}, {y}, {share}): {found}, not {log_e}"
            );
        }
    }
}
