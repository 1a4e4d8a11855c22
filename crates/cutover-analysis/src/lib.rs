//! Measurements to verdicts.
//!
//! Pure: what was counted comes in, a verdict with its reason goes out. It must not know who counted, nor when.

mod counters;

pub use counters::{Counters, Histogram};
