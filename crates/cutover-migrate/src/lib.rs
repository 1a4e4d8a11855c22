//! Migrations of PostgreSQL, MySQL, MariaDB and SQLite: files, history, locks, and the [`Databases`](cutover_ports::Databases) port.
//!
//! A set of files is read by [`from_files`] (from a stored release, without a disk) or [`read_folder`]. A
//! [`MigrateDatabases`] holds, per database, its URL and its files; it is what the engine drives, and what
//! `cutover migrate` asks for its status, its next step and its last one back.
//!
//! The history lives in the database itself (`cutover_history`, `cutover_statements`, `cutover_meta`) and is written
//! in the transaction of what it records. It is a set: what is pending is what is not in it, not what has a higher
//! number. Every writing transaction first reads the fence, so that a controller that was replaced changes nothing.
//!
//! It must not know of releases beyond their version, of instances, or of the order of an upgrade.

mod adapter;
mod batches;
mod check;
mod commands;
mod databases;
mod draft;
mod drift;
mod failure;
mod fence;
mod file;
mod folder;
mod health;
mod history;
mod introspect;
mod job;
mod load;
mod lock;
mod mysql;
mod note;
mod policy;
mod postgres;
mod rights;
mod scratch;
mod script;
mod session;
mod sessions;
mod sqlite;
mod status;
mod stepwise;
mod stop;
mod triggers;
mod verify;
mod weave;
mod wish;

pub use commands::{Pending, Reach, Repair, Waiting};
pub use cutover_sql::catalog;
pub use databases::MigrateDatabases;
pub use draft::{Answers, Draft, Question, Rename, autogenerate, questions};
pub use file::{MigrationFile, Script};
pub use folder::{draft_files, new_files, read_folder};
use history::HistoryRow;
pub use history::{Act, Direction, LogEntry};
pub use load::from_files;
pub use policy::LockPolicy;
pub use status::{MigrationStatus, StatusLine};
pub use weave::Batched;
pub use wish::{ColumnName, Retype, Split, Wish, drafts_for};
