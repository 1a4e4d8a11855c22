//! The body of an instance's answer, with the connection that it comes on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

use crate::instance_io::Broken;
use crate::pool::Lease;

/// Read to its end, it gives the connection back.
#[derive(Debug)]
pub(crate) struct InstanceBody {
    /// hyper's, of HTTP/2; else it is read from the lease.
    incoming: Option<Incoming>,
    lease: Option<Lease>,
}

impl InstanceBody {
    pub(crate) const fn new(incoming: Option<Incoming>, lease: Lease) -> Self {
        Self {
            incoming,
            lease: Some(lease),
        }
    }

    /// The connection, once. Nothing more is read then.
    pub(crate) const fn release(&mut self) -> Option<Lease> {
        self.lease.take()
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(incoming) = &mut self.incoming {
            let frame = Pin::new(incoming).poll_frame(cx);
            return frame.map(|frame| frame.map(|frame| frame.map_err(Broken::Hyper)));
        }
        match self.lease.as_mut().and_then(Lease::io) {
            Some(io) => io.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match (&self.incoming, self.lease.as_ref().and_then(Lease::as_io)) {
            (Some(incoming), _) => incoming.is_end_stream(),
            (None, Some(io)) => io.is_end_stream(),
            (None, None) => true,
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match (&self.incoming, self.lease.as_ref().and_then(Lease::as_io)) {
            (Some(incoming), _) => incoming.size_hint(),
            (None, Some(io)) => io.size_hint(),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}
