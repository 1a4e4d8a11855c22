//! How much of a bad release each detector lets through, at equal false-rollback rates.
//!
//! Plays releases of a simulated service second by second: ours by the product's own judgement, others by their documented
//! rules. All that is random comes from a seed. Started by `cargo xtask bench analysis`.

pub mod dice;
pub mod figures;
pub mod plot;
pub mod release;
pub mod rules;
pub mod tune;
pub mod world;
