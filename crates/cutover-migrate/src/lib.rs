//! Migrations of PostgreSQL, MySQL, MariaDB and SQLite: files, history, locks, and the [`Databases`](cutover_ports::Databases) port.
//!
//! An application can bring its migrations along, and run or check them when it starts:
//!
//! ```
//! use std::sync::Arc;
//!
//! use cutover_migrate::{LockPolicy, MigrateDatabases, Reach, from_files};
//! use cutover_model::{Fence, Generation, Span, StoreId, Timestamp, Version};
//! use cutover_ports::{Clock, Databases as _, MigrateOptions};
//! use cutover_spec::StoredFile;
//!
//! // In an application: the files by `include_str!("../migrations/001_users.up.sql")`, the moment by the clock.
//! const FILES: &[(&str, &str)] = &[
//!     ("001_users.up.sql", "-- cutover: phase=expand\nCREATE TABLE users (id integer PRIMARY KEY, name text);"),
//!     ("001_users.down.sql", "DROP TABLE users;"),
//! ];
//!
//! #[derive(Debug)]
//! struct Now;
//!
//! #[async_trait::async_trait]
//! impl Clock for Now {
//!     fn now(&self) -> Timestamp {
//!         # Timestamp::from_second(1_800_000_000).unwrap()
//!     }
//!     async fn sleep(&self, span: Span) {
//!         tokio::time::sleep(span.as_duration()).await;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let url = format!("sqlite:{}", folder.path().join("app.db").display());
//! let name = "main".parse()?;
//! let url: cutover_db::DatabaseUrl = url.parse()?;
//! let files: Vec<StoredFile> = FILES
//!     .iter()
//!     .map(|(name, text)| StoredFile { name: (*name).to_owned(), text: (*text).to_owned() })
//!     .collect();
//! let files = from_files(&name, &files, url.dialect()).map_err(|wrong| wrong[0].to_string())?;
//! let databases = MigrateDatabases::new(Arc::new(Now), LockPolicy::default()).with(name.clone(), url, files);
//!
//! // Either only check: an instance that would meet a schema that it does not know does not start.
//! let pending = databases.pending(&name, Reach::All, false).await?;
//! assert_eq!(pending.run.len(), 1);
//!
//! // Or run them. However many instances start at once, each file is applied once. The store's name says whose database
//! // it is, and stays the same; one that `cutover` itself migrates belongs to its state, and is refused here.
//! let fence = Fence { store: StoreId::new("users-service"), generation: Generation(1) };
//! let options = MigrateOptions { release: Version::new(1, 0, 0), upgrade: None, by: "users-service".to_owned() };
//! let mut done = Vec::new();
//! databases.migrate_up(&fence, &name, Reach::All, false, &options, &mut done).await?;
//! assert_eq!(done[0].id.to_string(), "001_users");
//! assert!(databases.check(&name).await.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! Contracts (`false` above) are left to `cutover migrate contract`, which knows whether an older version still runs.
//!
//! # What is where
//!
//! A set of files is read by [`from_files`] (from a stored release, without a disk) or [`read_folder`]. A
//! [`MigrateDatabases`] holds, per database, its URL and its files; it is what the engine drives, and what
//! `cutover migrate` asks for its status, its next step and its last one back. Where a fault in one file must not hide the
//! others, [`sift`] answers both what is sound and what is wrong.
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
mod concurrent;
mod databases;
mod derive;
mod draft;
mod drift;
mod failure;
mod fence;
mod file;
mod folder;
mod foreign;
mod half;
mod health;
mod history;
mod introspect;
mod job;
mod load;
mod lock;
mod mongodb;
mod mysql;
mod note;
mod placeholders;
mod policy;
mod postgres;
mod records;
mod rights;
mod runner;
mod scratch;
mod script;
mod session;
mod sessions;
mod settled;
mod sqlite;
mod status;
mod stepwise;
mod stop;
mod together;
mod trace;
mod triggers;
mod verify;
mod weave;
mod wish;

pub use check::lost;
pub use commands::{Pending, Reach, Repair, Waiting};
pub use cutover_sql::catalog;
pub use databases::MigrateDatabases;
pub use draft::{Answers, Draft, Question, Rename, autogenerate, questions, remarks};
pub use file::{MigrationFile, Script};
pub use folder::{Folder, Unread, draft_files, new_files, read_folder, read_whatever};
pub use foreign::Tool;
use history::HistoryRow;
pub use history::{Act, Direction, LogEntry};
pub use load::{Faulty, Sifted, from_files, sift};
pub use placeholders::missing_placeholders;
pub use policy::LockPolicy;
pub use runner::Tool as RunnerTool;
pub use settled::is_settled;
pub use status::{Fault, MigrationStatus, StatusLine};
pub use trace::{LiveSchema, TakenLock, Traced, Went, live_schema, trace};
pub use weave::Batched;
pub use wish::{ColumnName, Retype, Split, Wish, drafts_for, renamable};
