//! Lints one file of PostgreSQL and says how much there was: what `cargo xtask bench lint` times beside squawk.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program around the crate, not the crate"
)]

use cutover_sql::Dialect;
use cutover_sql::lint::{Input, Prior, lint};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("which file?")?;
    let source = std::fs::read_to_string(&file)?;
    let linted = lint(&Input {
        dialect: Dialect::Postgres,
        version: None,
        prior: &Prior::default(),
        file: &file,
        source: &source,
        transaction: Some(false),
    });
    println!(
        "{} statements, {} findings",
        linted.statements,
        linted.findings.len()
    );
    Ok(())
}
