//! The journal and the rest of the state in SQLite.
