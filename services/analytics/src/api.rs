//! `GET /analytics`, on the service's own port: the gateway never routes to it.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use jiff::Timestamp;
use storefront_runtime::{Database, Problem, http::Json};

use crate::report::{Report, report};

/// The service's routes.
pub fn router(database: Database) -> Router {
    Router::new().route("/analytics", get(show)).with_state(database)
}

async fn show(State(database): State<Database>) -> Result<Json<Report>, Problem> {
    report(&database, Timestamp::now()).await.map(Json).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, cause, "the aggregates could not be read");
        Problem::of(StatusCode::SERVICE_UNAVAILABLE)
            .detail("the aggregates cannot be read at the moment")
    })
}
