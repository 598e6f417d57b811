//! What a service says about itself on its admin port. Never reachable through the gateway.

use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header};

use crate::{Health, Metrics, Service, http::not_found, metrics::OPENMETRICS_TEXT};

/// `/livez`, `/readyz` and `/metrics`.
pub(crate) fn router(service: &Service) -> Router {
    Router::new()
        // Alive means that the process answers. It says nothing of dependencies: restarting a pod
        // does not bring its database back.
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(readyz).with_state(service.health.clone()))
        .route("/metrics", get(metrics).with_state(service.metrics.clone()))
        .fallback(not_found)
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let readiness = health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(readiness))
}

async fn metrics(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPENMETRICS_TEXT)], metrics.encode())
}
