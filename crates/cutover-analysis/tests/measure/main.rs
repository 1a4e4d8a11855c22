//! The analysis from outside: readings in, verdicts out.

#![cfg(test)]

mod before;
mod comparisons;
mod odds;
mod rules;
mod sequential;
mod slow;
mod sources;
mod strata;
mod thresholds;
mod world;
