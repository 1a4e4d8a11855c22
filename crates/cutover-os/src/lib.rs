//! The few operating-system calls that need care.
//!
//! Purpose: hand listening sockets from a parent to a child and between processes, name a process so that a
//! reused pid is never mistaken for it, signal and wait for exactly that process, find out who owns a
//! listening port, and keep folders and files to their owner. Linux only.
//!
//! This is the one crate of the workspace in which `unsafe` may appear, each time expected with its reason.
//! Owns no state except the record of which inherited sockets were already taken. Must not know what a
//! service, a revision or a proxy is.

#[cfg(not(target_os = "linux"))]
compile_error!("Cutover runs its processes on Linux only: pidfd and /proc are needed");

mod disk;
mod duplicate;
mod fd_passing;
mod group;
mod identity;
mod inherit;
mod listen;
mod peer;
mod pidfd;
mod port_owner;
mod private;
mod proc_stat;
mod ready;
mod spawn;

pub use disk::free_bytes;
pub use duplicate::duplicate_listener;
pub use fd_passing::{receive_fds, send_fds};
pub use group::{GroupUsage, group_members, group_usage};
pub use identity::{IdentityError, ProcessIdentity, boot_id, host_name};
pub use inherit::{INHERITED_ENV, InheritError, InheritedListener, take_inherited};
pub use listen::{adopt_listener, bind_listener};
pub use nix::sys::signal::Signal;
pub use peer::{PeerCredentials, peer_credentials};
pub use pidfd::{Exit, PidFd, PidFdError};
pub use port_owner::{PortOwner, group_owns_port, port_owners};
pub use private::{OpenTo, close_folder, make_private_folder, open_to, rename_synced, write_whole};
pub use ready::{READY_ENV, announce_ready};
pub use spawn::{Grouping, SpawnOptions, spawn};
