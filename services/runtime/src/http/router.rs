//! An axum router as a handler of the server.

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::{
    Server,
    server::{Connection, Handle},
};
use crate::Shutdown;

struct Routed(Router);

impl Handle for Routed {
    type Body = Body;

    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = Response<Body>> + Send + 'static {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(connection.peer));
        request.extensions_mut().insert(connection.exchange.clone());
        let answer = self.0.clone().oneshot(request);
        async { answer.await.unwrap_or_else(|never| match never {}) }
    }
}

impl Server {
    /// [`Server::serve`] with a router, which [`super::finish`] should have wrapped.
    pub async fn serve_router(
        &self,
        listener: TcpListener,
        router: Router,
        draining: &Shutdown,
        stop_limit: Duration,
    ) -> io::Result<()> {
        self.serve(listener, Arc::new(Routed(router)), draining, stop_limit).await
    }
}
