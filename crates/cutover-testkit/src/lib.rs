//! Real servers for tests, each in its own temporary folder.
