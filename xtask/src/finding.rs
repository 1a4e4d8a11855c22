//! One broken rule, and the report of all of them.

use std::fmt;

use anyhow::{Result, bail};

/// A broken rule: where, what, and what to do instead.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// A path, a path with a line, or a crate.
    pub(crate) place: String,
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Prints all findings; none is good news, with `fine` as the line that says what holds.
pub(crate) fn report(mut findings: Vec<Finding>, fine: &str) -> Result<()> {
    if findings.is_empty() {
        println!("{fine}");
        return Ok(());
    }
    findings.sort();
    for finding in &findings {
        println!("  {finding}");
    }
    match findings.len() {
        1 => bail!("1 rule is broken"),
        many => bail!("{many} rules are broken"),
    }
}
