//! The processes that a stage has started, wherever they went.

use std::path::Path;

/// A process that belongs to a folder.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) command: String,
}

/// All processes whose command line or environment names the folder, but for this one.
pub(crate) fn of(folder: &Path) -> Vec<Process> {
    let needle = folder.as_os_str().as_encoded_bytes().to_vec();
    let names = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let Ok(all) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            (names(&command) || names(&environment)).then(|| Process {
                pid,
                command: String::from_utf8_lossy(&command).replace('\0', " "),
            })
        })
        .collect()
}

/// Ends all of them, at once.
pub(crate) fn end(folder: &Path) {
    // Twice: what the first one killed may just have started another.
    for _ in 0..2 {
        for process in of(folder) {
            signal(process.pid, "KILL");
        }
    }
}

/// Sends a signal.
pub(crate) fn signal(pid: i32, name: &str) {
    let _sent = std::process::Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .stderr(std::process::Stdio::null())
        .status();
}
