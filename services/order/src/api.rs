//! `GET /orders/{orderId}`. Reads only.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use storefront_contract::CartLine;
use storefront_runtime::{Database, DatabaseError, Problem, Row, http::Json};
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
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    order_id: String,
    user_id: String,
    cart: Vec<CartLine>,
    amount: i64,
    currency: String,
    session_id: String,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
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
    Router::new().route("/orders/{order_id}", get(show)).with_state(Orders { database, mails })
}

async fn show(
    State(orders): State<Orders>,
    Path(order_id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let parsed = Some(&order_id).filter(|id| id.len() == UUID_LENGTH);
    let Some(id) = parsed.and_then(|id| Uuid::try_parse(id).ok()) else {
        return Err(no_order("an order's id is a UUID, such as the one in the mail"));
    };
    match load(&orders.database, id).await {
        Ok(Some(mut order)) => {
            order.mail = Some(orders.mails.of_order(id).await);
            Ok(Json(order))
        }
        Ok(None) => Err(no_order(format!("there is no order {id}, or not yet"))),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(order.id = %id, %error, cause, "an order could not be shown");
            Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE)
                .detail("orders cannot be read at the moment")
                .retry_after_s(1))
        }
    }
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
