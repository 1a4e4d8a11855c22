//! A line of JSON for some of the requests, written by a thread of its own.
//!
//! A worker hands over what it knows and goes on. When the disk is slower than the requests, lines are left out and
//! counted; a request never waits. What may be a secret is not in a line: of the target the path alone, of the fields
//! those that say who asks with what.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use cutover_model::RoutePolicy;
use cutover_model::routing::AccessLog;

use crate::access_entry::Entry;
use crate::snapshot::Snapshot;
use crate::tls::UseOfBroken;
use crate::wire::Refusal;

/// Lines that may wait to be written: a second's worth of a busy worker, a few megabytes.
const QUEUE: usize = 16 * 1024;

/// How long a line waits for others, at most, and how often the file is looked for.
const FLUSH: Duration = Duration::from_millis(500);

/// What is written at once.
const BLOCK: usize = 64 * 1024;

/// What one route logs, and where.
#[derive(Clone, Debug)]
pub(crate) struct RouteLog {
    pub(crate) sink: Arc<Sink>,
    percentage: u8,
}

/// One file; its thread ends with it.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    lines: SyncSender<Entry>,
    counts: Arc<Counts>,
}

/// Lines of one file.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) written: AtomicU64,
    /// The queue was full, or the file could not be written.
    pub(crate) dropped: AtomicU64,
}

impl RouteLog {
    /// Opens the file, which may block, or goes on with the one that is open. A table that names a file that cannot be
    /// written is refused; the kept one is served without it, and every line counts as dropped.
    pub(crate) fn open(
        policy: &RoutePolicy,
        current: &Snapshot,
        before: &[Option<Self>],
        broken: UseOfBroken,
    ) -> Result<Option<Self>, Refusal> {
        let Some(AccessLog { path, percentage }) = &policy.access_log else {
            return Ok(None);
        };
        let path = Path::new(path);
        let open = current
            .routes
            .iter()
            .filter_map(|route| route.access_log.as_ref());
        let mut open = open.chain(before.iter().flatten());
        let sink = match open.find(|log| log.sink.path == path) {
            Some(log) => Arc::clone(&log.sink),
            None => Arc::new(Sink::open(path, broken).map_err(|error| Refusal::InvalidTable {
                what: format!("the access log {} cannot be written: {error}", path.display()),
            })?),
        };
        Ok(Some(Self {
            sink,
            percentage: *percentage,
        }))
    }

    /// Whether a request is among those that are logged whatever becomes of them; `draw` is below 100.
    pub(crate) fn is_sampled(&self, draw: u8) -> bool {
        draw < self.percentage
    }

    pub(crate) fn counts(&self) -> &Arc<Counts> {
        &self.sink.counts
    }
}

impl Sink {
    fn open(path: &Path, broken: UseOfBroken) -> io::Result<Self> {
        let file = match append_to(path) {
            Ok(file) => Some(file),
            Err(error) if broken == UseOfBroken::Refuse => return Err(error),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the access log cannot be written now");
                None
            }
        };
        let (lines, receiver) = sync_channel(QUEUE);
        let counts = Arc::new(Counts::default());
        let writer = Writer {
            path: path.to_owned(),
            file,
            block: Vec::with_capacity(BLOCK),
            waiting: 0,
            counts: Arc::clone(&counts),
        };
        thread::Builder::new()
            .name("proxy-log".to_owned())
            .spawn(move || writer.run(&receiver))?;
        Ok(Self {
            path: path.to_owned(),
            lines,
            counts,
        })
    }

    /// Never waits.
    pub(crate) fn put(&self, entry: Entry) {
        if self.lines.try_send(entry).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Only its owner may read it: paths and addresses are nobody else's business.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

struct Writer {
    path: PathBuf,
    file: Option<File>,
    block: Vec<u8>,
    /// Lines in the block.
    waiting: u64,
    counts: Arc<Counts>,
}

impl Writer {
    fn run(mut self, lines: &Receiver<Entry>) {
        loop {
            match lines.recv_timeout(FLUSH) {
                Ok(entry) => {
                    self.add(&entry);
                    // Whatever else has come meanwhile goes with it.
                    while let Ok(entry) = lines.try_recv() {
                        self.add(&entry);
                    }
                    self.flush();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn add(&mut self, entry: &Entry) {
        entry.write(&mut self.block);
        self.block.push(b'\n');
        self.waiting += 1;
        if self.block.len() >= BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.block.is_empty() {
            return;
        }
        self.look_for_file();
        let written = self.file.as_mut().map(|file| file.write_all(&self.block));
        let count = match written {
            Some(Ok(())) => &self.counts.written,
            Some(Err(error)) => {
                tracing::warn!(%error, path = %self.path.display(), "the access log cannot be written now");
                self.file = None;
                &self.counts.dropped
            }
            None => &self.counts.dropped,
        };
        count.fetch_add(self.waiting, Relaxed);
        self.block.clear();
        self.waiting = 0;
    }

    /// Whoever rotates logs moves the file away: then there is another one, or none, at the path.
    fn look_for_file(&mut self) {
        let same = |file: &File| {
            let (open, there) = (file.metadata().ok()?, std::fs::metadata(&self.path).ok()?);
            Some(open.ino() == there.ino() && open.dev() == there.dev())
        };
        if !self.file.as_ref().and_then(same).unwrap_or(false) {
            self.file = append_to(&self.path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(path: &Path) -> Sink {
        Sink::open(path, UseOfBroken::Refuse).unwrap()
    }

    /// Waits until a file has so many lines.
    fn lines_of(path: &Path, wanted: usize) -> Vec<serde_json::Value> {
        for _ in 0..2_000 {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.lines().count() >= wanted && text.ends_with('\n') {
                return text
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect();
            }
            #[expect(clippy::disallowed_methods, reason = "the writer is a thread of its own")]
            thread::sleep(Duration::from_millis(5));
        }
        panic!("{} has not {wanted} lines", path.display());
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let sink = sink(&path);
        sink.put(Entry::sample());
        lines_of(&path, 1);
        std::fs::rename(&path, &moved).unwrap();
        sink.put(Entry::sample());
        lines_of(&path, 1);
        lines_of(&moved, 1);
        assert_eq!(sink.counts.dropped.load(Relaxed), 0);
    }

    #[test]
    fn a_folder_that_is_gone_costs_lines_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/a.log");
        assert!(Sink::open(&path, UseOfBroken::Refuse).is_err());
        let sink = Sink::open(&path, UseOfBroken::Await).unwrap();
        for _ in 0..QUEUE * 2 {
            sink.put(Entry::sample());
        }
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let mut put = 2 * QUEUE as u64;
        while sink.counts.written.load(Relaxed) == 0 {
            sink.put(Entry::sample());
            put += 1;
            thread::yield_now();
        }
        let counted = || sink.counts.written.load(Relaxed) + sink.counts.dropped.load(Relaxed);
        while counted() < put {
            thread::yield_now();
        }
        assert_eq!(counted(), put, "each line is counted once");
    }
}
