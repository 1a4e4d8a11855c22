//! The same release once more: other revisions of what has not changed.

use cutover_model::{Digest, RevisionId, ServiceName};
use cutover_spec::Release;

/// The release with new revisions of these services. `token` was not used before.
pub(crate) fn restarted(mut release: Release, services: &[ServiceName], token: &str) -> Release {
    for name in services {
        let (Some(revision), Some(contents)) = (release.revisions.get(name), release.contents.get(name))
        else {
            continue;
        };
        let mark = Digest::of_value(&(contents, Some(token))).short().to_owned();
        let again = RevisionId {
            service: name.clone(),
            version: revision.version.clone(),
            mark,
        };
        release.revisions.insert(name.clone(), again);
    }
    release.sealed()
}
