//! From the file and what lies beside it to a release that can be stored.
//!
//! Only here are programs, migrations and secrets read on behalf of a release. Nothing is written.

mod artifact;
mod build;
pub(crate) mod certificates;
pub(crate) mod hints;
mod key;
mod restart;
mod tree;
mod versions;

pub(crate) use artifact::{program, unchanged};
pub(crate) use build::{build, database_url, migrations, sifted_migrations};
pub(crate) use key::Key;
pub(crate) use restart::restarted;
