//! Data types, under one name each.

use std::fmt;

/// A type with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeName {
    /// Under its one name: `integer` for `int4`, `varchar` for `character varying`; lower case, with its schema if written.
    pub name: String,
    /// What stands in parentheses: lengths, precisions. Values of an ENUM or SET are in `members`.
    pub args: Vec<String>,
    /// The values of MySQL's ENUM and SET, as written; the fields of PostgreSQL's `interval year to month`.
    pub members: Vec<String>,
    /// How many dimensions; 0: no array.
    pub dimensions: u8,
    /// MySQL's UNSIGNED (ZEROFILL implies it).
    pub unsigned: bool,
    /// `CHARACTER SET`, lower case.
    pub charset: Option<String>,
    /// `COLLATE`, lower case.
    pub collation: Option<String>,
}

impl TypeName {
    /// A number argument.
    #[must_use]
    pub fn arg(&self, at: usize) -> Option<u64> {
        self.args.get(at)?.parse().ok()
    }

    /// `serial` and its sizes.
    #[must_use]
    pub fn is_serial(&self) -> bool {
        matches!(self.name.as_str(), "serial" | "bigserial" | "smallserial")
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.name == "interval" && !self.members.is_empty() {
            write!(f, " {}", self.members.join(" to "))?;
            if !self.args.is_empty() {
                write!(f, "({})", self.args.join(", "))?;
            }
        } else if !self.members.is_empty() {
            write!(f, "({})", self.members.join(", "))?;
        } else if !self.args.is_empty() {
            write!(f, "({})", self.args.join(", "))?;
        }
        if self.unsigned {
            f.write_str(" unsigned")?;
        }
        for _ in 0..self.dimensions {
            f.write_str("[]")?;
        }
        Ok(())
    }
}
