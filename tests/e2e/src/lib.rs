//! End-to-end tests: real servers, under load.
