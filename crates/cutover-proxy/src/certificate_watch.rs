//! Looks at the files of certificates, so that renewed ones are served without a restart.

use std::sync::Arc;

use tokio::time::sleep;

use crate::shared::Shared;

/// Runs until the process stops. The files are looked at, not watched: what replaces them may rename a folder above,
/// which no watch would see.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        sleep(shared.limits.certificate_check).await;
        let snapshot = shared.snapshot.load_full();
        let doors = snapshot.routes.iter().filter_map(|route| route.door.as_ref());
        let servers: Vec<_> = doors.filter_map(|door| door.tls.clone()).collect();
        if servers.is_empty() {
            continue;
        }
        let looked = tokio::task::spawn_blocking(move || servers.iter().for_each(|tls| tls.look_again()));
        if let Err(error) = looked.await {
            tracing::error!(%error, "certificates could not be looked at");
        }
    }
}
