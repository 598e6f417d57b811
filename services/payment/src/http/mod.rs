//! Payment's doors: what comes in is read, what goes out is written. Decides nothing.

mod api;
mod audit;
mod create;
pub mod form;
pub mod problems;
mod verify;
mod webhook;

use std::sync::Arc;

pub use audit::{operations as audit_operations, router as audit_router};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::header;
use storefront_runtime::openapi::{Api, Operation};

use crate::app::App;

/// Largest body of `POST /payment`: a hundred lines with the longest ids fill a quarter of it.
const REQUEST_MAX_BYTES: usize = 64 * 1024;
/// Largest webhook: Stripe's events have some ten kilobytes, with long metadata some more.
const WEBHOOK_MAX_BYTES: usize = 1024 * 1024;

/// The routes, for [`storefront_runtime::Service::serve`].
pub fn router(app: Arc<App>) -> Router {
    routes().into_router().with_state(app)
}

/// What the routes take and answer.
pub fn operations() -> Vec<Operation> {
    routes().into_operations()
}

fn routes() -> Api<Arc<App>> {
    Api::default()
        .route(api::catalog(), get(catalog))
        .route(api::create(), post(create::create).layer(DefaultBodyLimit::max(REQUEST_MAX_BYTES)))
        .route(api::verify(), get(verify::verify))
        .route(
            api::webhook(),
            post(webhook::webhook).layer(DefaultBodyLimit::max(WEBHOOK_MAX_BYTES)),
        )
}

/// `GET /catalog`: `{currency, products: [{id, name, price, image?}]}`, as in the file.
async fn catalog(State(app): State<Arc<App>>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, app.catalog.current().answer()).into_response()
}
