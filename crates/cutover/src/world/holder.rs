//! Who this process is to others, and whether another one still lives.

use cutover_model::Diagnostic;
use cutover_os::{ProcessIdentity, host_name};
use cutover_ports::{Clock as _, Holder, StoreError};
use cutover_store::SqliteStore;

use super::SystemClock;
use crate::failure::Failure;

/// This process as a holder of leases.
pub(crate) fn myself() -> Result<Holder, Failure> {
    let identity = ProcessIdentity::current().map_err(|error| {
        let found = Diagnostic::error(
            "state.no-identity",
            format!("this process has no identity: {error}"),
        );
        Failure::from(found.help("mount -t proc proc /proc"))
    })?;
    Ok(Holder {
        host: host_name(),
        boot: identity.boot_id,
        pid: identity.pid,
        started: identity.start_ticks,
    })
}

/// Whether a holder is gone for certain: it was on this machine, and its process is not there any more.
pub(crate) fn is_dead(holder: &Holder) -> bool {
    let identity = ProcessIdentity {
        boot_id: holder.boot.clone(),
        pid: holder.pid,
        start_ticks: holder.started,
    };
    identity.has_ended_on(&holder.host)
}

/// Who is at work on the environment's upgrade now: a look that takes nothing.
pub(crate) async fn controller(store: &SqliteStore) -> Result<Option<Holder>, StoreError> {
    let now = SystemClock.now();
    let found = store.holder().await?;
    Ok(found
        .filter(|(holder, until)| *until > now && !is_dead(holder))
        .map(|(holder, _)| holder))
}

/// The person who asks, for the history.
pub(crate) fn who() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    let uid = nix::unistd::getuid();
    let user = named
        .filter(|name| !name.is_empty())
        .or_else(|| Some(nix::unistd::User::from_uid(uid).ok()??.name))
        .unwrap_or_else(|| format!("uid {uid}"));
    format!("{user}@{}", host_name())
}
