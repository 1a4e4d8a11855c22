//! The logarithm of the gamma function, for binomial tails and beta mixtures.

/// ln Γ(z) for z > 0. Up to 16 by the recurrence Γ(z + 1) = z·Γ(z), above by Stirling's series (there its error is under
/// 1e-12).
pub(crate) fn ln_gamma(z: f64) -> f64 {
    let (mut z, mut product) = (z, 1.0);
    while z < 16.0 {
        product *= z;
        z += 1.0;
    }
    let (r, r2) = (1.0 / z, 1.0 / (z * z));
    (z - 0.5) * z.ln() - z
        + 0.5 * std::f64::consts::TAU.ln()
        + r * (1.0 / 12.0 - r2 * (1.0 / 360.0 - r2 * (1.0 / 1260.0 - r2 / 1680.0)))
        - product.ln()
}

/// ln B(a, b) for a, b > 0.
pub(crate) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factorials_and_halves() {
        let mut factorial = 1.0f64;
        for n in 1..60u32 {
            factorial *= f64::from(n);
            let found = ln_gamma(f64::from(n) + 1.0);
            assert!((found - factorial.ln()).abs() < 1e-10, "{n}: {found}");
        }
        // Γ(1/2) = √π, and B(1/2, 1/2) = π.
        assert!((ln_gamma(0.5) - std::f64::consts::PI.ln() / 2.0).abs() < 1e-12);
        assert!((ln_beta(0.5, 0.5) - std::f64::consts::PI.ln()).abs() < 1e-12);
    }
}
