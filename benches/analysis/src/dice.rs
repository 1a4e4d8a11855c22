//! Chance, the same on every machine.

/// Blackman and Vigna's xoshiro256++, seeded by splitmix64.
#[derive(Debug, Clone)]
pub struct Dice([u64; 4]);

impl Dice {
    /// Dice of their own for a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut x = seed;
        Self(std::array::from_fn(|_| {
            x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// From 0 to less than 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A normal deviate (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    /// How many of a Poisson process with this mean: by Knuth's product, above 60 by the normal approximation.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 60.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), 1.0, 0);
        loop {
            product *= self.share();
            if product <= limit {
                return count;
            }
            count += 1;
        }
    }

    /// How many of `n` tries with chance `p`.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        (0..n).filter(|_| self.share() < p).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_variances() {
        let mut dice = Dice::new(7);
        for mean in [0.3, 5.0, 90.0] {
            let throws: Vec<f64> = (0..40_000).map(|_| dice.poisson(mean) as f64).collect();
            let found = throws.iter().sum::<f64>() / 4e4;
            let spread = throws.iter().map(|n| (n - found).powi(2)).sum::<f64>() / 4e4;
            assert!((found / mean - 1.0).abs() < 0.03, "{mean}: {found}");
            assert!((spread / mean - 1.0).abs() < 0.06, "{mean}: {spread}");
        }
    }
}
