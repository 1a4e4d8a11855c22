//! Real servers for tests, each in its own temporary folder, stopped and removed when the test ends, however it ends.
//!
//! It must not know of anything else of this project.

mod keeper;
mod mariadb;
mod mongodb;
mod pgbouncer;
mod policy;
mod port;
mod port_block;
mod postgres;
mod prometheus;
mod ran;
mod wait;

pub use mariadb::{MariaDbServer, connect_mariadb, mariadb_database};
pub use mongodb::MongoStandIn;
pub use pgbouncer::PgBouncer;
pub use policy::require_or_skip;
pub use port::free_port;
pub use port_block::PortBlock;
pub use postgres::{PostgresServer, TestkitError, postgres_database};
pub use prometheus::PrometheusServer;
pub use ran::Ran;
pub use wait::wait_for;
