//! Stands between a socket and hyper. Whole heads pass only when they were checked, bodies only as
//! far as they are framed, and neither may take longer than it should.
//!
//! A head that is refused is replaced by a request of our own that asks for the refusal: so the
//! answer comes in its turn after pipelined ones, is a problem like any other, and closes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    Exchange, Limits, Refusal,
    chunked::Chunked,
    head::{self, Framing},
    timer::LazyTimer,
};

const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
const REFUSED_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// Read at a time while a head is not whole, and while a closed connection is drained.
const READ_BYTES: usize = 4096;
/// How long, and for how many bytes, a client that still sends is listened to after the answer, so
/// that the kernel does not reset the connection before the client has read it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_MAX_BYTES: usize = 4 << 20;

/// A checked connection.
pub(super) struct Guard<S> {
    socket: S,
    limits: Limits,
    exchange: Exchange,
    phase: Phase,
    /// Bytes that were read but not handed on: `ready` of them may be, then comes a partial head.
    held: BytesMut,
    ready: usize,
    clock: Clock,
    write_since: Option<Instant>,
    write_timer: LazyTimer,
    linger: Option<(Instant, usize)>,
}

/// What the next byte from the socket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    Length(u64),
    Chunked(Chunked),
    /// Nothing: the head was bad. The refusal is asked for when its turn has come.
    BadHead {
        refusal: Refusal,
        asked_head: bool,
    },
    /// Nothing: the body was bad.
    BadBody(Refusal),
    Refused,
}

/// Since when something is waited for.
#[derive(Debug)]
struct Clock {
    since: Option<Instant>,
    /// No request was read yet.
    first: bool,
    /// Time waited for the current body, and how much of it came.
    body_waited: Duration,
    body_bytes: u64,
    timer: LazyTimer,
}

/// How far a look at new bytes got.
enum Walk {
    Whole,
    PartialHead,
    Refused,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    pub(super) fn new(socket: S, limits: Limits, exchange: Exchange) -> Self {
        Self {
            socket,
            limits,
            exchange,
            phase: Phase::Head,
            held: BytesMut::new(),
            ready: 0,
            clock: Clock {
                since: None,
                first: true,
                body_waited: Duration::ZERO,
                body_bytes: 0,
                timer: LazyTimer::default(),
            },
            write_since: None,
            write_timer: LazyTimer::default(),
            linger: None,
        }
    }

    /// How many of `bytes` may be handed on. Moves through as many requests as they hold.
    fn walk(&mut self, bytes: &[u8]) -> (usize, Walk) {
        let mut at = 0;
        while at < bytes.len() {
            let fresh = &bytes[at..];
            match &mut self.phase {
                Phase::Head => match head::check(fresh, &self.limits) {
                    Ok(Some(head)) => {
                        at += head.length;
                        self.clock.head_complete();
                        self.phase = match head.framing {
                            Framing::Length(0) => Phase::Head,
                            Framing::Length(length) => Phase::Length(length),
                            Framing::Chunked => Phase::Chunked(Chunked::new()),
                        };
                        self.exchange.set_receiving(self.phase != Phase::Head);
                    }
                    Ok(None) => return (at, Walk::PartialHead),
                    Err(refusal) => {
                        let asked_head = fresh.starts_with(b"HEAD ");
                        self.phase = Phase::BadHead { refusal, asked_head };
                        return (at, Walk::Refused);
                    }
                },
                Phase::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(fresh.len());
                    *left -= taken as u64;
                    at += taken;
                    self.clock.body_bytes += taken as u64;
                    if *left == 0 {
                        self.phase = Phase::Head;
                        self.exchange.set_receiving(false);
                    }
                }
                Phase::Chunked(body) => match body.advance(fresh, self.limits.body_max_bytes) {
                    Ok(taken) => {
                        at += taken;
                        self.clock.body_bytes += taken as u64;
                        if body.is_complete() {
                            self.phase = Phase::Head;
                            self.exchange.set_receiving(false);
                        }
                    }
                    Err(refusal) => {
                        self.phase = Phase::BadBody(refusal);
                        return (at, Walk::Refused);
                    }
                },
                Phase::BadHead { .. } | Phase::BadBody(_) => return (at, Walk::Refused),
                Phase::Refused => return (at, Walk::Whole),
            }
        }
        (at, Walk::Whole)
    }

    /// Reads into hyper's own buffer: the usual case, in which heads come whole, copies nothing.
    fn read_through(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if Pin::new(&mut self.socket).poll_read(cx, buf)?.is_pending() {
            return self.wait(cx);
        }
        let fresh = &buf.filled()[before..];
        if fresh.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.clock.bytes_came();
        let (good, walk) = self.walk(fresh);
        if let Walk::PartialHead = walk {
            self.held.extend_from_slice(&fresh[good..]);
            self.clock.since = Some(Instant::now());
        }
        buf.set_filled(before + good);
        Poll::Ready(Ok(()))
    }

    /// Reads on where a head is not whole. It must be, or be refused, within the head's time.
    fn read_held(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Pipelined behind a request that is being answered: it can wait, in bounded space.
        if self.held.len() >= READ_BYTES && self.exchange.poll_idle(cx).is_pending() {
            return Poll::Pending;
        }
        let mut space = [0; READ_BYTES];
        let mut read = ReadBuf::new(&mut space);
        if Pin::new(&mut self.socket).poll_read(cx, &mut read)?.is_pending() {
            return self.wait(cx);
        }
        if read.filled().is_empty() {
            self.held.clear();
            return Poll::Ready(Ok(()));
        }
        self.held.extend_from_slice(read.filled());
        // Looked at again only when it may be whole, so that a head that comes byte by byte does
        // not cost its length squared.
        let from = self.held.len().saturating_sub(read.filled().len() + 3);
        let may_be_whole =
            self.held[from..].windows(2).any(|pair| pair == b"\n\r" || pair == b"\n\n");
        if may_be_whole || self.held.len() > self.limits.target_max_bytes {
            let held = std::mem::take(&mut self.held);
            let (good, walk) = self.walk(&held);
            self.held = held;
            self.ready = good;
            if let Walk::Refused = walk {
                self.held.truncate(good);
            }
        }
        self.hand_on(buf);
        Poll::Ready(Ok(()))
    }

    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.ready.min(buf.remaining());
        buf.put_slice(&self.held[..count]);
        self.held.advance(count);
        self.ready -= count;
        if self.held.is_empty() {
            // An idle connection keeps no buffer.
            self.held = BytesMut::new();
        }
    }

    /// The socket has nothing: waits for it as long as the phase allows.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let in_head = matches!(self.phase, Phase::Head);
        let partial = !self.held.is_empty();
        let limit = match (in_head, partial || self.clock.first) {
            (true, true) => self.limits.head_timeout,
            (true, false) => self.limits.idle_timeout,
            (false, _) => self.clock.body_limit(&self.limits),
        };
        loop {
            let since = *self.clock.since.get_or_insert_with(Instant::now);
            ready!(self.clock.timer.poll(cx, since + limit));
            if !(in_head && self.exchange.is_busy()) {
                break;
            }
            // The answer takes its time; hyper only watches for the client to go away.
            self.clock.since = Some(Instant::now());
        }
        match (in_head, partial) {
            (true, false) => Poll::Ready(Ok(())), // idle: closed without a word
            (true, true) => {
                let asked_head = self.held.starts_with(b"HEAD ");
                self.held.clear();
                self.phase = Phase::BadHead { refusal: Refusal::HeadTimeout, asked_head };
                self.refused_head();
                Poll::Ready(Ok(()))
            }
            (false, _) => {
                self.phase = Phase::BadBody(Refusal::BodyTimeout);
                Poll::Ready(Err(self.refused_body(Refusal::BodyTimeout)))
            }
        }
    }

    fn refused_head(&mut self) {
        if let Phase::BadHead { refusal, asked_head } = self.phase {
            self.exchange.refuse(refusal);
            self.held.extend_from_slice(if asked_head { REFUSED_HEAD } else { REFUSED });
            self.ready = self.held.len();
            self.phase = Phase::Refused;
        }
    }

    fn refused_body(&self, refusal: Refusal) -> io::Error {
        self.exchange.refuse(refusal);
        io::Error::new(io::ErrorKind::InvalidData, refusal)
    }
}

impl Clock {
    fn head_complete(&mut self) {
        (self.since, self.first) = (None, false);
        (self.body_waited, self.body_bytes) = (Duration::ZERO, 0);
    }

    fn bytes_came(&mut self) {
        if let Some(since) = self.since.take() {
            self.body_waited += since.elapsed();
        }
    }

    /// How long to wait for the next bytes of a body: a stand-still is limited, and so is the whole
    /// time waited beyond what the bytes that came are worth. An upstream that reads slowly costs
    /// the client nothing, since then nobody waits for it.
    fn body_limit(&self, limits: &Limits) -> Duration {
        let earned = Duration::from_secs(self.body_bytes / limits.body_min_bytes_per_s.max(1));
        let left = (limits.body_timeout + earned).saturating_sub(self.body_waited);
        left.min(limits.body_timeout)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        // Each turn hands bytes on, waits, ends, or leaves a partial head that is longer than
        // before; its length is limited.
        loop {
            if this.ready > 0 {
                this.hand_on(buf);
                return Poll::Ready(Ok(()));
            }
            match this.phase {
                // Not while another request is answered: it would take the refusal for its own.
                Phase::BadHead { .. } => {
                    ready!(this.exchange.poll_idle(cx));
                    this.held.clear();
                    this.refused_head();
                    continue;
                }
                Phase::BadBody(refusal) => return Poll::Ready(Err(this.refused_body(refusal))),
                Phase::Refused => return Poll::Pending,
                Phase::Head | Phase::Length(_) | Phase::Chunked(_) => (),
            }
            let held = this.held.len();
            if held == 0 {
                ready!(this.read_through(cx, buf))?;
            } else {
                ready!(this.read_held(cx, buf))?;
            }
            let goes_on = this.held.len() > held || this.ready > 0 || this.bad();
            if buf.filled().len() > before || !goes_on {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S> Guard<S> {
    fn bad(&self) -> bool {
        matches!(self.phase, Phase::BadHead { .. } | Phase::BadBody(_))
    }

    /// Whether the client may still be sending what nobody will read.
    fn is_unread(&self) -> bool {
        !matches!(self.phase, Phase::Head) || !self.held.is_empty()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write_since = None;
            if self.held.is_empty() && matches!(self.phase, Phase::Head) {
                // Idle begins at the earliest now.
                self.clock.since = Some(Instant::now());
            }
            return result;
        }
        let since = *self.write_since.get_or_insert_with(Instant::now);
        ready!(self.write_timer.poll(cx, since + self.limits.write_timeout));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
    }

    /// Reads on for a moment what nobody wants, until the client has seen the answer and closes.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (until, mut bytes) = *self.linger.get_or_insert((Instant::now() + LINGER, 0));
        let mut space = [0; READ_BYTES];
        while bytes < LINGER_MAX_BYTES {
            let mut read = ReadBuf::new(&mut space);
            match Pin::new(&mut self.socket).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => bytes += read.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    self.linger = Some((until, bytes));
                    ready!(self.clock.timer.poll(cx, until));
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
        }
        if self.is_unread() { self.drain(cx) } else { Poll::Ready(Ok(())) }
    }
}
