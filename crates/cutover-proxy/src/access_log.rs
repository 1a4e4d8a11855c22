//! A line of JSON for some of the requests, written by a thread of its own.
//!
//! A worker hands over the line and goes on. When the disk is slower than the requests, lines are left out and
//! counted; a request never waits. What may be a secret is not in a line: of the target the path alone, of the fields
//! those that say who asks with what.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use cutover_model::ServiceRoute;
use cutover_model::routing::AccessLog;
use tokio::time::Instant;

use crate::snapshot::Snapshot;
use crate::tls::UseOfBroken;
use crate::wire::Refusal;

/// Lines that may wait to be written: a second's worth of a busy worker.
const QUEUE: usize = 16 * 1024;

/// What they may take of memory together, in bytes. Whole queues of the longest lines would be a hundred megabytes.
const QUEUE_BYTES: usize = 8 * 1024 * 1024;

/// How often a stop looks whether the last lines are written.
const LOOK: Duration = Duration::from_millis(2);

/// What is written at once.
const BLOCK: usize = 64 * 1024;

/// What one route logs, and where.
#[derive(Clone, Debug)]
pub(crate) struct RouteLog {
    pub(crate) sink: Arc<Sink>,
    pub(crate) counts: Arc<Counts>,
    percentage: u8,
}

/// One file; its thread ends with it.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    lines: SyncSender<Line>,
    /// What the lines take that are put and neither written nor dropped yet.
    waiting: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    /// Of its route: several may have one file.
    counts: Arc<Counts>,
}

/// Lines of one route, since it has a log.
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
        route: &ServiceRoute,
        current: &Snapshot,
        before: &[Option<Self>],
        broken: UseOfBroken,
    ) -> Result<Option<Self>, Refusal> {
        let Some(AccessLog { path, percentage }) = &route.policy.access_log else {
            return Ok(None);
        };
        let path = Path::new(path);
        let served = || {
            current
                .routes
                .iter()
                .filter_map(|now| Some((now, now.access_log.as_ref()?)))
        };
        let mut open = served().map(|(_, log)| log).chain(before.iter().flatten());
        let sink = match open.find(|log| log.sink.path == path) {
            Some(log) => Arc::clone(&log.sink),
            None => Arc::new(Sink::open(path, broken).map_err(|error| Refusal::InvalidTable {
                what: format!("the access log {} cannot be written: {error}", path.display()),
            })?),
        };
        let counted = served().find(|(now, _)| now.state.service == route.service);
        Ok(Some(Self {
            sink,
            counts: counted.map_or_else(Arc::default, |(_, log)| Arc::clone(&log.counts)),
            percentage: *percentage,
        }))
    }

    /// Whether a request is among those that are logged whatever becomes of them; `draw` is below 100.
    pub(crate) fn is_sampled(&self, draw: u8) -> bool {
        draw < self.percentage
    }

    /// Never waits.
    pub(crate) fn put(&self, text: Vec<u8>) {
        self.sink.put(text, &self.counts);
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
        let (sink, lines) = Self::new(path);
        let writer = Writer {
            path: path.to_owned(),
            failing: file.is_none(),
            file,
            torn: false,
            block: Vec::with_capacity(BLOCK),
            counts: Vec::new(),
            taken: 0,
            waiting: Arc::clone(&sink.waiting),
        };
        thread::Builder::new()
            .name("proxy-log".to_owned())
            .spawn(move || writer.run(&lines))?;
        Ok(sink)
    }

    fn new(path: &Path) -> (Self, Receiver<Line>) {
        let (lines, receiver) = sync_channel(QUEUE);
        let sink = Self {
            path: path.to_owned(),
            lines,
            waiting: Arc::default(),
        };
        (sink, receiver)
    }

    fn put(&self, text: Vec<u8>, counts: &Arc<Counts>) {
        let taken = text.capacity();
        let before = self.waiting.fetch_add(taken, Relaxed);
        let counted = Arc::clone(counts);
        let line = Line {
            text,
            counts: counted,
        };
        if before + taken > QUEUE_BYTES || self.lines.try_send(line).is_err() {
            self.waiting.fetch_sub(taken, Relaxed);
            counts.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Returns when whatever was put is written or dropped, or at the deadline. Blocks.
    pub(crate) fn settle(&self, deadline: Instant) {
        while self.waiting.load(Relaxed) > 0 && Instant::now() < deadline {
            thread::park_timeout(LOOK);
        }
    }
}

/// Only its owner may read it: paths and addresses are nobody else's business.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

/// Whether the file is still the one at the path: whoever rotates logs moves it away.
fn is_at(file: &File, path: &Path) -> bool {
    let same = || {
        let (open, there) = (file.metadata()?, std::fs::metadata(path)?);
        io::Result::Ok(open.ino() == there.ino() && open.dev() == there.dev())
    };
    same().unwrap_or(false)
}

struct Writer {
    path: PathBuf,
    file: Option<File>,
    /// Whether the last block could not be written: that is said once, not for each.
    failing: bool,
    /// Whether the file may end in half a line.
    torn: bool,
    block: Vec<u8>,
    /// Whose lines are in the block, one for each.
    counts: Vec<Arc<Counts>>,
    /// What they took in the queue.
    taken: usize,
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    /// Until nobody can put a line any more.
    fn run(mut self, lines: &Receiver<Line>) {
        while let Ok(line) = lines.recv() {
            self.add(line);
            // Whatever else has come meanwhile goes with it.
            while let Ok(line) = lines.try_recv() {
                self.add(line);
            }
            self.flush();
        }
    }

    fn add(&mut self, line: Line) {
        self.block.extend_from_slice(&line.text);
        self.counts.push(line.counts);
        self.taken += line.text.capacity();
        if self.block.len() >= BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.counts.is_empty() {
            return;
        }
        let written = self.write();
        if let Err(error) = &written
            && !self.failing
        {
            tracing::warn!(%error, path = %self.path.display(), "the access log cannot be written now");
        }
        self.failing = written.is_err();
        for counts in self.counts.drain(..) {
            let outcome = if self.failing {
                &counts.dropped
            } else {
                &counts.written
            };
            outcome.fetch_add(1, Relaxed);
        }
        self.waiting.fetch_sub(self.taken, Relaxed);
        self.block.clear();
        self.taken = 0;
    }

    fn write(&mut self) -> io::Result<()> {
        let file = match self.file.take().filter(|file| is_at(file, &self.path)) {
            Some(file) => file,
            None => {
                self.torn = false;
                append_to(&self.path)?
            }
        };
        let file = self.file.insert(file);
        if std::mem::replace(&mut self.torn, true) {
            file.write_all(b"\n")?;
        }
        file.write_all(&self.block)?;
        self.torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_entry::Entry;

    fn log_to(path: &Path, broken: UseOfBroken) -> RouteLog {
        log(Sink::open(path, broken).unwrap())
    }

    fn log(sink: Sink) -> RouteLog {
        RouteLog {
            sink: Arc::new(sink),
            counts: Arc::default(),
            percentage: 100,
        }
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
        let log = log_to(&path, UseOfBroken::Refuse);
        log.put(Entry::sample().line());
        lines_of(&path, 1);
        std::fs::rename(&path, &moved).unwrap();
        log.put(Entry::sample().line());
        lines_of(&path, 1);
        lines_of(&moved, 1);
        assert_eq!(log.counts.dropped.load(Relaxed), 0);
    }

    #[test]
    fn a_folder_that_is_gone_costs_lines_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/a.log");
        assert!(Sink::open(&path, UseOfBroken::Refuse).is_err());
        let log = log_to(&path, UseOfBroken::Await);
        for _ in 0..QUEUE * 2 {
            log.put(Entry::sample().line());
        }
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let mut put = 2 * QUEUE as u64;
        while log.counts.written.load(Relaxed) == 0 {
            log.put(Entry::sample().line());
            put += 1;
            thread::yield_now();
        }
        let counted = || log.counts.written.load(Relaxed) + log.counts.dropped.load(Relaxed);
        while counted() < put {
            thread::yield_now();
        }
        assert_eq!(counted(), put, "each line is counted once");
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let (sink, lines) = Sink::new(Path::new("a.log"));
        let log = log(sink);
        let put = 10_000;
        for _ in 0..put {
            log.put(vec![b'x'; 5_000]);
        }
        let waiting: Vec<_> = lines.try_iter().collect();
        let bytes: usize = waiting.iter().map(|line| line.text.capacity()).sum();
        assert!((QUEUE_BYTES - 5_000..=QUEUE_BYTES).contains(&bytes), "{bytes}");
        let dropped = log.counts.dropped.load(Relaxed);
        assert_eq!(waiting.len() as u64 + dropped, put);
    }

    #[test]
    fn settled_means_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let log = log_to(&path, UseOfBroken::Refuse);
        let put = QUEUE / 2;
        for _ in 0..put {
            log.put(Entry::sample().line());
        }
        log.sink.settle(Instant::now() + Duration::from_secs(30));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), put);
    }

    #[test]
    fn half_a_line_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "{\"half").unwrap();
        let counts = Arc::new(Counts::default());
        let mut writer = Writer {
            path: path.clone(),
            // Open for reading alone: a write fails, as on a full disk.
            file: Some(File::open(&path).unwrap()),
            failing: false,
            torn: false,
            block: Vec::new(),
            counts: Vec::new(),
            taken: 0,
            waiting: Arc::new(AtomicUsize::new(30)),
        };
        let line = || {
            let mut text = Vec::with_capacity(10);
            text.extend_from_slice(b"{}\n");
            let counts = Arc::clone(&counts);
            Line { text, counts }
        };
        writer.add(line());
        writer.flush();
        writer.file = Some(append_to(&path).unwrap());
        for _ in 0..2 {
            writer.add(line());
            writer.flush();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"half\n{}\n{}\n");
        assert_eq!(
            (counts.written.load(Relaxed), counts.dropped.load(Relaxed)),
            (2, 1)
        );
        assert_eq!(writer.waiting.load(Relaxed), 0);
    }
}
