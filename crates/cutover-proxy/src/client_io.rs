//! The client's side of a connection, with what a graceful stop must know of it.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use crate::head_scan::{Fault, HeadScan};
use crate::patience::Patience;

/// Shared by the connection, its requests and its answers.
#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    /// A request is being worked on.
    busy: AtomicBool,
    close_when_idle: AtomicBool,
    /// Nothing has been asked for a while.
    rest_when_idle: AtomicBool,
    /// How long a client may take nothing of an answer, in milliseconds; 0 is for ever.
    reader_ms: AtomicU64,
    /// Requests so far.
    begun: AtomicU64,
    /// One more than the number of the request whose head is at fault; 0 if none is.
    fault: AtomicU64,
    /// Something else is spoken from here on.
    switched: AtomicBool,
    /// hyper would give the socket to something else in the end.
    stays_up: AtomicBool,
}

impl ConnectionState {
    /// A request's head was read. False if it is one that two readers may read in two ways.
    pub(crate) fn begin(&self) -> bool {
        self.busy.store(true, Relaxed);
        self.rest_when_idle.store(false, Relaxed);
        let number = self.begun.fetch_add(1, Relaxed) + 1;
        self.fault.load(Relaxed) != number
    }

    pub(crate) fn end(&self) {
        self.busy.store(false, Relaxed);
    }

    /// End the connection as soon as nothing is open on it and nothing has arrived.
    pub(crate) fn close_when_idle(&self) {
        self.close_when_idle.store(true, Relaxed);
    }

    /// Give the socket back if nothing is open on it and nothing has arrived.
    pub(crate) fn rest_when_idle(&self) {
        self.rest_when_idle.store(true, Relaxed);
    }

    /// It does not rest. Once another protocol was asked for, hyper holds the socket for it until the connection is over,
    /// and what only was to rest would be lost with it.
    pub(crate) fn stay_up(&self) {
        self.stays_up.store(true, Relaxed);
    }

    /// How long the client may take nothing of what is sent to it; for ever if zero.
    pub(crate) fn wait_for_reader(&self, limit: Duration) {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.reader_ms.store(millis, Relaxed);
    }

    /// What follows is no HTTP, and has no limits.
    pub(crate) fn switch(&self) {
        self.switched.store(true, Relaxed);
        self.wait_for_reader(Duration::ZERO);
    }

    /// What is to be done with the connection if nothing is on its way.
    fn when_idle(&self) -> Option<WhenIdle> {
        if self.busy.load(Relaxed) {
            None
        } else if self.close_when_idle.load(Relaxed) {
            Some(WhenIdle::Close)
        } else {
            let rests = self.rest_when_idle.load(Relaxed) && !self.stays_up.load(Relaxed);
            rests.then_some(WhenIdle::Rest)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenIdle {
    Close,
    Rest,
}

/// What carries a client's bytes: the socket itself, or TLS over it.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The socket beneath.
    fn socket(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Whether the kernel holds no byte from the other side, nor its end.
pub(crate) fn nothing_arrived(socket: &TcpStream) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    let peeked = SockRef::from(socket).peek(&mut byte);
    matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// A client's socket. When it is to be closed or to rest, and the kernel holds no byte from the client either, hyper is
/// told that the client has ended the connection: so an idle one ends in order, and a request that has arrived is still
/// served. If it only rests, its end does not reach the socket.
#[derive(Debug)]
pub(crate) struct ClientIo<S> {
    inner: TokioIo<S>,
    /// What was read before it was known what is spoken.
    first: Bytes,
    state: Arc<ConnectionState>,
    /// Made when the client takes nothing for the first time.
    stalled: Option<Box<Patience>>,
    /// The client did not take all of what was last written.
    blocked: bool,
    rest: Rest,
    /// Looks at what HTTP/1.1 says.
    scan: Option<HeadScan>,
    /// What follows is no body.
    broken: bool,
    /// The client has ended its side.
    ended: bool,
    /// Made when the connection is closed while the client is sending.
    closing: Option<Box<Closing>>,
}

/// A connection that is closed while the client is sending. Were the socket closed at once, what the client sends then
/// would be answered by a reset, and it might lose the answer: so it is read on for a while, and thrown away.
#[derive(Debug)]
struct Closing {
    silence: Patience,
    end: Instant,
}

/// The longest that a client may send on after the last answer, and be silent while it does.
const LAST_WORDS: Duration = Duration::from_secs(30);
const LAST_SILENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    No,
    /// hyper was told that nothing comes any more.
    Told,
    /// It is done with the socket.
    Over,
}

thread_local! {
    /// Where bytes are looked at before the parser gets them. One a worker, so that a silent connection has no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; 64 * 1024].into_boxed_slice());
}

impl<S: Transport> ClientIo<S> {
    /// One that speaks HTTP/1.1, whose heads are looked at.
    pub(crate) fn http1(stream: S, first: Bytes, state: Arc<ConnectionState>) -> Self {
        Self {
            scan: Some(HeadScan::default()),
            ..Self::http2(stream, first, state)
        }
    }

    pub(crate) fn http2(stream: S, first: Bytes, state: Arc<ConnectionState>) -> Self {
        Self {
            inner: TokioIo::new(stream),
            first,
            state,
            stalled: None,
            blocked: false,
            rest: Rest::No,
            scan: None,
            broken: false,
            ended: false,
            closing: None,
        }
    }

    /// The socket, if the connection only rests.
    pub(crate) fn at_rest(self) -> Option<S> {
        (self.rest == Rest::Over).then(|| self.inner.into_inner())
    }

    /// Whether hyper is to be told that nothing comes any more.
    fn ends(&mut self) -> bool {
        let Some(then) = self.state.when_idle() else {
            return false;
        };
        // hyper may hold the beginning of the next request, which came with the end of the one before.
        let is_between = self.scan.as_ref().is_some_and(HeadScan::is_between);
        let ends = is_between && !self.blocked && nothing_arrived(self.inner.inner().socket());
        if ends && then == WhenIdle::Rest {
            self.rest = Rest::Told;
        }
        ends
    }

    /// How many of the bytes hyper gets: all, unless they stop being a body among them.
    fn look(scan: &mut HeadScan, state: &ConnectionState, bytes: &[u8]) -> usize {
        match scan.look(bytes) {
            None => bytes.len(),
            Some(Fault::Head(number)) => {
                state.fault.store(number + 1, Relaxed);
                bytes.len()
            }
            Some(Fault::Body(whole)) => whole,
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.scan.is_some() && self.state.switched.load(Relaxed) {
            self.scan = None;
        }
        let Some(scan) = &mut self.scan else {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let length = scratch.len().min(buf.remaining());
            let mut part = ReadBuf::new(&mut scratch[..length]);
            let stream = Pin::new(self.inner.inner_mut());
            ready!(AsyncRead::poll_read(stream, cx, &mut part))?;
            self.ended = part.filled().is_empty();
            let whole = Self::look(scan, &self.state, part.filled());
            buf.put_slice(&part.filled()[..whole]);
            self.broken = whole < part.filled().len();
            Poll::Ready(if self.broken && whole == 0 {
                no_body()
            } else {
                Ok(())
            })
        })
    }

    /// Whether something of the client's is on its way that nobody has read.
    fn is_being_sent_to(&self) -> bool {
        let Some(scan) = &self.scan else {
            return false;
        };
        let is_over = self.ended || self.state.switched.load(Relaxed);
        !is_over && (!scan.is_between() || !nothing_arrived(self.inner.inner().socket()))
    }

    /// Until the client has ended its side too, or had the time to.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let closing = self.closing.get_or_insert_with(|| {
            Box::new(Closing {
                silence: Patience::new(LAST_SILENCE),
                end: Instant::now() + LAST_WORDS,
            })
        });
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut part = ReadBuf::new(scratch);
                let stream = Pin::new(self.inner.inner_mut());
                match AsyncRead::poll_read(stream, cx, &mut part) {
                    Poll::Ready(Ok(())) if !part.filled().is_empty() && Instant::now() < closing.end => {
                        closing.silence.moved();
                    }
                    Poll::Pending if !closing.silence.is_over(cx) => return Poll::Pending,
                    Poll::Ready(_) | Poll::Pending => return Poll::Ready(()),
                }
            }
        })
    }

    /// What was written, or an error if the client has taken nothing for too long.
    fn unless_stalled<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        self.blocked = polled.is_pending();
        if polled.is_ready() {
            if let Some(stalled) = &mut self.stalled {
                stalled.moved();
            }
            return polled;
        }
        let limit = match self.state.reader_ms.load(Relaxed) {
            0 => return polled,
            millis => Duration::from_millis(millis),
        };
        let stalled = self.stalled.get_or_insert_with(|| Box::new(Patience::new(limit)));
        if stalled.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

/// For the parser: it refuses the request whose body it is reading.
fn no_body() -> io::Result<()> {
    Err(io::ErrorKind::InvalidData.into())
}

impl<S: Transport> Read for ClientIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.broken {
            return Poll::Ready(no_body());
        }
        if this.first.has_remaining() {
            let length = this.first.len().min(buf.remaining());
            let whole = match &mut this.scan {
                Some(scan) => Self::look(scan, &this.state, &this.first[..length]),
                None => length,
            };
            buf.put_slice(&this.first[..whole]);
            this.first.advance(length);
            this.broken = whole < length;
            if this.first.is_empty() || this.broken {
                this.first = Bytes::new();
            }
            return Poll::Ready(if this.broken && whole == 0 {
                no_body()
            } else {
                Ok(())
            });
        }
        let polled = this.read(cx, buf);
        if polled.is_pending() && this.ends() {
            return Poll::Ready(Ok(()));
        }
        polled
    }
}

impl<S: Transport> Write for ClientIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.unless_stalled(polled, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.unless_stalled(polled, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.rest != Rest::No {
            self.rest = Rest::Over;
            return Poll::Ready(Ok(()));
        }
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            if !self.is_being_sent_to() {
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_last_words(cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.unless_stalled(polled, cx)
    }
}
