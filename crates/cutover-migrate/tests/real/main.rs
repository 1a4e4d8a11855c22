//! Migrations on a real SQLite file and a real servers of PostgreSQL and MariaDB.

#![expect(clippy::unwrap_used, reason = "in a test, a failed unwrap is the failure")]

/// Each case on each kind of database.
macro_rules! on_all {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $case() {
                if let Some(bed) = super::bed(super::Kind::Sqlite).await { super::$case(&bed).await }
            })+
        }
        mod postgres {
            $(#[tokio::test] async fn $case() {
                if let Some(bed) = super::bed(super::Kind::Postgres).await { super::$case(&bed).await }
            })+
        }
        mod mariadb {
            $(#[tokio::test] async fn $case() {
                if let Some(bed) = super::bed(super::Kind::MariaDb).await { super::$case(&bed).await }
            })+
        }
    };
}

mod autogenerate;
mod autogenerate_mariadb;
mod bed;
mod contract;
mod cut;
mod flyway;
mod foreign;
mod half;
mod killed;
mod linted;
mod mariadb;
mod postgres;
mod seen;
mod settled;
mod shop;
mod sqlite;
mod sync;
mod sync_load;
mod timeout;
mod together;
mod wishes;
mod wishes_mariadb;
