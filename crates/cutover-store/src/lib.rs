//! The journal and the rest of the state in SQLite.
//!
//! One file holds the state of one application in all its environments; several processes work on it at once (a
//! controller, and command lines that append requests). Every write is one `BEGIN IMMEDIATE` transaction, in WAL mode with
//! `synchronous=FULL`: it is on the disk, whole, when it is answered, or it never happened.
//!
//! The crate owns the file and its format. It must not know what the events mean: the fold is the engine's.

mod codec;
mod failure;
mod format;
mod journal;
mod lease;
mod open;
mod promotion;
mod sqlite;

pub use format::FORMAT;
pub use sqlite::SqliteStore;

#[cfg(test)]
mod faults;
