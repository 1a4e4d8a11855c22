//! Versions (SemVer 2.0.0) and release channels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A release's version: SemVer, with `v1.1.0` read as `1.1.0`. Ordered by SemVer precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(semver::Version);

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version such as 1.4.0: {cause}")]
pub struct InvalidVersion {
    /// What was given.
    pub text: String,
    /// What the SemVer parser says.
    pub cause: String,
}

impl Version {
    /// The version `major.minor.patch`.
    #[must_use]
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// The inner SemVer value, for requirements such as `>=1.0.0, <2.0.0`.
    #[must_use]
    pub fn semver(&self) -> &semver::Version {
        &self.0
    }

    /// The channel that the version's own pre-release tag implies: none → stable, `-beta…`/`-rc…` → beta,
    /// anything else → development.
    #[must_use]
    pub fn channel(&self) -> Channel {
        let pre = self.0.pre.as_str();
        if pre.is_empty() {
            Channel::Stable
        } else if pre.starts_with("beta") || pre.starts_with("rc") {
            Channel::Beta
        } else {
            Channel::Development
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        semver::Version::parse(bare)
            .map(Self)
            .map_err(|cause| InvalidVersion {
                text: text.to_owned(),
                cause: cause.to_string(),
            })
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;
    fn try_from(text: String) -> Result<Self, InvalidVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.0.to_string()
    }
}

/// How mature a release is. An application accepts its own channel and the more mature ones.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    /// Anything goes.
    Development,
    /// Pre-releases named `beta` or `rc`.
    Beta,
    /// Final releases only.
    #[default]
    Stable,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Development => "development",
            Self::Beta => "beta",
            Self::Stable => "stable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_v_is_read_away_and_order_is_semver() {
        let v = |t: &str| t.parse::<Version>().unwrap();
        assert_eq!(v("v1.1.0"), v("1.1.0"));
        assert!(v("1.0.0-rc.1") < v("1.0.0"));
        assert!(v("1.10.0") > v("1.9.0"));
        assert_eq!(v("1.0.0-rc.1").channel(), Channel::Beta);
        assert_eq!(v("1.0.0-dev").channel(), Channel::Development);
        assert!("1.1".parse::<Version>().is_err());
    }
}
