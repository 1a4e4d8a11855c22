//! Which release this process is, and what follows from it.

use semver::Version;

use crate::users::Layout;

/// What a version does differently from its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// The columns a name is stored in.
    pub(crate) layout: Layout,
    /// Whether the release is bad on purpose.
    pub(crate) faulty: bool,
}

impl Release {
    /// 1.0.x keeps two columns, everything later one; only 1.2.0 is bad, so that a 1.2.1 can be the fix.
    pub(crate) fn of(version: &Version) -> Self {
        let layout = if *version < Version::new(1, 1, 0) {
            Layout::FirstAndLast
        } else {
            Layout::Full
        };
        Self {
            layout,
            faulty: *version == Version::new(1, 2, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_layout_and_only_one_is_bad() {
        for (version, layout, faulty) in [
            ("1.0.0", Layout::FirstAndLast, false),
            ("1.0.7", Layout::FirstAndLast, false),
            ("1.1.0", Layout::Full, false),
            ("1.2.0", Layout::Full, true),
            ("1.2.1", Layout::Full, false),
        ] {
            assert_eq!(
                Release::of(&version.parse().unwrap()),
                Release { layout, faulty },
                "{version}"
            );
        }
    }
}
