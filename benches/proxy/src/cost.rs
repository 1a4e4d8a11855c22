//! What a process costs, as the scheduler counts it, and which cores are whose.

use std::fs;
use std::process::Command;

/// The core of the proxies, where there is more than one.
const FIRST_CORE: &str = "0";

/// The core of everything else.
const SECOND_CORE: &str = "1";

fn has_two_cores() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
        || fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.matches("processor\t").count() > 1)
}

/// This process, and the instances it will start, leave the first core alone.
pub(crate) fn keep_to_second_core() {
    if has_two_cores() {
        let own = std::process::id().to_string();
        let pinned = Command::new("taskset")
            .args(["-a", "-p", "-c", SECOND_CORE, &own])
            .output();
        if !pinned.is_ok_and(|output| output.status.success()) {
            println!("taskset does not work here: everything shares all cores");
        }
    }
}

/// A program on the first core, with the rights of this one.
pub(crate) fn on_first_core(program: &str) -> Command {
    if has_two_cores() && Command::new("taskset").arg("--version").output().is_ok() {
        let mut command = Command::new("taskset");
        command.args(["-c", FIRST_CORE, program]);
        command
    } else {
        Command::new(program)
    }
}

/// Nanoseconds on a core so far: the process, its threads, and its children.
pub(crate) fn nanoseconds(pid: u32) -> u64 {
    let mut sum = 0;
    for task in tasks(pid) {
        let folder = format!("/proc/{pid}/task/{task}");
        let stat = fs::read_to_string(format!("{folder}/schedstat")).unwrap_or_default();
        sum += stat
            .split(' ')
            .next()
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0);
        let children = fs::read_to_string(format!("{folder}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|text| text.parse().ok()) {
            sum += nanoseconds(child);
        }
    }
    sum
}

/// Bytes of memory that a process and its children hold now.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()
    });
    let mut sum = kib.unwrap_or(0u64) * 1024;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|text| text.parse().ok()) {
        sum += resident(child);
    }
    sum
}

fn tasks(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
