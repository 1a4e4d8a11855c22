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

    /// Whether the version is one of a requirement's, such as `>=1.0.0, <2.0.0`.
    ///
    /// A pre-release is compared by its place in the order, unlike in Cargo, where only a bound that names a pre-release of
    /// the same version admits one: `2.1.0-beta.1` is one of `>=1.0.0`, and not of `>=2.1.0`. Below an upper bound it must be as
    /// its release: `2.0.0-beta.1` is not one of `<2.0.0`, because what breaks in 2.0.0 breaks there.
    #[must_use]
    pub fn is_one_of(&self, wanted: &semver::VersionReq) -> bool {
        if wanted.matches(&self.0) {
            return true;
        }
        let core = semver::Version::new(self.0.major, self.0.minor, self.0.patch);
        !self.0.pre.is_empty()
            && wanted.matches(&core)
            && wanted
                .comparators
                .iter()
                .all(|bound| lowest(bound) != Some((core.major, core.minor, core.patch)))
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

/// The first release that a bound admits, where it has one that is named.
fn lowest(bound: &semver::Comparator) -> Option<(u64, u64, u64)> {
    use semver::Op;
    match bound.op {
        Op::Less | Op::LessEq => None,
        // Above 1.2 begins at 1.3.0; above 1.2.3 at whatever follows.
        Op::Greater => match (bound.minor, bound.patch) {
            (None, _) => Some((bound.major + 1, 0, 0)),
            (Some(minor), None) => Some((bound.major, minor + 1, 0)),
            (Some(_), Some(_)) => None,
        },
        _ => Some((bound.major, bound.minor.unwrap_or(0), bound.patch.unwrap_or(0))),
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
    fn a_pre_release_is_compared_by_order() {
        let is = |version: &str, wanted: &str| {
            let version: Version = version.parse().unwrap();
            version.is_one_of(&wanted.parse().unwrap())
        };
        for wanted in [
            ">=1.0.0",
            ">=1.0.0, <3.0.0",
            "^2.0.0",
            "*",
            "2.*",
            ">2.0.0",
            "<=2.1.0",
            ">=2.1.0-alpha",
        ] {
            assert!(is("2.1.0-beta.1", wanted), "{wanted}");
        }
        for wanted in [
            ">=2.1.0",
            "=2.1.0",
            "^2.1.0",
            "~2.1",
            "2.1.*",
            ">2.0",
            "<2.1.0",
            ">=2.1.0-beta.2",
        ] {
            assert!(!is("2.1.0-beta.1", wanted), "{wanted}");
        }
        assert!(is("2.1.0", ">=1.0.0") && !is("2.1.0", "<2.1.0"));
    }

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
