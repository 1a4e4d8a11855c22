//! Connections to databases.
