//! The simulator: the real planner and engine over a simulated world.
