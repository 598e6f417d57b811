//! Accepts connections, serves HTTP/1 on each, and ends them in order. Decides nothing about what
//! is answered.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{Either, ready},
};
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    Exchange, Limits, Refusal, ending::Ending, exchange::Busy, guard::Guard, joined::Joined,
};
use crate::{
    Shutdown,
    metrics::{HttpMetrics, ReasonLabels},
};

/// Pause after a failed accept: the usual cause, no free file descriptor, does not go in a moment.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Most bytes that a connection buffers, in each direction. The largest head must fit.
const BUFFER_MAX_BYTES: usize = 64 * 1024;

/// What answers requests.
pub trait Handle: Send + Sync + 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + From<String>
        + Send
        + Unpin
        + 'static;

    /// Answers one request. Dropped when the client goes away.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static;
}

/// The connection that a request came on.
#[derive(Debug)]
pub struct Connection {
    pub peer: SocketAddr,
    /// The peer's address as a header's value, made once for all requests of the connection.
    pub peer_value: HeaderValue,
    pub exchange: Exchange,
}

impl Connection {
    fn new(peer: SocketAddr, exchange: Exchange) -> Self {
        let address = peer.ip().to_canonical();
        let unknown = HeaderValue::from_static("unknown");
        let peer_value = HeaderValue::try_from(address.to_string()).unwrap_or(unknown);
        Self { peer, peer_value, exchange }
    }
}

/// An HTTP/1 server.
#[derive(Clone, Debug)]
pub struct Server {
    limits: Limits,
    metrics: HttpMetrics,
}

impl Server {
    pub fn new(limits: Limits, metrics: HttpMetrics) -> Self {
        Self { limits, metrics }
    }

    /// Serves until `draining` is cancelled; then accepts no more, lets requests in flight end with
    /// `Connection: close`, and cuts off what is left after `stop_limit`.
    pub async fn serve<H: Handle>(
        &self,
        listener: TcpListener,
        handler: Arc<H>,
        draining: &Shutdown,
        stop_limit: Duration,
    ) -> io::Result<()> {
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let (connections, ending) = (TaskTracker::new(), Ending::default());
        loop {
            let accepted = tokio::select! {
                () = draining.cancelled() => break,
                accepted = accept(&listener, &places) => accepted,
            };
            let (socket, peer, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            let work = self.connection(socket, peer, handler.clone(), ending.clone());
            let open = self.metrics.connections.clone();
            let connection = async move {
                open.inc();
                work.await;
                open.dec();
                drop(place);
            };
            connections.spawn(connection.in_current_span());
        }
        drop(listener);
        ending.drain();
        connections.close();
        if tokio::time::timeout(stop_limit, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections are cut off");
            ending.cut_off();
            connections.wait().await;
        }
        Ok(())
    }

    fn connection<H: Handle>(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        handler: Arc<H>,
        ending: Ending,
    ) -> impl Future<Output = ()> + Send + 'static {
        let exchange = Exchange::default();
        let io = TokioIo::new(Guard::new(Joined(socket), self.limits, exchange.clone()));
        let connection = Arc::new(Connection::new(peer, exchange));
        let refused = self.metrics.refused.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let busy = connection.exchange.begin();
            // No async block: it would hold the handler's future twice.
            let answer = match connection.exchange.refusal() {
                None => Either::Left(handler.clone().handle(request, connection.clone())),
                Some(refusal) => {
                    let reason = refusal.reason();
                    refused.get_or_create(&ReasonLabels { reason }).inc();
                    tracing::debug!(reason, "a request was refused");
                    Either::Right(ready(refusal.problem().into_response_of()))
                }
            };
            answer.map(|response| {
                Ok::<_, Infallible>(response.map(|body| Tracked { body, _busy: busy }))
            })
        });
        async move {
            let connection = http1::Builder::new()
                .header_read_timeout(None)
                .max_buf_size(BUFFER_MAX_BYTES)
                .serve_connection(io, service);
            let result = ending.run(connection, http1::Connection::graceful_shutdown).await;
            if let Some(Err(error)) = result {
                tracing::debug!(error = &error as &dyn Error, "a connection ended early");
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (socket, peer) = listener.accept().await?;
    // Answers are written in one go; waiting to fill a segment only adds latency.
    socket.set_nodelay(true)?;
    Ok((socket, peer, place))
}

/// An answer's body, which ends the exchange when it ends.
struct Tracked<B> {
    body: B,
    _busy: Busy,
}

impl<B: Body + Unpin> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The refusal that made reading a body fail, if it was one.
pub fn refusal_of(error: &(dyn Error + 'static)) -> Option<Refusal> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return Some(*refusal);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}
