//! A client's request body on its way to an instance, watched so that its faults stay the client's.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use crate::client_io::ConnectionState;

/// What the forwarding of a request learns of its body.
#[derive(Debug)]
pub(crate) struct BodyWatch {
    /// The client sent bytes that are no body, or broke off.
    pub(crate) client_fault: Cell<bool>,
    pub(crate) complete: Cell<bool>,
    /// The instance wants more, the client has not sent it.
    pub(crate) waiting_for_client: Cell<bool>,
    pub(crate) progress: Cell<Instant>,
    connection: Arc<ConnectionState>,
}

impl BodyWatch {
    pub(crate) fn new(connection: Arc<ConnectionState>) -> Self {
        Self {
            client_fault: Cell::new(false),
            complete: Cell::new(false),
            waiting_for_client: Cell::new(false),
            progress: Cell::new(Instant::now()),
            connection,
        }
    }

    fn finish(&self) {
        self.complete.set(true);
        self.connection.request_read();
    }
}

/// Nothing, or what the client sends.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Empty,
    Streaming {
        incoming: Incoming,
        watch: Rc<BodyWatch>,
    },
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Streaming { incoming, watch } = &mut *self else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(&mut *incoming).poll_frame(cx);
        watch.waiting_for_client.set(polled.is_pending());
        let frame = ready!(polled);
        watch.progress.set(Instant::now());
        match &frame {
            None => watch.finish(),
            Some(Err(_)) => watch.client_fault.set(true),
            Some(Ok(_)) if incoming.is_end_stream() => watch.finish(),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming { incoming, .. } => incoming.size_hint(),
        }
    }
}
