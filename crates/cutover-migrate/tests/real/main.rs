//! Migrations on a real SQLite file and a real PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "in a test, a failed unwrap is the failure")]

mod bed;
mod contract;
mod postgres;
mod shop;
mod sqlite;
mod sync;
mod sync_load;
