//! SQL: statement splitting.
