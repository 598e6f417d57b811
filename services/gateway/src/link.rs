//! One connection to a service. It has no task of its own: whoever waits for its answer drives it,
//! which saves two switches between tasks for each request, and closes it when dropped.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use storefront_runtime::http::{Exchange, Joined, LazyTimer};
use tokio::{net::TcpStream, time::Instant};

use crate::{body::RequestBody, upstream::Place};

/// Most bytes buffered in each direction. The largest head of an answer must fit.
const BUFFER_MAX_BYTES: usize = 64 * 1024;

/// An open connection. Boxed, as it goes from the request's future to the answer's body and to those kept.
pub struct Link(Box<Parts>);

struct Parts {
    sender: SendRequest<RequestBody>,
    driver: Connection<TokioIo<Joined<TcpStream>>, RequestBody>,
    /// The driver has ended and must not be polled again.
    ended: bool,
    timer: LazyTimer,
    place: Place,
}

/// Why a service gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The connection ended before anything of the request was sent.
    #[error("the connection was closed before the request was sent")]
    Unsent(Box<Request<RequestBody>>),
    /// The connection ended without a byte of an answer.
    #[error("the connection was closed without an answer")]
    Closed(#[source] hyper::Error),
    /// The same, and the connection ended in good order.
    #[error("the connection ended without an answer")]
    Ended,
    #[error("the answer is no HTTP")]
    Malformed(#[source] hyper::Error),
    #[error("the answer switches to a protocol that nobody asked for")]
    Switched,
    /// The client's part failed: its body broke a rule, or it went away.
    #[error("the request's body did not come whole")]
    RequestBody(#[source] hyper::Error),
    #[error("no answer came in time")]
    Timeout,
}

impl SendError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unsent(_) | Self::Closed(_) | Self::Ended => "Closed",
            Self::Malformed(_) => "Malformed",
            Self::Switched => "Switched",
            Self::RequestBody(_) => "RequestBody",
            Self::Timeout => "AnswerTimeout",
        }
    }
}

impl Link {
    pub(crate) async fn new(socket: TcpStream, place: Place) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(BUFFER_MAX_BYTES)
            .handshake(TokioIo::new(Joined(socket)))
            .await?;
        let timer = LazyTimer::default();
        Ok(Self(Box::new(Parts { sender, driver, ended: false, timer, place })))
    }

    /// Whether another request can be sent. Leaves nobody to be woken.
    pub fn is_open(&mut self) -> bool {
        let nobody = &mut Context::from_waker(Waker::noop());
        self.drive(nobody).is_pending() && self.0.sender.is_ready()
    }

    /// Reads and writes what can be. Ready once the connection has ended, with why if it failed.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Error>> {
        if self.0.ended {
            return Poll::Ready(None);
        }
        let ended = Pin::new(&mut self.0.driver).poll(cx).map(Result::err);
        self.0.ended = ended.is_ready();
        ended
    }

    /// Sends a request and waits for the head of its answer, at most `limit` from the moment when
    /// the client has sent all of it. Dropping the future closes the connection.
    pub async fn send(
        mut self,
        request: Box<Request<RequestBody>>,
        exchange: &Exchange,
        limit: Duration,
    ) -> Result<Response<Answer>, SendError> {
        let mut response = pin!(self.0.sender.try_send_request(*request));
        let mut since = None;
        let result = poll_fn(|cx| {
            let ended = self.drive(cx);
            // Nothing but driving makes the response come, so nobody needs to be woken for it.
            let nobody = &mut Context::from_waker(Waker::noop());
            if let Poll::Ready(response) = response.as_mut().poll(nobody) {
                return Poll::Ready(response.map_err(|mut error| match error.take_message() {
                    Some(request) => SendError::Unsent(Box::new(request)),
                    None => classify(error.into_error()),
                }));
            }
            if let Poll::Ready(error) = ended {
                return Poll::Ready(Err(error.map_or(SendError::Ended, classify)));
            }
            // While the client has not sent all, its own time limit counts.
            loop {
                let since = since.get_or_insert_with(Instant::now);
                ready!(self.0.timer.poll(cx, *since + limit));
                if !exchange.is_receiving() {
                    return Poll::Ready(Err(SendError::Timeout));
                }
                *since = Instant::now();
            }
        })
        .await;
        let response = result?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(SendError::Switched);
        }
        Ok(response.map(|body| Answer::new(body, self, limit)))
    }
}

fn classify(error: hyper::Error) -> SendError {
    if error.is_user() {
        SendError::RequestBody(error)
    } else if error.is_parse() || error.is_parse_too_large() {
        SendError::Malformed(error)
    } else {
        SendError::Closed(error)
    }
}

/// The body of an answer. It drives its connection, and gives it back when all was read.
pub struct Answer {
    body: Incoming,
    link: Option<Link>,
    limit: Duration,
    since: Option<Instant>,
}

/// Why the body of an answer ended early.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("the service closed the connection in the middle of its answer")]
    Broken(#[source] hyper::Error),
    #[error("the service closed the connection in the middle of its answer")]
    Ended,
    #[error("the service stopped in the middle of its answer")]
    Timeout,
}

impl AnswerError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Broken(_) | Self::Ended => "AnswerBroken",
            Self::Timeout => "AnswerStopped",
        }
    }
}

impl Answer {
    fn new(body: Incoming, link: Link, limit: Duration) -> Self {
        let mut answer = Self { body, link: Some(link), limit, since: None };
        // A short answer has come whole with its head: the next request may have the connection.
        answer.give_back();
        answer
    }

    /// Drives the connection, and lets go of it when it has ended: what it read is in `body`.
    fn drive(&mut self, cx: &mut Context<'_>) -> Option<hyper::Error> {
        let ended = self.link.as_mut()?.drive(cx);
        if ended.is_ready() {
            self.link = None;
        }
        match ended {
            Poll::Ready(error) => error,
            Poll::Pending => None,
        }
    }

    fn fail(&mut self, error: AnswerError) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        self.link = None;
        Poll::Ready(Some(Err(error)))
    }

    fn give_back(&mut self) {
        if self.link.as_ref().is_some_and(|link| link.0.sender.is_ready())
            && let Some(mut link) = self.link.take()
            && link.is_open()
        {
            let upstream = link.0.place.upstream().clone();
            upstream.keep(link);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = &mut *self;
        let nobody = &mut Context::from_waker(Waker::noop());
        // Each turn ends, or skips the one frame of trailers that a body may have.
        loop {
            let broken = this.drive(cx);
            match Pin::new(&mut this.body).poll_frame(nobody) {
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    this.since = None;
                    if this.body.is_end_stream() {
                        // hyper will not ask again.
                        this.give_back();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                // Trailers are dropped: no service here sends any that matter.
                Poll::Ready(Some(Ok(_))) => (),
                Poll::Ready(Some(Err(error))) => return this.fail(AnswerError::Broken(error)),
                Poll::Ready(None) => {
                    this.give_back();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let Some(link) = &mut this.link else {
                        return this.fail(broken.map_or(AnswerError::Ended, AnswerError::Broken));
                    };
                    let since = *this.since.get_or_insert_with(Instant::now);
                    ready!(link.0.timer.poll(cx, since + this.limit));
                    return this.fail(AnswerError::Timeout);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
