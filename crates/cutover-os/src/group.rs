//! Who is left of a process group, and what it uses.

use std::fs;
use std::io;

use nix::unistd::{SysconfVar, sysconf};

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

/// What a process group uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupUsage {
    /// CPU seconds of those that run and of their children that have ended.
    pub cpu_seconds: f64,
    /// Resident memory that they do not share with files or others, in bytes.
    pub memory_bytes: u64,
}

/// What all processes of the group use that still run. One that ends meanwhile uses nothing.
///
/// # Errors
/// If `/proc` cannot be listed.
pub fn group_usage(group: u32) -> io::Result<GroupUsage> {
    let unit = |name| match sysconf(name) {
        Ok(Some(value)) if value > 0 => Ok(value as u64),
        _ => Err(io::Error::other("the system does not say its units")),
    };
    let (tick, page) = (unit(SysconfVar::CLK_TCK)?, unit(SysconfVar::PAGE_SIZE)?);
    let mut used = GroupUsage::default();
    for pid in group_members(group)? {
        let (Ok(stat), Some(pages)) = (ProcStat::read(pid), private_pages(pid)) else {
            continue;
        };
        used.cpu_seconds += stat.cpu_ticks as f64 / tick as f64;
        used.memory_bytes += pages * page;
    }
    Ok(used)
}

/// `/proc/<pid>/statm`: all pages, the resident ones, those of them that are shared. (What `smaps` knows is more exact, and
/// holds the process up while it is counted.)
fn private_pages(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(1);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()?.saturating_sub(next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_uses_grows() {
        let group = ProcStat::read(std::process::id()).unwrap().group;
        let before = group_usage(group).unwrap();
        let held = vec![1_u8; 64 << 20];
        let mut sum = 0_u64;
        let used = loop {
            sum = held
                .iter()
                .fold(sum, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
            let used = group_usage(group).unwrap();
            if used.cpu_seconds > before.cpu_seconds {
                break used;
            }
        };
        assert!(sum > 0 && used.memory_bytes >= 64 << 20, "{before:?} {used:?}");
    }

    #[test]
    fn this_process_is_in_its_own_group() {
        let me = std::process::id();
        let group = ProcStat::read(me).unwrap().group;
        assert!(group_members(group).unwrap().contains(&me));
        assert!(group_members(u32::MAX).unwrap().is_empty());
    }
}
