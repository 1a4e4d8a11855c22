//! Installing Debian packages without starting the services they bring.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo;

/// Debian's maintainer scripts ask this program whether they may start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Somebody else may be installing: wait for them this long, in seconds.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=400";

/// Whether packages can be installed by name here.
pub(crate) fn is_debian() -> bool {
    Path::new("/usr/bin/apt-get").is_file()
}

/// Whether this process may install packages.
pub(crate) fn can_install() -> bool {
    is_debian() && is_root()
}

/// What a person types for the same effect.
pub(crate) fn command_line(packages: &[&str]) -> String {
    format!(
        "apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Installs packages; the services in them stay stopped, on their standard ports there may be something else.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let _guard = NoServices::begin()?;
    // A list that cannot be fetched now may still be good enough: whether it is, the installation says.
    if let Err(error) = cargo::run(apt_get(&["update"]).arg("-qq")) {
        println!("going on with the package lists that are here: {error:#}");
    }
    cargo::run(apt_get(&["install", "-y", "-qq", "--no-install-recommends"]).args(packages))
        .with_context(|| format!("cannot install {}", packages.join(", ")))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-o", LOCK_TIMEOUT])
        .args(arguments);
    command
}

/// The owner of this process's own entry is its effective user.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

/// While it lives, maintainer scripts may not start services. A policy that was there before stays as it is.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        match OpenOptions::new().write(true).create_new(true).open(POLICY) {
            Ok(mut file) => {
                let guard = Self { ours: true };
                file.write_all(b"#!/bin/sh\nexit 101\n")
                    .and_then(|()| file.set_permissions(Permissions::from_mode(0o755)))
                    .with_context(|| format!("cannot write {POLICY}"))?;
                Ok(guard)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { ours: false }),
            Err(error) => Err(error).with_context(|| format!("cannot write {POLICY}")),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            println!(
                "could not remove {POLICY} ({error}): remove it, or no service starts when it is installed"
            );
        }
    }
}
