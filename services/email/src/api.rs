//! `GET /mails/{orderId}`, for other services: what became of an order's mails. Never shows an address.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use jiff::Timestamp;
use serde::Serialize;
use storefront_runtime::{Database, DatabaseError, Problem, Row, http::Json};
use uuid::Uuid;

/// The mails of one order, the oldest first; none when none is planned.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Mails {
    order_id: Uuid,
    mails: Vec<Mail>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    template: String,
    /// `queued`, `sending`, `sent`, `unknown` or `failed`.
    state: String,
    /// Without angle brackets.
    message_id: String,
    attempts: i64,
    /// A fixed word, of a mail that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When it came to this state.
    since: Timestamp,
}

/// The service's routes.
pub fn router(database: Database) -> Router {
    Router::new().route("/mails/{order_id}", get(show)).with_state(database)
}

async fn show(
    State(database): State<Database>,
    Path(order_id): Path<Uuid>,
) -> Result<Json<Mails>, Problem> {
    match load(&database, order_id).await {
        Ok(mails) => Ok(Json(Mails { order_id, mails })),
        Err(error) => {
            tracing::error!(order.id = %order_id, %error, "mails could not be read");
            Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE)
                .detail("mails cannot be read at the moment")
                .retry_after_s(1))
        }
    }
}

async fn load(database: &Database, order_id: Uuid) -> Result<Vec<Mail>, DatabaseError> {
    let rows = database
        .query(
            "SELECT template, state, message_id, attempts, reason, changed_at FROM mails \
             WHERE order_id = $1 ORDER BY created_at, template LIMIT 10",
            &[order_id.into()],
        )
        .await?;
    rows.iter().map(mail).collect()
}

fn mail(row: &Row) -> Result<Mail, DatabaseError> {
    Ok(Mail {
        template: row.text("template")?,
        state: row.text("state")?,
        message_id: row.text("message_id")?,
        attempts: row.int("attempts")?,
        reason: row.opt_text("reason")?,
        since: Timestamp::from_millisecond(row.int("changed_at")?).unwrap_or_default(),
    })
}
