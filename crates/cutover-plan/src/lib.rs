//! The pure planner and the pure decision function.
