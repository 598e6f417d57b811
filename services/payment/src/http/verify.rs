//! `GET /payment/verify?session_id=…`: what the success page asks. The session's id is the key to it:
//! it is unguessable, and only the shopper's browser has it.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use storefront_contract::{CartLine, Currency, ServiceId, Shop, ids::order_id};
use storefront_runtime::{
    Problem,
    failpoint::{self, Step},
    http::Json,
};
use url::form_urlencoded;
use uuid::Uuid;

use super::problems;
use crate::{
    app::App,
    fulfil::{Asker, Found},
    session_id::SessionId,
    store::Payment,
};

/// What the page shows.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PaymentStatus")]
pub(super) struct Answer<'a> {
    #[schemars(extend("enum" = ["open", "processing", "paid", "failed", "expired"]))]
    status: &'static str,
    /// The order that the payment becomes, or has become.
    order_id: Uuid,
    user_id: &'a str,
    cart: &'a [CartLine],
    /// In minor units.
    amount: i64,
    currency: Currency,
    /// Where to go on paying, while that is possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "&str", extend("format" = "uri"))]
    url: Option<&'a str>,
}

pub(super) async fn verify(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = session_id(query.as_deref().unwrap_or_default())?;
    // A session of the other half of the account cannot be ours.
    let mode = app.stripe.mode().map_err(|error| problems::key(&error))?;
    if id.mode() != mode {
        return Err(not_ours());
    }
    let known = app.payments.by_session(&id).await.map_err(|error| problems::store(&error))?;
    if let Some(payment) = known.filter(|payment| payment.state.is_final()) {
        return Ok(answer(&app.shop, &id, &payment));
    }
    match app.fulfil(&id, Asker::Verify).await {
        Ok(Found::Ours(payment) | Found::Known(payment)) => Ok(answer(&app.shop, &id, &payment)),
        Ok(Found::Foreign) => Err(not_ours()),
        Err(error) => Err(problems::fulfil(&error)),
    }
}

fn answer(shop: &Shop, id: &SessionId, payment: &Payment) -> Response {
    let status = payment.state.shown();
    if status == "paid" {
        failpoint::reach(ServiceId::Payment, Step::PaymentTold);
    }
    let answer = Answer {
        status,
        order_id: order_id(shop, id.as_str()),
        user_id: &payment.user_id,
        cart: &payment.cart,
        amount: payment.priced.amount,
        currency: payment.priced.currency,
        url: payment.url.as_deref().filter(|_| status == "open"),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// The one `session_id` of the query. What cannot be an id is no session of anybody's.
fn session_id(query: &str) -> Result<SessionId, Problem> {
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "session_id")
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => SessionId::parse(&value).ok_or_else(not_ours),
        _ => Err(no_id()),
    }
}

pub(super) fn no_id() -> Problem {
    Problem::of(StatusCode::BAD_REQUEST).detail("the query must have one session_id")
}

pub(super) fn not_ours() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "Unknown session").detail(
        "there is no such Checkout session in this shop; use the id that POST /payment answered",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_must_name_one_possible_session() {
        let read = |query: &str| {
            session_id(query).map(|id| id.to_string()).map_err(|p| p.status().as_u16())
        };
        assert_eq!(read("session_id=cs_test_1"), Ok("cs_test_1".into()));
        assert_eq!(read("a=b&session_id=cs_test%5F1&c"), Ok("cs_test_1".into()));
        assert_eq!(read(""), Err(400));
        assert_eq!(read("session_id=cs_test_1&session_id=cs_test_2"), Err(400));
        let long = format!("session_id=cs_test_{}", "a".repeat(10_000));
        for made_up in ["session_id=", "session_id=1", "session_id={CHECKOUT_SESSION_ID}", &long] {
            assert_eq!(read(made_up), Err(404), "{made_up:.40}");
        }
    }
}
