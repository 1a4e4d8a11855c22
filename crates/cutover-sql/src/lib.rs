//! What Cutover knows of SQL without a database: where one statement ends and the next begins, what a migration
//! file's header says, the text that its checksum is made of, and what its statements do to a schema ([`ddl`], read by
//! [`read()`]).
//!
//! MongoDB's commands are a fifth dialect: their files are JSON, and a command is a statement ([`command`]).
//!
//! Pure: texts in, values out. It must not know of files, connections or the history of a database.

pub mod catalog;
pub mod command;
pub mod ddl;
mod declare;
mod dialect;
mod elsewhere;
mod facts;
mod header;
mod json;
mod lexer;
pub mod lint;
mod normal;
mod place;
mod placeholder;
mod read;
pub mod schema;
mod split;
mod sync;
mod sync_mysql;

pub use declare::{Batches, EndSync};
pub use dialect::Dialect;
pub use elsewhere::{Elsewhere, elsewhere};
pub use facts::{
    RoleChange, beside_traffic, changes_role, concurrent_index, concurrently, concurrently_dropped,
    controls_transaction, copied, copies_into, ended, forgets_prepared, has_inner_semicolon, lacks_data,
    outline, outside_transaction, sends_rows, sets_session, subject_table, writes_rows,
};
pub use header::{DirectiveError, DirectiveProblem, Header, Placed, Timeout, header};
pub use normal::normalised;
pub use place::locate;
pub use placeholder::{Placeholder, filled, literally, placeholders};
pub use read::read;
pub use schema::Schema;
pub use split::{SplitError, SplitProblem, Statement, split};
pub use sync::{Sync, TableName, quoted};
pub use sync_mysql::ticked;
