//! An axum router as a handler of the server.

use std::{future::Future, sync::Arc};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::{
    layers::name_methods,
    server::{Connection, Handle},
};

/// A router as a handler. [`super::finish`] should have wrapped it.
#[derive(Debug)]
pub struct Routed(pub Router);

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
        async {
            let response = answer.await.unwrap_or_else(|never| match never {});
            if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                return Box::pin(name_methods(response)).await;
            }
            response
        }
    }
}
