//! An answer's body on its way to the client.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::access_entry::Pending;
use crate::client_io::ConnectionState;
use crate::exchange::Exchange;
use crate::fields;
use crate::grpc;
use crate::instance_body::InstanceBody;
use crate::instance_io::{Broken, InstanceIo};
use crate::mirror_compare::Side;
use crate::patience::Patience;
use crate::request_body::BodyWatch;
use crate::upload;

/// What a client reads: a text of ours, or what an instance sends.
pub(crate) struct AnswerBody {
    connection: Arc<ConnectionState>,
    source: Source,
    /// Written when the answer is over.
    log: Option<Box<Pending>>,
}

/// How long an answer may stay open.
#[derive(Clone, Copy)]
pub(crate) enum Open {
    /// As long as bytes come, with no more than this between two of them.
    WhileItMoves(Duration),
    /// Like this from the start: until it is over, or its instance has not been routed for so long.
    UntilItsInstanceLeaves(Option<Duration>),
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenOff {
    #[error("the instance broke off")]
    Instance(#[source] Broken),
    #[error("the instance sent nothing for too long")]
    Silence,
}

enum Source {
    Text(Option<Bytes>),
    Instance(Box<FromInstance>),
}

struct FromInstance {
    /// Its connection goes back to the pool when the answer has ended well.
    body: InstanceBody,
    watch: Option<Rc<BodyWatch>>,
    exchange: Option<Exchange>,
    /// Its trailers say whether it was a success.
    grpc: bool,
    /// Where it is noted, to be compared with the answer to a copy.
    compared: Option<Side>,
    /// Held back for one poll, so that what came before reaches the client.
    broken: Option<BrokenOff>,
    /// Between two of its bytes; as long as it likes if not given.
    silence: Option<Patience>,
    /// Its instance has left, and the time of those that stayed is over.
    leaves: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl AnswerBody {
    pub(crate) fn text(connection: Arc<ConnectionState>, text: &'static str) -> Self {
        let text = (!text.is_empty()).then(|| Bytes::from_static(text.as_bytes()));
        Self {
            connection,
            source: Source::Text(text),
            log: None,
        }
    }

    pub(crate) fn from_instance(
        connection: Arc<ConnectionState>,
        body: InstanceBody,
        watch: Option<Rc<BodyWatch>>,
        exchange: Exchange,
        grpc: bool,
        open: Open,
    ) -> Self {
        let (silence, leaves) = match open {
            Open::WhileItMoves(idle) => (Some(Patience::new(idle)), None),
            Open::UntilItsInstanceLeaves(limit) => {
                (None, limit.map(|limit| exchange.leaves_after(Some(limit))))
            }
        };
        Self {
            connection,
            source: Source::Instance(Box::new(FromInstance {
                body,
                watch,
                exchange: Some(exchange),
                grpc,
                compared: None,
                broken: None,
                silence,
                leaves: leaves.map(|leaves| Box::pin(leaves) as _),
            })),
            log: None,
        }
    }

    /// It is noted there as it passes.
    pub(crate) fn compared(mut self, side: Option<Side>) -> Self {
        if let Source::Instance(answer) = &mut self.source {
            answer.compared = side;
        }
        self
    }

    /// Notes what is carried, for the access log.
    pub(crate) fn log(&mut self, entry: Box<Pending>) {
        self.log = Some(entry);
    }
}

impl FromInstance {
    /// The last byte has come. The connection can serve again, as soon as all of the request's body has been sent.
    fn ended(&mut self) {
        if let Some(side) = self.compared.take() {
            side.end();
        }
        let Some(mut exchange) = self.exchange.take() else {
            return;
        };
        let Some(lease) = self.body.release() else {
            return;
        };
        if let Some(watch) = &self.watch
            && lease.as_io().is_some_and(InstanceIo::is_sending)
        {
            exchange.count_answer();
            tokio::task::spawn_local(upload::finish(lease, Rc::clone(watch), exchange));
        } else if let Some(endpoint) = exchange.endpoint() {
            let worker = &exchange.worker;
            worker.pool.put(lease, endpoint, &worker.shared.limits);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = self.body.poll_frame(cx);
        if let (Poll::Ready(_), Some(silence)) = (&polled, &mut self.silence) {
            silence.moved();
        }
        match polled {
            Poll::Pending => {
                if let Some(leaves) = &mut self.leaves
                    && leaves.as_mut().poll(cx).is_ready()
                {
                    // In order: the client of an event stream comes back by itself.
                    self.leaves = None;
                    drop(self.body.release());
                    self.ended();
                    return Poll::Ready(None);
                }
                if !self.silence.as_mut().is_some_and(|silence| silence.is_over(cx)) {
                    return Poll::Pending;
                }
                if let Some(exchange) = &self.exchange {
                    exchange.shard().timeouts.fetch_add(1, Relaxed);
                }
                self.break_off(BrokenOff::Silence, cx)
            }
            Poll::Ready(None) => {
                self.ended();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(mut frame))) => {
                if let (Some(side), Some(data)) = (&mut self.compared, frame.data_ref()) {
                    side.data(data);
                }
                if let Some(trailers) = frame.trailers_mut() {
                    fields::strip_trailers(trailers);
                }
                if self.grpc
                    && let Some(status) = frame.trailers_ref().and_then(grpc::failure)
                    && let Some(exchange) = &mut self.exchange
                {
                    exchange.answered(status);
                }
                if self.body.is_end_stream() {
                    self.ended();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => self.break_off(BrokenOff::Instance(error), cx),
        }
    }

    fn break_off(
        &mut self,
        why: BrokenOff,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.cut();
        }
        drop(self.body.release());
        self.compared = None;
        // hyper writes out what it has only when there is nothing to do; an error at once would throw the head away,
        // and the client would take a broken answer for a dead proxy.
        self.broken = Some(why);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let polled = match &mut self.source {
            Source::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Source::Instance(answer) => answer.poll(cx),
        };
        if let Some(log) = &mut self.log {
            match &polled {
                Poll::Ready(Some(Ok(frame))) => log.carried(frame.data_ref().map_or(0, Bytes::len)),
                Poll::Ready(Some(Err(_))) => log.cut(),
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Text(text) => text.is_none(),
            Source::Instance(answer) => answer.broken.is_none() && answer.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Source::Instance(answer) => answer.body.size_hint(),
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // hyper drops a body that is empty from the start without asking it for anything.
        if let Source::Instance(answer) = &mut self.source
            && answer.body.is_end_stream()
        {
            answer.ended();
        }
        self.connection.end();
    }
}
