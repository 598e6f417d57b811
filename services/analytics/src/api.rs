//! `GET /analytics`, on the service's own port: the gateway never routes to it.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use jiff::Timestamp;
use serde_json::json;
use storefront_contract::examples;
use storefront_runtime::{
    Database, Problem,
    http::Json,
    openapi::{Api, Operation},
};

use crate::report::{Report, report};

/// The service's routes.
pub fn router(database: Database) -> Router {
    routes().into_router().with_state(database)
}

/// What the routes take and answer.
pub fn operations() -> Vec<Operation> {
    routes().into_operations()
}

fn routes() -> Api<Database> {
    let hour = json!({
        "start": "2026-01-02T03:00:00Z", "currency": "INR",
        "payments": 1, "revenue": examples::AMOUNT, "orders": 1,
    });
    let minute = json!({
        "start": "2026-01-02T03:04:00Z", "currency": "INR",
        "payments": 1, "revenue": examples::AMOUNT, "orders": 1,
    });
    let report = json!({
        "payments": 1,
        "orders": 1,
        "revenue": {"INR": examples::AMOUNT},
        "byMinute": [minute],
        "byHour": [hour],
        "mails": {"sent": 1, "byTemplate": {"payment-receipt": 1}, "awaited": 0},
        "paymentToMail": {
            "count": 1, "averageMs": 840, "p50Ms": 840, "p95Ms": 840, "longestMs": 840,
        },
    });
    let operation = Operation::get("/analytics", "getReport", "Report payments, orders and mails")
        .description("Sums are exact: each event is added in the transaction that takes it.")
        .answers::<Report>(200, "Everything that is known", report)
        .problems([unreadable()]);
    Api::default().route(operation, get(show))
}

async fn show(State(database): State<Database>) -> Result<Json<Report>, Problem> {
    report(&database, Timestamp::now()).await.map(Json).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, cause, "the aggregates could not be read");
        unreadable()
    })
}

fn unreadable() -> Problem {
    Problem::of(StatusCode::SERVICE_UNAVAILABLE)
        .detail("the aggregates cannot be read at the moment")
}
