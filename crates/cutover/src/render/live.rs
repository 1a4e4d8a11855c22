//! The terminal under a running upgrade: frames drawn in place on stderr, keys read from stdin.
//!
//! Owns the terminal's mode while it lives and gives it back on drop and on panic. Decides nothing: what is drawn comes
//! from `frame`, what a key means from `keys`.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossterm::cursor::{Hide, MoveToColumn, MoveUp, Show};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use crossterm::{QueueableCommand as _, event, terminal};
use tokio::sync::mpsc;

use super::keys::Key;
use super::text::columns;

/// How long a key may go unseen; also how long the reader takes to end.
const POLL: Duration = Duration::from_millis(50);

/// Draws frames in place.
#[derive(Debug)]
pub(crate) struct Live<W: io::Write = io::Stderr> {
    out: W,
    /// The widths of the lines that stand there now.
    drawn: Vec<usize>,
    hidden: bool,
}

impl Live {
    /// On this process's stderr, which is a terminal.
    pub(crate) fn new() -> Self {
        restore_on_panic();
        Self::on(io::stderr())
    }

    /// How many lines a frame may have so that it never scrolls; none when the terminal does not say.
    pub(crate) fn height() -> Option<usize> {
        terminal::size()
            .ok()
            .map(|(_, rows)| usize::from(rows))
            .filter(|rows| *rows > 4)
    }
}

impl<W: io::Write> Live<W> {
    fn on(out: W) -> Self {
        Self {
            out,
            drawn: Vec::new(),
            hidden: false,
        }
    }

    /// Draws a frame over the last one.
    pub(crate) fn draw(&mut self, frame: &str) {
        let width = terminal::size().ok().map(|(columns, _)| usize::from(columns));
        // A terminal that fails to be drawn on is no reason to stop an upgrade.
        self.redraw(frame, width).unwrap_or_default();
    }

    /// Prints lines above the frame, where they stay.
    pub(crate) fn say(&mut self, text: &str) {
        let width = terminal::size().ok().map(|(columns, _)| usize::from(columns));
        let said = self.erase(width).and_then(|()| self.lines(text));
        said.and_then(|()| self.out.flush()).unwrap_or_default();
        self.drawn.clear();
    }

    /// Takes the last frame away: what follows says it all once more.
    pub(crate) fn clear(&mut self) {
        let width = terminal::size().ok().map(|(columns, _)| usize::from(columns));
        self.erase(width)
            .and_then(|()| self.out.flush())
            .unwrap_or_default();
        self.drawn.clear();
    }

    fn redraw(&mut self, frame: &str, width: Option<usize>) -> io::Result<()> {
        self.out.queue(BeginSynchronizedUpdate)?;
        if !self.hidden {
            self.out.queue(Hide)?;
            self.hidden = true;
        }
        self.erase(width)?;
        self.lines(frame)?;
        self.drawn = frame.lines().map(visible).collect();
        self.out.queue(EndSynchronizedUpdate)?;
        self.out.flush()
    }

    fn lines(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            // Raw mode takes a line feed literally.
            write!(self.out, "{line}\r\n")?;
        }
        Ok(())
    }

    /// Back to the first line of the last frame. A terminal that became narrower has wrapped it meanwhile.
    fn erase(&mut self, width: Option<usize>) -> io::Result<()> {
        let width = width.filter(|width| *width > 0).unwrap_or(usize::MAX);
        let rows: usize = self.drawn.iter().map(|line| line.div_ceil(width).max(1)).sum();
        if rows == 0 {
            return Ok(());
        }
        self.out.queue(MoveToColumn(0))?;
        self.out.queue(MoveUp(u16::try_from(rows).unwrap_or(u16::MAX)))?;
        self.out.queue(Clear(ClearType::FromCursorDown))?;
        Ok(())
    }
}

impl<W: io::Write> Drop for Live<W> {
    fn drop(&mut self) {
        if self.hidden {
            self.out
                .queue(Show)
                .map(|_| ())
                .and_then(|()| self.out.flush())
                .unwrap_or_default();
        }
    }
}

/// The columns of a line without its escapes.
fn visible(line: &str) -> usize {
    columns(&anstream::adapter::strip_str(line).to_string())
}

/// A panic's message must be readable, and the shell after it usable.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
    });
}

fn restore() {
    terminal::disable_raw_mode().unwrap_or_default();
    let mut stderr = io::stderr();
    stderr
        .queue(Show)
        .map(|_| ())
        .and_then(|()| stderr.flush())
        .unwrap_or_default();
}

/// Reads keys while it lives: raw mode is on for just as long.
#[derive(Debug)]
pub(crate) struct Keys {
    receiver: mpsc::UnboundedReceiver<Key>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Keys {
    /// Starts to read; none when nobody types there.
    pub(crate) fn start() -> Option<Self> {
        if !io::stdin().is_terminal() {
            return None;
        }
        restore_on_panic();
        terminal::enable_raw_mode().ok()?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let spawned = std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read_keys(&told, &sender));
        let Ok(reader) = spawned else {
            terminal::disable_raw_mode().unwrap_or_default();
            return None;
        };
        Some(Self {
            receiver,
            stop,
            reader: Some(reader),
        })
    }

    /// The next key; none when no more will come.
    pub(crate) async fn next(&mut self) -> Option<Key> {
        self.receiver.recv().await
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // It ends within one poll; a panic in it was told by the hook.
            reader.join().unwrap_or_default();
        }
        terminal::disable_raw_mode().unwrap_or_default();
    }
}

fn read_keys(stop: &AtomicBool, sender: &mpsc::UnboundedSender<Key>) {
    while !stop.load(Ordering::Relaxed) {
        match event::poll(POLL) {
            Ok(false) => {}
            Ok(true) => {
                let Ok(event) = event::read() else { return };
                if let Some(key) = key(&event)
                    && sender.send(key).is_err()
                {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press,
        ..
    }) = event
    else {
        return None;
    };
    match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
        KeyCode::Char(letter) if !modifiers.contains(KeyModifiers::CONTROL) => {
            Some(Key::Letter(letter.to_ascii_lowercase()))
        }
        KeyCode::Esc => Some(Key::Escape),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_drawn_over_the_last_one_even_when_the_terminal_became_narrower() {
        let mut live = Live::on(Vec::new());
        live.redraw("one\n\u{1b}[31mtwo\u{1b}[0m\n", Some(80)).unwrap();
        assert_eq!(live.drawn, [3, 3]);
        live.out.clear();
        live.redraw("three\n", Some(2)).unwrap();
        let sent = String::from_utf8(live.out.clone()).unwrap();
        assert!(sent.contains("\u{1b}[4A\u{1b}[J"), "{sent:?}");
        assert!(sent.contains("three\r\n"), "{sent:?}");
    }

    #[test]
    fn keys_are_read_in_either_case() {
        let press = |code, modifiers| key(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(
            press(KeyCode::Char('A'), KeyModifiers::SHIFT),
            Some(Key::Letter('a'))
        );
        assert_eq!(
            press(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Key::Interrupt)
        );
        assert_eq!(press(KeyCode::Char('z'), KeyModifiers::CONTROL), None);
        assert_eq!(press(KeyCode::Enter, KeyModifiers::NONE), None);
    }
}
