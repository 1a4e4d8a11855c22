//! Migrations of MongoDB, by its official driver, on a stand-in that speaks its protocol ([`cutover_testkit::MongoStandIn`]).
//!
//! What it cannot show is not shown here: validators, locks, transactions, replica sets, indexes that are built under load.

#![expect(clippy::unwrap_used, reason = "in a test, a failed unwrap is the failure")]

mod bed;
mod contract;
mod cut;
mod half;
mod killed;
