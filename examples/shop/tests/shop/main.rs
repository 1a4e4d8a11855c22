//! The shop from outside: its endpoints, its migrations with two versions running, its load generator.

#[cfg(test)]
mod both_versions;
#[cfg(test)]
mod load;
#[cfg(test)]
mod server;
#[cfg(test)]
mod support;
