//! A client's request body on its way to an instance, watched so that its faults stay the client's.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::fields;
use crate::mirror::Shadow;
use crate::worker::Worker;

/// How much of a body is kept to be sent again, as linkerd keeps.
const KEPT: usize = 64 * 1024;

/// What the forwarding of a request learns of its body.
#[derive(Debug)]
pub(crate) struct BodyWatch {
    /// The client sent bytes that are no body, or broke off.
    pub(crate) client_fault: Cell<bool>,
    pub(crate) complete: Cell<bool>,
    /// The instance wants more, the client has not sent it.
    pub(crate) waiting_for_client: Cell<bool>,
    pub(crate) progress: Cell<Instant>,
    kept: RefCell<Kept>,
    given_back: Notify,
    /// Gets what passes, and leaves at the end of it.
    shadow: RefCell<Option<(Shadow, Rc<Worker>)>>,
}

/// What was read of a body, and what will be: a body of which no more than 64 KiB were read can be sent again.
#[derive(Debug, Default)]
struct Kept {
    read: VecDeque<Bytes>,
    size: usize,
    too_much: bool,
    rest: Option<Incoming>,
}

impl BodyWatch {
    pub(crate) fn new() -> Self {
        Self {
            client_fault: Cell::new(false),
            complete: Cell::new(false),
            waiting_for_client: Cell::new(false),
            progress: Cell::new(Instant::now()),
            kept: RefCell::default(),
            given_back: Notify::new(),
            shadow: RefCell::default(),
        }
    }

    /// The body passes to a copy of the request, too.
    pub(crate) fn copy_to(&self, shadow: Shadow, worker: Rc<Worker>) {
        *self.shadow.borrow_mut() = Some((shadow, worker));
    }

    fn copy(&self, frame: &Frame<Bytes>) {
        let mut shadow = self.shadow.borrow_mut();
        if let (Some((copy, _)), Some(data)) = (&mut *shadow, frame.data_ref())
            && !copy.data(data)
        {
            *shadow = None;
        }
    }

    /// The body from its beginning, once whoever was sending it has let it go. `None` if too much was read.
    pub(crate) async fn again(self: &Rc<Self>) -> Option<RequestBody> {
        loop {
            let given_back = self.given_back.notified();
            {
                let mut kept = self.kept.borrow_mut();
                if kept.too_much {
                    return None;
                }
                if let Some(incoming) = kept.rest.take() {
                    let read = std::mem::take(&mut kept.read);
                    kept.size = 0;
                    if let Some((shadow, _)) = &mut *self.shadow.borrow_mut() {
                        shadow.restart();
                    }
                    return Some(RequestBody::streaming_after(read, incoming, Rc::clone(self)));
                }
            }
            given_back.await;
        }
    }

    fn finish(&self) {
        self.complete.set(true);
        if let Some((shadow, worker)) = self.shadow.take() {
            shadow.send(worker);
        }
    }

    fn keep(&self, frame: &Frame<Bytes>) {
        let mut kept = self.kept.borrow_mut();
        match frame.data_ref() {
            // The first is there anyway, and may be all that was read of a request of which nothing could be sent.
            Some(data) if !kept.too_much && (kept.read.is_empty() || kept.size + data.len() <= KEPT) => {
                kept.size += data.len();
                kept.read.push_back(data.clone());
            }
            _ => {
                kept.too_much = true;
                kept.read = VecDeque::new();
            }
        }
    }
}

/// Nothing, or what the client sends.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Empty,
    Streaming(Streaming),
    /// A copy.
    Whole(VecDeque<Bytes>),
}

/// A client's body, perhaps with a part that was read before.
#[derive(Debug)]
pub(crate) struct Streaming {
    before: VecDeque<Bytes>,
    /// Always there, but in the drop.
    incoming: Option<Incoming>,
    watch: Rc<BodyWatch>,
}

impl RequestBody {
    pub(crate) fn streaming(incoming: Incoming, watch: Rc<BodyWatch>) -> Self {
        Self::streaming_after(VecDeque::new(), incoming, watch)
    }

    pub(crate) fn whole(parts: VecDeque<Bytes>) -> Self {
        if parts.is_empty() {
            Self::Empty
        } else {
            Self::Whole(parts)
        }
    }

    fn streaming_after(before: VecDeque<Bytes>, incoming: Incoming, watch: Rc<BodyWatch>) -> Self {
        Self::Streaming(Streaming {
            before,
            incoming: Some(incoming),
            watch,
        })
    }
}

impl Streaming {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(data) = self.before.pop_front() {
            let frame = Frame::data(data);
            self.watch.keep(&frame);
            self.watch.copy(&frame);
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(&mut *incoming).poll_frame(cx);
        self.watch.waiting_for_client.set(polled.is_pending());
        let mut frame = ready!(polled);
        self.watch.progress.set(Instant::now());
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            fields::strip_trailers(trailers);
        }
        match &frame {
            None => self.watch.finish(),
            Some(Err(_)) => self.watch.client_fault.set(true),
            Some(Ok(frame)) => {
                self.watch.keep(frame);
                self.watch.copy(frame);
                if incoming.is_end_stream() {
                    self.watch.finish();
                }
            }
        }
        Poll::Ready(frame)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let mut kept = self.watch.kept.borrow_mut();
        // What was to be sent again and was not read yet comes after what was.
        let Kept { read, size, .. } = &mut *kept;
        for data in self.before.drain(..) {
            *size += data.len();
            read.push_back(data);
        }
        kept.rest = self.incoming.take();
        self.watch.given_back.notify_one();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Streaming(body) => body.poll(cx),
            Self::Whole(parts) => Poll::Ready(parts.pop_front().map(|data| Ok(Frame::data(data)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(body) => {
                body.before.is_empty() && body.incoming.as_ref().is_none_or(Body::is_end_stream)
            }
            Self::Whole(parts) => parts.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(parts) => {
                let size: usize = parts.iter().map(Bytes::len).sum();
                SizeHint::with_exact(u64::try_from(size).unwrap_or(u64::MAX))
            }
            Self::Streaming(body) => {
                let before: usize = body.before.iter().map(Bytes::len).sum();
                let mut hint = body.incoming.as_ref().map(Body::size_hint).unwrap_or_default();
                let before = u64::try_from(before).unwrap_or_default();
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper + before);
                }
                hint.set_lower(hint.lower() + before);
                hint
            }
        }
    }
}
