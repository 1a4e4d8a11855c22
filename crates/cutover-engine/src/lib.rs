//! Journal, execution, recovery and leases over the ports.
