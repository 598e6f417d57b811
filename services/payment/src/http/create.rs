//! `POST /payment`.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use storefront_runtime::{
    Problem,
    http::{Json, body},
};

use super::{
    form::{self, Form},
    problems,
};
use crate::{app::App, create::Checkout, request::PaymentRequest};

/// Longest `Idempotency-Key`, as at Stripe.
pub(super) const KEY_MAX_LENGTH: usize = 255;

/// Programs send JSON and get JSON; a browser without scripts sends a form and is led on.
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Response {
    let key = idempotency_key(request.headers());
    if form::is_form(request.headers()) {
        return of_form(&app, key, request).await.unwrap_or_else(IntoResponse::into_response);
    }
    match Json::from_request(request, &()).await {
        Ok(Json(request)) => of_json(&app, key, request).await.into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn of_form(
    app: &Arc<App>,
    key: Result<Option<String>, Problem>,
    request: Request,
) -> Result<Response, Problem> {
    let key = key?;
    let body = body(request).await?;
    let (request, quantities) = Form::read(&body)?.into_parts();
    let request = match request.check() {
        Ok(request) => request,
        Err(errors) => {
            let back = Form::wrong(&quantities, &errors);
            return back.ok_or_else(|| problems::fields(errors));
        }
    };
    Ok(match app.create(request, key).await {
        Ok(checkout) => Form::accepted(&checkout),
        Err(error) => {
            // Logged with its cause, as for programs.
            let problem = problems::create(&error, app.catalog.current().currency());
            tracing::debug!(reason = error.reason(), status = %problem.status(), "a form is led back");
            Form::refused(&quantities, &error)
        }
    })
}

async fn of_json(
    app: &Arc<App>,
    key: Result<Option<String>, Problem>,
    request: PaymentRequest,
) -> Result<Json<Checkout>, Problem> {
    let key = key?;
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
    Err(invalid_key())
}

pub(super) fn invalid_key() -> Problem {
    let detail = format!("send one Idempotency-Key of 1 to {KEY_MAX_LENGTH} characters");
    Problem::new(StatusCode::BAD_REQUEST, "Invalid idempotency key").detail(detail)
}
