//! The control API: what a shopper or a bank would do, faults, and the ledger for tests to compare
//! with. On Stripe's port, without keys: the sandbox is for development and tests.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    routing::{get, post},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use storefront_runtime::{Problem, http::parse};

use crate::{
    clock,
    faults::FaultSettings,
    ledger::{Cause, Ledger},
    session::{Action, Session, State as SessionState},
    store::{DeliveryCounts, SessionQuery, StoreError, Window},
};

const PAGE: i64 = 1_000;
const PAGE_MAX: i64 = 10_000;

/// Everything under `/control`, and the health of the process.
pub fn router(ledger: Arc<Ledger>) -> Router {
    Router::new()
        .route("/control/sessions", get(sessions))
        .route("/control/sessions/{id}", get(session))
        .route("/control/sessions/{id}/{action}", post(act))
        .route("/control/faults", get(faults).put(set_faults))
        .route("/control/faults/strikes", get(strikes))
        .route("/control/keys", get(keys))
        .route("/control/webhooks", get(webhooks))
        .route("/control/webhooks/deliver", post(deliver))
        .route("/control/mails", get(mails))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(ledger)
}

/// A session as the ledger shows it: what a test compares orders with.
pub fn entry(session: &Session) -> Value {
    json!({
        "id": session.id,
        "state": session.state.name(),
        "status": session.state.status(),
        "paymentStatus": session.state.payment_status(),
        "amountTotal": session.amount_total,
        "currency": session.currency,
        "created": session.created,
        "expiresAt": session.expires_at,
        "idempotencyKey": session.idempotency_key,
        "paymentIntent": session.payment.as_ref().map(|payment| &payment.intent_id),
        "customerEmail": session.customer_email,
        "clientReferenceId": session.client_reference_id,
        "metadata": session.metadata,
        "lines": session.lines.iter().map(|line| json!({
            "name": line.name, "quantity": line.quantity, "unitAmount": line.unit_amount,
        })).collect::<Vec<_>>(),
        "url": session.url,
    })
}

#[derive(Debug, Deserialize)]
struct Listing {
    state: Option<String>,
    limit: Option<i64>,
    /// The last id of the page before.
    after: Option<String>,
}

async fn sessions(
    State(ledger): State<Arc<Ledger>>,
    Query(listing): Query<Listing>,
) -> Result<Json<Value>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "Wrong query").detail(detail);
    let states = match &listing.state {
        None => None,
        Some(name) => Some(vec![
            SessionState::ALL
                .into_iter()
                .find(|state| state.name() == name)
                .ok_or_else(|| bad(format!("there is no state {name:?}")))?,
        ]),
    };
    let limit = listing.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(bad(format!("limit is {limit}; it must be 1 to {PAGE_MAX}")));
    }
    let after = match &listing.after {
        None => None,
        Some(id) => {
            let seq = ledger.store.session_seq(id).await?;
            Some(seq.ok_or_else(|| bad(format!("there is no session {id:?}")))?)
        }
    };
    let window = Window { after, limit, ..Window::default() };
    let query = SessionQuery { states, payment_intent: None, window };
    let (sessions, has_more) = ledger.store.sessions(&query).await?;
    let counts = ledger.store.session_counts().await?;
    let entries: Vec<Value> = sessions.iter().map(entry).collect();
    Ok(Json(json!({"counts": counts, "hasMore": has_more, "sessions": entries})))
}

async fn session(
    State(ledger): State<Arc<Ledger>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let session = ledger.store.session(&id).await?.ok_or(crate::ledger::LedgerError::NotFound)?;
    Ok(Json(entry(&session)))
}

async fn act(
    State(ledger): State<Arc<Ledger>>,
    Path((id, action)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let action = Action::parse(&action).ok_or_else(|| {
        let detail = "there are pay, decline, delay, settle, fail and expire";
        Problem::new(StatusCode::NOT_FOUND, "No such action").detail(detail)
    })?;
    let session = ledger.apply(&id, action, Cause::default(), |_| None).await?;
    Ok(Json(entry(&session)))
}

async fn faults(State(ledger): State<Arc<Ledger>>) -> Json<FaultSettings> {
    Json(ledger.faults.get())
}

async fn set_faults(
    State(ledger): State<Arc<Ledger>>,
    body: Bytes,
) -> Result<Json<FaultSettings>, Problem> {
    let settings: FaultSettings = parse(&body)?;
    settings.check().map_err(|detail| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Wrong faults").detail(detail)
    })?;
    ledger.faults.set(settings);
    Ok(Json(ledger.faults.get()))
}

async fn strikes(State(ledger): State<Arc<Ledger>>) -> Json<Value> {
    Json(json!({"strikes": ledger.faults.strikes()}))
}

async fn keys(State(ledger): State<Arc<Ledger>>) -> Json<Value> {
    Json(json!({"keys": ledger.keys.all()}))
}

async fn webhooks(State(ledger): State<Arc<Ledger>>) -> Result<Json<DeliveryCounts>, Problem> {
    Ok(Json(ledger.store.delivery_counts().await?))
}

/// What waits for its time is sent now: the days between an event and its delivery are over.
async fn deliver(State(ledger): State<Arc<Ledger>>) -> Result<Json<DeliveryCounts>, Problem> {
    ledger.store.hasten_deliveries(clock::now_ms()).await?;
    ledger.events_came.notify_one();
    webhooks(State(ledger)).await
}

async fn mails(State(ledger): State<Arc<Ledger>>) -> Result<Json<Value>, Problem> {
    let (total, unread) = ledger.store.mail_counts().await?;
    let distinct = ledger.store.distinct_message_ids().await?;
    Ok(Json(json!({"total": total, "unread": unread, "distinctMessageIds": distinct})))
}

async fn ready(State(ledger): State<Arc<Ledger>>) -> Result<&'static str, Problem> {
    let checked: Result<_, StoreError> = ledger.store.mail_counts().await;
    checked?;
    Ok("ok\n")
}
