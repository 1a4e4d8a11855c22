//! Backups: dump, verify, restore, prune.
