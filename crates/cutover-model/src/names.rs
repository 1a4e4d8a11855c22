//! Names that a person chose: the same rules for all of them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid name: {rule}")]
pub struct InvalidName {
    /// What was given.
    pub name: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

/// The rule of DNS labels (RFC 1123), because names become host names, file names and label values.
fn check(name: &str) -> Result<(), InvalidName> {
    let refuse = |rule| {
        Err(InvalidName {
            name: name.to_owned(),
            rule,
        })
    };
    if name.is_empty() || name.len() > 63 {
        return refuse("1 to 63 characters");
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        return refuse("lower-case letters, digits and `-`");
    }
    if name.starts_with('-') || name.ends_with('-') {
        return refuse("starts and ends with a letter or a digit");
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend(
            "format" = "cutover-name",
            "pattern" = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
        ))]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                check(&text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name! {
    /// The name of an application: what one `cutover.yaml` describes.
    ApplicationName
}
name! {
    /// The name of a service: one deployable part of an application.
    ServiceName
}
name! {
    /// The name of a database of an application.
    DatabaseName
}
name! {
    /// The name of an environment, such as `production`.
    EnvironmentName
}

impl EnvironmentName {
    /// `production`: the environment when none is named.
    #[must_use]
    pub fn production() -> Self {
        Self("production".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule_of_dns_labels() {
        for good in ["api", "a", "shop-2", "0x"] {
            assert_eq!(good.parse::<ServiceName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "Api", "a_b", "a.b", &"x".repeat(64)] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad:?}");
        }
        assert!(serde_json::from_str::<ServiceName>("\"../x\"").is_err());
    }
}
