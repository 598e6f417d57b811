//! `POST /payment/webhook`: Stripe's events. 200 says that the event and what it means are stored, or
//! that there is nothing to do; anything else makes Stripe send it again, for three days.

use std::sync::Arc;

use axum::{body::Bytes, extract::State};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use storefront_contract::{ServiceId, object::Object};
use storefront_runtime::{
    Problem, Secret,
    failpoint::{self, Step},
};

use super::problems;
use crate::{
    app::App,
    fulfil::Asker,
    signature::{self, SignatureError},
    stripe::objects::Event,
};

/// Longest id of an event; Stripe's have some 30 characters, and at most 255 by its promise.
const EVENT_ID_MAX_LENGTH: usize = 255;

pub(super) async fn webhook(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let secrets = app.secrets.read().map_err(|error| problems::key(&error))?;
    check(&app, &headers, &body, &secrets).map_err(|error| {
        app.metrics.webhook_refused(error.reason());
        // A wrong clock, ours or a replayer's: the one refusal that a shop's owner must hear of.
        if error == SignatureError::Time {
            tracing::warn!("a webhook is signed, but its time is too far from this machine's");
        }
        invalid_signature(error)
    })?;
    let event = serde_json::from_slice(&body)
        .ok()
        .map(|Object(event): Object<Event>| event)
        .filter(|event| (1..=EVENT_ID_MAX_LENGTH).contains(&event.id.len()))
        .ok_or_else(|| {
            app.metrics.webhook_refused("no-event");
            no_event()
        })?;
    failpoint::reach(ServiceId::Payment, Step::EventVerified);
    match app.take_event(&event, Asker::Event).await {
        Ok(_) => Ok(StatusCode::OK),
        Err(error) => Err(problems::take(&error)),
    }
}

pub(super) fn invalid_signature(error: SignatureError) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "Invalid signature").detail(error.to_string())
}

pub(super) fn no_event() -> Problem {
    Problem::of(StatusCode::BAD_REQUEST).detail("the body is no event of Stripe's")
}

fn check(
    app: &App,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret],
) -> Result<(), SignatureError> {
    let mut values = headers.get_all("stripe-signature").iter();
    let header = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().map_err(|_| SignatureError::Malformed)?),
        (Some(_), Some(_)) => return Err(SignatureError::Malformed),
    };
    let secrets = secrets.iter().map(|secret| secret.expose().as_bytes());
    let now_s = Timestamp::now().as_second();
    signature::check(header, body, secrets, now_s, app.tolerance_s)
}
