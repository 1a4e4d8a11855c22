//! Identities: a type for each, so that none is taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Digest, ServiceName, Version};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps an id that was made elsewhere.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
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
    };
}

text_id! {
    /// One execution of a plan (a UUIDv7, so that ids sort by time).
    UpgradeId
}
text_id! {
    /// One store: what it writes outside carries this, and another store's writes are refused.
    StoreId
}
text_id! {
    /// One instance, unique within its application for ever.
    InstanceId
}

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.0.short())
            }
        }
    };
}

digest_id! {
    /// A plan, by its content. Printed short.
    PlanId
}
digest_id! {
    /// A stored release, by its content. Printed short.
    ReleaseId
}

/// The fencing number of a lease: it only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who writes: every write to a target, a router or a database carries this (invariant I9).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The store that the writer's lease is from.
    pub store: StoreId,
    /// The lease's generation.
    pub generation: Generation,
}

/// The place of a step within its list, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

/// One service at one release, running. The mark is short and derived from artifact, configuration and
/// restart, so that a changed configuration at the same version is another revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RevisionId {
    /// The service.
    pub service: ServiceName,
    /// The release's version.
    pub version: Version,
    /// Six hexadecimal digits.
    pub mark: String,
}

/// A text that is no revision id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a revision such as api@1.1.0#3fa29c")]
pub struct InvalidRevisionId(pub String);

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}@{}#{}", self.service, self.version, self.mark))
    }
}

impl FromStr for RevisionId {
    type Err = InvalidRevisionId;
    fn from_str(text: &str) -> Result<Self, InvalidRevisionId> {
        let refuse = || InvalidRevisionId(text.to_owned());
        let (service, rest) = text.split_once('@').ok_or_else(refuse)?;
        let (version, mark) = rest.split_once('#').ok_or_else(refuse)?;
        if mark.is_empty() || !mark.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        Ok(Self {
            service: service.parse().map_err(|_| refuse())?,
            version: version.parse().map_err(|_| refuse())?,
            mark: mark.to_owned(),
        })
    }
}

impl TryFrom<String> for RevisionId {
    type Error = InvalidRevisionId;
    fn try_from(text: String) -> Result<Self, InvalidRevisionId> {
        text.parse()
    }
}

impl From<RevisionId> for String {
    fn from(id: RevisionId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_id_reads_back() {
        let id: RevisionId = "api@1.1.0-rc.1#3fa29c".parse().unwrap();
        assert_eq!(id.to_string().parse::<RevisionId>().unwrap(), id);
        for bad in ["api", "api@1.1.0", "api@x#aa", "api@1.0.0#", "api@1.0.0#zz"] {
            assert!(bad.parse::<RevisionId>().is_err(), "{bad}");
        }
    }
}
