//! `POST /payment`.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use storefront_runtime::{Problem, http::Json};

use super::problems;
use crate::{app::App, create::Checkout, request::PaymentRequest};

/// Longest `Idempotency-Key`, as at Stripe.
const KEY_MAX_LENGTH: usize = 255;

pub(super) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request): Json<PaymentRequest>,
) -> Result<Json<Checkout>, Problem> {
    let key = idempotency_key(&headers)?;
    let request = request.check().map_err(problems::fields)?;
    let currency = app.catalog.current().currency();
    let created = app.create(request, key).await;
    created.map(Json).map_err(|error| problems::create(&error, currency))
}

/// The client's key, if it sends one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=KEY_MAX_LENGTH).contains(&text.len()));
    if let (Some(text), None) = (text, values.next()) {
        return Ok(Some(text.to_owned()));
    }
    let detail = format!("send one Idempotency-Key of 1 to {KEY_MAX_LENGTH} characters");
    Err(Problem::new(StatusCode::BAD_REQUEST, "Invalid idempotency key").detail(detail))
}
