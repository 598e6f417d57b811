//! What a service says about itself on its admin port. Never reachable through the gateway.

use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::{
    Health, Metrics, Service,
    health::Readiness,
    http::not_found,
    metrics::OPENMETRICS_TEXT,
    openapi::{Api, Operation},
};

#[derive(Clone)]
struct Admin {
    health: Health,
    metrics: Metrics,
}

/// `/livez`, `/readyz` and `/metrics`.
pub(crate) fn router(service: &Service) -> Router {
    let admin = Admin { health: service.health.clone(), metrics: service.metrics.clone() };
    routes().into_router().with_state(admin).fallback(not_found)
}

/// What every service's admin port answers.
pub fn operations() -> Vec<Operation> {
    routes().into_operations()
}

fn routes() -> Api<Admin> {
    let live = Operation::get("/livez", "isAlive", "Tell whether the process answers")
        .description("Says nothing of dependencies: a restart does not bring a database back.")
        .answers_as::<String>(200, "text/plain; charset=utf-8", "It does", json!("ok"));
    let ready = Operation::get("/readyz", "isReady", "Tell whether requests should be sent here")
        .answers::<Readiness>(200, "They should", readiness(true))
        .answers::<Readiness>(503, "A dependency is down, or the service stops", readiness(false));
    let metrics = Operation::get("/metrics", "getMetrics", "Metrics, for Prometheus")
        .answers_as::<String>(
            200,
            OPENMETRICS_TEXT,
            "All that docs/metrics.md lists",
            json!("# HELP storefront_parked Events that wait for another attempt.\n# EOF\n"),
        );
    Api::default()
        .route(live, get(async || "ok"))
        .route(ready, get(readyz))
        .route(metrics, get(encoded))
}

/// An example.
fn readiness(up: bool) -> Value {
    let since = "2026-01-02T03:04:05Z";
    let kafka = if up {
        json!({"up": true, "since": since})
    } else {
        json!({"up": false, "reason": "no broker answers", "since": since})
    };
    json!({
        "ready": up,
        "state": if up { "ready" } else { "waiting" },
        "dependencies": {"database": {"up": true, "since": since}, "kafka": kafka},
    })
}

async fn readyz(State(Admin { health, .. }): State<Admin>) -> impl IntoResponse {
    let readiness = health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(readiness))
}

async fn encoded(State(Admin { metrics, .. }): State<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPENMETRICS_TEXT)], metrics.encode())
}
