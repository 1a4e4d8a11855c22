//! `cutover logs`: what instances wrote, the last lines of each, and what they write from now on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cutover_model::ExitCode;

use crate::cli::Logs;
use crate::context::Context;
use crate::drive::Signals;
use crate::failure::{Failure, Outcome};
use crate::world::Machine;

/// So much of the end of a file is read for its last lines, in bytes.
const TAIL: u64 = 256 * 1024;

/// How often growth is looked for.
const POLL: Duration = Duration::from_millis(200);

pub(super) async fn run(ctx: &Context, machine: &Machine, logs: &Logs) -> Outcome {
    let folder = machine.target.log_dir();
    let mut read: BTreeMap<PathBuf, u64> = BTreeMap::new();
    for path in files(&folder, logs.service.as_ref().map(|name| name.as_str())) {
        let (lines, end) = last_lines(&path, logs.lines).map_err(|error| unreadable(&path, &error))?;
        print(ctx, &folder, &path, &lines);
        read.insert(path, end);
    }
    if read.is_empty() && !logs.follow {
        ctx.printer.talk(&format!(
            "No instance has written anything yet into {}\n",
            folder.display()
        ));
    }
    if logs.follow {
        follow(ctx, &folder, logs, read).await?;
    }
    Ok(ExitCode::Done)
}

async fn follow(
    ctx: &Context,
    folder: &Path,
    logs: &Logs,
    mut read: BTreeMap<PathBuf, u64>,
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let mut poll = tokio::time::interval(POLL);
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            _ = poll.tick() => {
                for path in files(folder, logs.service.as_ref().map(|name| name.as_str())) {
                    let from = read.get(&path).copied().unwrap_or(0);
                    if let Ok((text, end)) = from_offset(&path, from) {
                        print(ctx, folder, &path, &text);
                        read.insert(path, end);
                    }
                }
            }
        }
    }
}

/// The logs of instances: `<service>-<version>/<instance>.log`.
fn files(folder: &Path, service: Option<&str>) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let found = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        found.collect::<Vec<_>>()
    };
    let of_service = |name: &str| {
        service.is_none_or(|service| {
            // What follows is a version: a service whose name begins with another's is another.
            name.strip_prefix(service)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    let mut files: Vec<PathBuf> = entries(folder)
        .into_iter()
        .filter(|path| path.is_dir())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| of_service(&name.to_string_lossy()))
        })
        .flat_map(|path| entries(&path))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    files
}

fn last_lines(path: &Path, lines: usize) -> io::Result<(String, u64)> {
    let length = path.metadata()?.len();
    let (text, end) = from_offset(path, length.saturating_sub(TAIL))?;
    let kept: Vec<&str> = text.lines().rev().take(lines).collect();
    Ok((
        kept.into_iter().rev().map(|line| format!("{line}\n")).collect(),
        end,
    ))
}

/// Whole lines from an offset on, and where they end. A file that became shorter was rotated: it is read anew.
fn from_offset(path: &Path, offset: u64) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let offset = if length < offset { 0 } else { offset };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length - offset).read_to_end(&mut bytes)?;
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    bytes.truncate(whole);
    Ok((
        String::from_utf8_lossy(&bytes).into_owned(),
        offset + whole as u64,
    ))
}

fn print(ctx: &Context, folder: &Path, path: &Path, text: &str) {
    let name = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let name = name.display();
    for line in text.lines() {
        if ctx.printer.is_json() {
            ctx.printer
                .json(&serde_json::json!({ "instance": name.to_string(), "line": line }));
        } else {
            ctx.printer.data(&format!("{name} | {line}\n"));
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    Failure::new(
        "logs.unreadable",
        format!("cannot read {shown}: {error}"),
        format!("ls -l {shown}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_services_are_told_apart() {
        let top = tempfile::tempdir().unwrap();
        for (folder, text) in [("api-1.0.0", "a\nb\nc"), ("api-admin-1.0.0", "x\n")] {
            std::fs::create_dir(top.path().join(folder)).unwrap();
            std::fs::write(top.path().join(folder).join("i1.log"), text).unwrap();
        }
        let found = files(top.path(), Some("api"));
        assert_eq!(found, [top.path().join("api-1.0.0/i1.log")]);
        assert_eq!(files(top.path(), None).len(), 2);
        let (text, end) = last_lines(&found[0], 1).unwrap();
        assert_eq!((text.as_str(), end), ("b\n", 4));
        std::fs::write(&found[0], "a\nb\nc\n").unwrap();
        assert_eq!(from_offset(&found[0], end).unwrap(), ("c\n".to_owned(), 6));
        std::fs::write(&found[0], "n\n").unwrap();
        assert_eq!(from_offset(&found[0], 6).unwrap(), ("n\n".to_owned(), 2));
    }
}
