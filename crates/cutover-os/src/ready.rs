//! A child tells its parent that it serves: one byte on a pipe that the parent left open for it.

use std::env;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// The variable that holds the pipe's number.
pub const READY_ENV: &str = "CUTOVER_READY_FD";

static ANNOUNCED: AtomicBool = AtomicBool::new(false);

/// Says on the pipe of [`crate::SpawnOptions::ready`] that this process serves, and closes it. Nothing happens where
/// nobody asked for it, and the second time.
///
/// # Errors
/// If the variable holds something else, or the parent no longer listens.
pub fn announce_ready() -> io::Result<()> {
    let Ok(value) = env::var(READY_ENV) else {
        return Ok(());
    };
    if ANNOUNCED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("{READY_ENV} names no pipe"));
    let number: RawFd = value.parse().map_err(|_| invalid())?;
    // Looked at before ownership is taken: a wrong number may belong to something else in this process.
    let kind = std::fs::metadata(format!("/proc/self/fd/{number}"))?.file_type();
    if number < 3 || !kind.is_fifo() {
        return Err(invalid());
    }
    #[expect(
        unsafe_code,
        reason = "the parent passed this pipe to us, and ANNOUNCED lets us take it only once"
    )]
    // SAFETY: it is open (above) and was open across exec, so no object of this process made it.
    let pipe = unsafe { OwnedFd::from_raw_fd(number) };
    File::from(pipe).write_all(b"\n")
}
