//! `GET /orders/{orderId}`. Reads only.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use http::StatusCode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use storefront_contract::{CartLine, Currency, Topic, examples};
use storefront_runtime::{
    Database, DatabaseError, Problem, Row,
    http::Json,
    openapi::{Api, Operation},
};
use uuid::Uuid;

use crate::mail::{MailAnswer, MailClient};

/// Length of a UUID with its dashes: the one form that is taken.
const UUID_LENGTH: usize = 36;

#[derive(Clone)]
struct Orders {
    database: Database,
    mails: Arc<MailClient>,
}

/// An order as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Order")]
struct Shown {
    #[schemars(with = "Uuid")]
    order_id: String,
    user_id: String,
    cart: Vec<CartLine>,
    /// In minor units.
    amount: i64,
    #[schemars(with = "Currency")]
    currency: String,
    session_id: String,
    #[schemars(with = "String", extend("format" = "date-time"))]
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MailAnswer")]
    mail: Option<MailAnswer>,
}

/// Why a stored order cannot be shown.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("orders cannot be read")]
    Database(#[from] DatabaseError),
    #[error("a stored cart cannot be read")]
    Cart(#[from] serde_json::Error),
    #[error("a stored time cannot be read")]
    Time(#[from] jiff::Error),
}

/// The service's routes.
pub fn router(database: Database, mails: Arc<MailClient>) -> Router {
    routes().into_router().with_state(Orders { database, mails })
}

/// What the routes take and answer.
pub fn operations() -> Vec<Operation> {
    routes().into_operations()
}

fn routes() -> Api<Orders> {
    let mut order = examples::value(Topic::OrderSuccessful);
    order["mail"] = json!({"state": "sent", "messageId": examples::MESSAGE_ID});
    let operation = Operation::get("/orders/{orderId}", "getOrder", "Show an order")
        .description(
            "The order with the state of its mail, of which email is asked: `unknown` while email \
             cannot answer. The id is as unguessable as the session; it is 404 until the order is \
             stored, some moments after the payment.",
        )
        .parameter(json!({
            "name": "orderId",
            "in": "path",
            "required": true,
            "schema": {"type": "string", "format": "uuid"},
            "example": examples::ORDER_ID,
        }))
        .answers::<Shown>(200, "The order", order)
        .problems([
            no_order(
                "there is no such order, or not yet; look again some moments after the payment",
            ),
            unreadable(),
        ]);
    Api::default().route(operation, get(show))
}

async fn show(
    State(orders): State<Orders>,
    Path(order_id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let parsed = Some(&order_id).filter(|id| id.len() == UUID_LENGTH);
    let Some(id) = parsed.and_then(|id| Uuid::try_parse(id).ok()) else {
        return Err(no_order(
            "an order's id is a UUID; look it up in the mail, or ask /payment/verify",
        ));
    };
    match load(&orders.database, id).await {
        Ok(Some(mut order)) => {
            order.mail = Some(orders.mails.of_order(id).await);
            Ok(Json(order))
        }
        Ok(None) => Err(no_order(format!(
            "there is no order {id}, or not yet; look again some moments after the payment"
        ))),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(order.id = %id, %error, cause, "an order could not be shown");
            Err(unreadable())
        }
    }
}

fn unreadable() -> Problem {
    Problem::of(StatusCode::SERVICE_UNAVAILABLE)
        .detail("orders cannot be read at the moment")
        .retry_after_s(1)
}

fn no_order(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "Order not found").detail(detail)
}

async fn load(database: &Database, order_id: Uuid) -> Result<Option<Shown>, LoadError> {
    let rows = database
        .query(
            "SELECT order_id, session_id, user_id, cart, amount, currency, created_at \
             FROM orders WHERE order_id = $1",
            &[order_id.into()],
        )
        .await?;
    rows.first().map(order).transpose()
}

fn order(row: &Row) -> Result<Shown, LoadError> {
    Ok(Shown {
        order_id: row.text("order_id")?,
        user_id: row.text("user_id")?,
        cart: serde_json::from_str(&row.text("cart")?)?,
        amount: row.int("amount")?,
        currency: row.text("currency")?,
        session_id: row.text("session_id")?,
        created_at: Timestamp::from_millisecond(row.int("created_at")?)?,
        mail: None,
    })
}
