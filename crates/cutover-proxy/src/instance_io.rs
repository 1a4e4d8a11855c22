//! One HTTP/1.1 connection to an instance. No task runs beside and nothing is copied to and fro: whoever waits for an
//! answer reads and writes the socket itself.
//!
//! The request is written from where it is, so it is still there if it must be sent again. What is left of its body is
//! written while the answer is already read.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::body::{Body as _, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, TRAILER};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use crate::answer_head::{self, AnswerHead, BodyEnd, Nonsense};
use crate::chunks::{Chunks, Part};
use crate::client_io::nothing_arrived;
use crate::fields;
use crate::forwarded::Origin;
use crate::multiplexed::{self, TurnedAway};
use crate::outgoing::{self, Outgoing, write_field};
use crate::request_body::RequestBody;

/// Room that a read must find, at least and at most. Large answers take fewer calls with more.
const LEAST: usize = 8 * 1024;
const MOST: usize = 64 * 1024;

/// Where room is taken from. What was read is a part of it, and it is used again when all parts are gone.
const BLOCK: usize = 96 * 1024;

/// Larger buffers are not kept by an idle connection.
const KEPT: usize = 8 * 1024;

/// Parts of a body up to this size go into one buffer with what stands before them.
const SMALL: usize = 2 * 1024;

thread_local! {
    /// One a worker, so that a connection has none of its own.
    static ROOM: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// A connection, with the exchange that is under way on it.
#[derive(Debug)]
pub(crate) struct InstanceIo {
    stream: TcpStream,
    /// What was read and belongs to nothing yet.
    input: Bytes,
    /// What is to be written: first this, from `written` on, then `data`.
    output: Vec<u8>,
    written: usize,
    data: Bytes,
    /// A byte of the request has left.
    begun: bool,
    upload: Option<Upload>,
    method: Method,
    answer: Answer,
    stays_open: bool,
}

/// A body on its way.
#[derive(Debug)]
struct Upload {
    body: RequestBody,
    framing: Framing,
}

#[derive(Debug)]
pub(crate) enum Framing {
    /// Bytes that are still to come.
    Length(u64),
    /// With trailers of these names.
    Chunked(Vec<HeaderName>),
}

#[derive(Debug)]
enum Answer {
    Head,
    Length(u64),
    Chunked(Chunks),
    Close,
    Over,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing of the request has left. Its body was let go of.
    Unsent,
    /// It broke off, or said nonsense, after something had left.
    Broken(Broken),
}

/// How an exchange broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the connection ended in the middle")]
    Ended,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error("the request's body broke off")]
    Body(#[source] hyper::Error),
    /// Of HTTP/2, or on the way to another protocol.
    #[error("the exchange broke")]
    Hyper(#[source] hyper::Error),
}

impl Broken {
    /// The instance said something that cannot be understood.
    pub(crate) fn is_nonsense(&self) -> bool {
        match self {
            Self::Nonsense(_) => true,
            Self::Hyper(error) => error.is_parse(),
            Self::Ended | Self::Io(_) | Self::Body(_) => false,
        }
    }

    /// Whether the request was certainly not looked at.
    pub(crate) fn turned_away(&self) -> Option<TurnedAway> {
        match self {
            Self::Hyper(error) => multiplexed::turned_away(error),
            Self::Ended | Self::Io(_) | Self::Body(_) | Self::Nonsense(_) => None,
        }
    }
}

impl InstanceIo {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: Bytes::new(),
            output: Vec::new(),
            written: 0,
            data: Bytes::new(),
            begun: false,
            upload: None,
            method: Method::GET,
            answer: Answer::Over,
            stays_open: true,
        }
    }

    /// Whether nothing more can be sent on this idle connection. With `look` the kernel is asked; without, it is known as
    /// far as it was told.
    pub(crate) fn has_ended(&self, look: bool) -> bool {
        if look {
            return !nothing_arrived(&self.stream);
        }
        let mut cx = Context::from_waker(Waker::noop());
        if self.stream.poll_read_ready(&mut cx).is_pending() {
            return false;
        }
        // Looking takes the readiness away if it was none. A byte that nobody asked for is as bad as the end.
        let read = self.stream.try_read(&mut [0]);
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether it can carry another request: this one and its answer are over.
    pub(crate) fn is_reusable(&self) -> bool {
        matches!(self.answer, Answer::Over) && self.stays_open && !self.is_sending() && self.input.is_empty()
    }

    /// Whether bytes of the request are still to be sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.upload.is_some() || !self.output.is_empty() || !self.data.is_empty()
    }

    /// Whether the instance, as far as it has said, will take what is still to be sent.
    pub(crate) const fn stays_open(&self) -> bool {
        self.stays_open
    }

    /// It is idle now: what a large request needed is given back.
    pub(crate) fn rest(&mut self) {
        if self.output.capacity() > KEPT {
            self.output = Vec::new();
        }
    }

    /// Begins to send; [`Self::poll_answer`] does it. With `as_client`, the fields of `parts` are the client's own.
    pub(crate) fn begin(
        &mut self,
        parts: &Parts,
        as_client: Option<(&Outgoing, &Origin)>,
        body: RequestBody,
    ) {
        self.method.clone_from(&parts.method);
        self.answer = Answer::Head;
        self.begun = false;
        self.output.clear();
        self.written = 0;
        match as_client {
            Some((outgoing, client)) => outgoing.write(parts, client, &mut self.output),
            None => outgoing::write_as_it_is(parts, &mut self.output),
        }
        self.upload = if body.is_end_stream() {
            None
        } else {
            let framing = framing(&parts.headers, &body.size_hint(), &mut self.output);
            Some(Upload { body, framing })
        };
        self.output.extend_from_slice(b"\r\n");
    }

    /// The answer's head. `headers` is an empty map for its fields.
    pub(crate) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        headers: &mut HeaderMap,
    ) -> Poll<Result<Response<()>, Failure>> {
        let sent = self.poll_send(cx);
        if let Poll::Ready(Err(error)) = sent {
            if !self.begun {
                self.stop_sending();
                return Poll::Ready(Err(Failure::Unsent));
            }
            if matches!(error, Broken::Body(_)) {
                return self.broken(error);
            }
            // It may have answered before it hung up: no more is sent, but what it said counts.
            self.stop_sending();
        }
        loop {
            match self.read_head(headers) {
                Ok(None) => {}
                Ok(Some(answer)) => return Poll::Ready(Ok(answer)),
                Err(nonsense) => return self.broken(nonsense.into()),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) => return self.broken(Broken::Ended),
                Ok(_) => {}
                Err(error) => return self.broken(error.into()),
            }
        }
    }

    fn broken<T>(&mut self, broken: Broken) -> Poll<Result<T, Failure>> {
        self.stop_sending();
        Poll::Ready(Err(Failure::Broken(broken)))
    }

    /// Lets go of the request's body, and of the connection with it.
    fn stop_sending(&mut self) {
        self.upload = None;
        self.output.clear();
        self.written = 0;
        self.data = Bytes::new();
        self.stays_open = false;
    }

    /// The head, once it is whole. What comes before it of the kind 1xx is for the proxy itself and says nothing.
    fn read_head(&mut self, headers: &mut HeaderMap) -> Result<Option<Response<()>>, Nonsense> {
        loop {
            if self.input.is_empty() {
                return Ok(None);
            }
            let Some((head, length)) = answer_head::read(&self.input, &self.method, headers)? else {
                return Ok(None);
            };
            self.input.advance(length);
            let AnswerHead {
                status,
                version,
                headers: fields,
                ends,
                stays_open,
            } = head;
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                continue;
            }
            self.stays_open &= stays_open;
            self.answer = match ends {
                BodyEnd::Length(0) => Answer::Over,
                BodyEnd::Length(length) => Answer::Length(length),
                BodyEnd::Chunked => Answer::Chunked(Chunks::default()),
                BodyEnd::Close => Answer::Close,
            };
            let mut answer = Response::new(());
            *answer.status_mut() = status;
            *answer.version_mut() = version;
            *answer.headers_mut() = fields;
            return Ok(Some(answer));
        }
    }

    /// The next part of the answer's body.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_sending()
            && let Poll::Ready(Err(error)) = self.poll_send(cx)
        {
            if matches!(error, Broken::Body(_)) {
                self.stop_sending();
                return Poll::Ready(Some(Err(error)));
            }
            self.stop_sending();
        }
        loop {
            match self.next_part() {
                Ok(Part::More) => {}
                Ok(Part::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Part::End(trailers)) => {
                    self.answer = Answer::Over;
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Err(nonsense) => return Poll::Ready(Some(Err(nonsense.into()))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) if matches!(self.answer, Answer::Close) => self.answer = Answer::Over,
                Ok(0) => return Poll::Ready(Some(Err(Broken::Ended))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }

    fn next_part(&mut self) -> Result<Part, Nonsense> {
        Ok(match &mut self.answer {
            Answer::Head | Answer::Over => Part::End(None),
            Answer::Chunked(chunks) => return chunks.next(&mut self.input),
            Answer::Length(_) | Answer::Close if self.input.is_empty() => Part::More,
            Answer::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(self.input.len());
                let data = self.input.split_to(length);
                *left -= length as u64;
                if *left == 0 {
                    self.answer = Answer::Over;
                }
                Part::Data(data)
            }
            Answer::Close => Part::Data(mem::take(&mut self.input)),
        })
    }

    pub(crate) const fn is_end_stream(&self) -> bool {
        matches!(self.answer, Answer::Over)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.answer {
            Answer::Length(left) => SizeHint::with_exact(left),
            Answer::Over => SizeHint::with_exact(0),
            Answer::Head | Answer::Chunked(_) | Answer::Close => SizeHint::new(),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let wanted = match self.answer {
            Answer::Length(left) => usize::try_from(left).unwrap_or(MOST).clamp(LEAST, MOST),
            Answer::Head | Answer::Chunked(_) | Answer::Close | Answer::Over => LEAST,
        };
        let read = ROOM.with_borrow_mut(|room| {
            if room.capacity() < wanted {
                room.reserve(BLOCK);
            }
            let length = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, room));
            Poll::Ready(length.map(|_| room.split().freeze()))
        });
        let read = ready!(read)?;
        let length = read.len();
        // Nearly always nothing was left; else it is the beginning of a head or of a line.
        self.input = if self.input.is_empty() {
            read
        } else {
            [&self.input[..], &read[..]].concat().into()
        };
        Poll::Ready(Ok(length))
    }

    /// Until all of the request has left.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            let body = self.fill(cx)?;
            while self.written < self.output.len() || !self.data.is_empty() {
                let output = &self.output[self.written..];
                let stream = Pin::new(&mut self.stream);
                let length = if self.data.is_empty() {
                    ready!(stream.poll_write(cx, output))?
                } else {
                    ready!(stream.poll_write_vectored(cx, &[IoSlice::new(output), IoSlice::new(&self.data)]))?
                };
                if length == 0 {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
                }
                self.begun = true;
                let of_output = length.min(output.len());
                self.written += of_output;
                self.data.advance(length - of_output);
            }
            self.output.clear();
            self.written = 0;
            if self.upload.is_none() {
                return Poll::Ready(Ok(()));
            }
            if body.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes from the body what there is, as long as little waits to be written. Pending if the body is.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Broken> {
        while let Some(upload) = &mut self.upload
            && self.data.is_empty()
            && self.output.len() < SMALL
        {
            let Poll::Ready(frame) = Pin::new(&mut upload.body).poll_frame(cx) else {
                return Ok(Poll::Pending);
            };
            let frame = match frame {
                None => {
                    self.finish(None)?;
                    break;
                }
                Some(Err(error)) => return Err(Broken::Body(error)),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) => self.data(data)?,
                Err(frame) => {
                    self.finish(frame.trailers_ref())?;
                    break;
                }
            }
            if let Some(Upload {
                framing: Framing::Length(0),
                body,
            }) = &self.upload
                && body.is_end_stream()
            {
                self.upload = None;
            }
        }
        Ok(Poll::Ready(()))
    }

    fn data(&mut self, data: Bytes) -> Result<(), Broken> {
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        if data.is_empty() {
            return Ok(());
        }
        let chunked = match &mut upload.framing {
            Framing::Length(left) => {
                *left = left
                    .checked_sub(data.len() as u64)
                    .ok_or(Nonsense("a body is longer than it says"))?;
                false
            }
            Framing::Chunked(_) => true,
        };
        if chunked {
            let line = format!("{:x}\r\n", data.len());
            self.output.extend_from_slice(line.as_bytes());
        }
        if chunked || data.len() <= SMALL {
            self.output.extend_from_slice(&data);
        } else {
            self.data = data;
        }
        if chunked {
            self.output.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// The body is over.
    fn finish(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Broken> {
        let Some(Upload { framing, .. }) = self.upload.take() else {
            return Ok(());
        };
        match framing {
            Framing::Length(0) => Ok(()),
            Framing::Length(_) => Err(Broken::Ended),
            Framing::Chunked(names) => {
                self.output.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    if names.contains(name) {
                        write_field(name.as_str(), value.as_bytes(), &mut self.output);
                    }
                }
                self.output.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }
}

/// How a body is sent: with the length that the request says, or is known; else in chunks.
pub(crate) fn framing(headers: &HeaderMap, known: &SizeHint, out: &mut Vec<u8>) -> Framing {
    let said = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if let Some(length) = said.and_then(|text| text.parse().ok()) {
        return Framing::Length(length);
    }
    if let Some(length) = known.exact() {
        write_field(CONTENT_LENGTH.as_str(), length.to_string().as_bytes(), out);
        return Framing::Length(length);
    }
    write_field("transfer-encoding", b"chunked", out);
    let named = fields::parts(headers, &TRAILER);
    Framing::Chunked(
        named
            .filter_map(|name| HeaderName::from_bytes(name).ok())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    use hyper::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    async fn pair() -> (InstanceIo, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap());
        let (stream, accepted) = tokio::join!(stream, listener.accept());
        (InstanceIo::new(stream.unwrap()), accepted.unwrap().0)
    }

    async fn head(instance: &mut TcpStream) -> String {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(instance.read_u8().await.unwrap());
        }
        String::from_utf8(read).unwrap()
    }

    fn asked(method: Method) -> Parts {
        let request = Request::builder().method(method).uri("/a?b").header("host", "a");
        request.body(()).unwrap().into_parts().0
    }

    #[tokio::test]
    async fn an_idle_connection_that_has_ended_is_seen_and_one_that_has_not_is_not() {
        let (mut io, mut instance) = pair().await;
        assert!(!io.has_ended(true) && !io.has_ended(false) && io.is_reusable());
        io.begin(&asked(Method::GET), None, RequestBody::Empty);
        let answer =
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        instance.write_all(answer.as_bytes()).await.unwrap();
        let mut headers = HeaderMap::new();
        let answer = poll_fn(|cx| io.poll_answer(cx, &mut headers)).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().len()), (200, 1));
        assert_eq!(head(&mut instance).await, "GET /a?b HTTP/1.1\r\nhost: a\r\n\r\n");
        assert!(!io.is_reusable());
        let frame = poll_fn(|cx| io.poll_frame(cx)).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "ok");
        assert!(io.is_end_stream() && io.is_reusable() && !io.has_ended(true) && !io.has_ended(false));
        drop(instance);
        while !io.has_ended(false) {
            tokio::task::yield_now().await;
        }
        assert!(io.has_ended(true));
    }

    #[tokio::test]
    async fn an_answer_may_come_before_the_request_has_left() {
        let (mut io, mut instance) = pair().await;
        let part = Bytes::from(vec![b'x'; 1024 * 1024]);
        let body = RequestBody::whole([part.clone(), part.clone(), part.clone(), part].into());
        io.begin(&asked(Method::POST), None, body);
        let peer = tokio::spawn(async move {
            let asked = head(&mut instance).await;
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
            instance.write_all(answer.as_bytes()).await.unwrap();
            let mut body = vec![0; 4 * 1024 * 1024];
            instance.read_exact(&mut body).await.unwrap();
            instance.write_all(b"0\r\n\r\n").await.unwrap();
            (asked, body.iter().all(|byte| *byte == b'x'), instance)
        });
        let mut headers = HeaderMap::new();
        let answer = poll_fn(|cx| io.poll_answer(cx, &mut headers)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let frame = poll_fn(|cx| io.poll_frame(cx)).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "ok");
        assert!(!io.is_reusable(), "there is more to send");
        assert!(poll_fn(|cx| io.poll_frame(cx)).await.is_none());
        let (asked, whole, _instance) = peer.await.unwrap();
        assert!(asked.contains("content-length: 4194304\r\n"), "{asked}");
        assert!(whole && io.is_reusable());
    }
}
