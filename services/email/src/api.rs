//! `GET /mails/{orderId}`, for other services: what became of an order's mails. Never shows an address.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use storefront_contract::{Template, examples};
use storefront_runtime::{
    Database, DatabaseError, Problem, Row,
    http::Json,
    openapi::{Api, Operation},
};
use uuid::Uuid;

/// The mails of one order, the oldest first; none as long as none is planned.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OrderMails")]
struct Mails {
    order_id: Uuid,
    mails: Vec<Mail>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Mail {
    #[schemars(with = "Template")]
    template: String,
    #[schemars(extend("enum" = ["queued", "sending", "sent", "unknown", "failed"]))]
    state: String,
    /// Without angle brackets.
    message_id: String,
    attempts: i64,
    /// A fixed word, of a mail that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    reason: Option<String>,
    /// When it came to this state.
    #[schemars(with = "String", extend("format" = "date-time"))]
    since: Timestamp,
}

/// The service's routes.
pub fn router(database: Database) -> Router {
    routes().into_router().with_state(database)
}

/// What the routes take and answer.
pub fn operations() -> Vec<Operation> {
    routes().into_operations()
}

fn routes() -> Api<Database> {
    let mail = json!({
        "template": "payment-receipt",
        "state": "sent",
        "messageId": examples::MESSAGE_ID,
        "attempts": 1,
        "since": examples::CREATED_AT,
    });
    let operation = Operation::get("/mails/{orderId}", "listMails", "Tell what became of mails")
        .description("Never shows an address. An order without mails has none, or is none.")
        .parameter(json!({
            "name": "orderId",
            "in": "path",
            "required": true,
            "schema": {"type": "string", "format": "uuid"},
            "example": examples::ORDER_ID,
        }))
        .answers::<Mails>(
            200,
            "The mails of the order, the oldest first",
            json!({"orderId": examples::ORDER_ID, "mails": [mail]}),
        )
        .problems([
            Problem::of(StatusCode::BAD_REQUEST).detail("Invalid URL: no UUID"),
            unreadable(),
        ]);
    Api::default().route(operation, get(show))
}

async fn show(
    State(database): State<Database>,
    Path(order_id): Path<Uuid>,
) -> Result<Json<Mails>, Problem> {
    match load(&database, order_id).await {
        Ok(mails) => Ok(Json(Mails { order_id, mails })),
        Err(error) => {
            tracing::error!(order.id = %order_id, %error, "mails could not be read");
            Err(unreadable())
        }
    }
}

fn unreadable() -> Problem {
    Problem::of(StatusCode::SERVICE_UNAVAILABLE)
        .detail("mails cannot be read at the moment")
        .retry_after_s(1)
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
