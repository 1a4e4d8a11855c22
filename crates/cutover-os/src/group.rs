//! Who is left of a process group.

use std::fs;
use std::io;

use crate::proc_stat::ProcStat;

/// The pids of all processes of the group that still run (zombies do not), in no particular order.
///
/// # Errors
/// If `/proc` cannot be listed.
pub fn group_members(group: u32) -> io::Result<Vec<u32>> {
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Ok(stat) = ProcStat::read(pid)
            && stat.group == group
            && stat.is_running()
        {
            members.push(pid);
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_its_own_group() {
        let me = std::process::id();
        let group = ProcStat::read(me).unwrap().group;
        assert!(group_members(group).unwrap().contains(&me));
        assert!(group_members(u32::MAX).unwrap().is_empty());
    }
}
