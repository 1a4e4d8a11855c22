//! Backups of databases: made and verified before migrations, listed, verified again, restored, pruned.
//!
//! A backup is a data file (a copy of an SQLite database, PostgreSQL's custom dump format, or
//! the statements that `mariadb-dump` writes) beside a manifest. The
//! manifest is written last: what has none is no backup. Folder 0700, files 0600.
//!
//! It must not know of migrations or of the order of an upgrade.

mod backups;
mod error;
mod folder;
mod manifest;
mod mysql;
mod postgres;
mod retention;
mod space;
mod sqlite;

pub use backups::{DatabaseBackups, Restored};
pub use folder::Listing;
pub use manifest::{Engine, FORMAT, Manifest};
