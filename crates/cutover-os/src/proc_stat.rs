//! `/proc/<pid>/stat`: the few fields that name a process and its groups.

use std::fs;
use std::io;

/// What `/proc/<pid>/stat` says of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcStat {
    pub(crate) state: char,
    pub(crate) group: u32,
    pub(crate) session: u32,
    /// Clock ticks since boot at which the process started; it never changes, not even by `exec`.
    pub(crate) start_ticks: u64,
    /// Clock ticks on a CPU, its own and those of children that it has reaped.
    pub(crate) cpu_ticks: u64,
}

impl ProcStat {
    pub(crate) fn read(pid: u32) -> io::Result<Self> {
        let text = fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(&String::from_utf8_lossy(&text)).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("/proc/{pid}/stat has an unknown shape"),
            )
        })
    }

    /// The command name may hold spaces and parentheses, so fields are counted from the last `)`.
    fn parse(text: &str) -> Option<Self> {
        let rest = &text[text.rfind(')')? + 1..];
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // utime, stime, cutime, cstime.
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
        Some(Self {
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
            cpu_ticks: ticks.sum::<Result<_, _>>().ok()?,
        })
    }

    /// A zombie no longer runs anything: its sockets are closed, only its exit status waits.
    pub(crate) fn is_running(self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let text = "42 (a) b (c)) S 1 7 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 0 0";
        let stat = ProcStat::parse(text).unwrap();
        assert_eq!(
            stat,
            ProcStat {
                state: 'S',
                group: 7,
                session: 9,
                start_ticks: 98765,
                cpu_ticks: 5 + 6 + 7 + 8,
            }
        );
    }

    #[test]
    fn reads_itself() {
        let stat = ProcStat::read(std::process::id()).unwrap();
        assert!(stat.is_running() && stat.start_ticks > 0);
    }
}
