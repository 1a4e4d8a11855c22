//! Migrations: files, history, locks; PostgreSQL and SQLite.
