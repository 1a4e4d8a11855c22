//! Migrations on a real SQLite file and a real servers of PostgreSQL and MariaDB.

#![expect(clippy::unwrap_used, reason = "in a test, a failed unwrap is the failure")]

mod autogenerate;
mod autogenerate_mariadb;
mod bed;
mod contract;
mod cut;
mod flyway;
mod foreign;
mod half;
mod killed;
mod mariadb;
mod postgres;
mod shop;
mod sqlite;
mod sync;
mod sync_load;
mod wishes_mariadb;
