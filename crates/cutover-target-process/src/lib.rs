//! Instances as local processes, and their supervisor.
