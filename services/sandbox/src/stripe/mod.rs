//! Stripe's API as far as a shop's checkout needs it, under `/v1/`. Keeps no state of its own but the
//! idempotency keys in flight: the ledger does.

mod answer;
mod auth;
mod body;
mod calls;
mod create;
mod currency;
mod error;
mod expand;
mod form;
mod idempotency;
pub mod intent;
mod lines;
mod metadata;
pub mod object;
mod paging;
mod params;
mod reads;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::any,
};

pub use auth::has_live_key;
pub use currency::shown as shown_amount;
pub use idempotency::KEY_LIFE_MS;
pub use object::API_VERSION;
pub use reads::event_json;

use self::{answer::Answer, calls::Call, error::StripeError, idempotency::KeysInFlight};
use crate::{clock, faults::ApiHow, ids, keys::KeysUsed, ledger::Ledger};

/// What the handlers of the API share.
pub struct Api {
    ledger: Arc<Ledger>,
    keys: KeysInFlight,
}

/// A request that was let in.
#[derive(Debug, Clone)]
pub struct ApiRequest {
    id: String,
    call: Call,
    params: form::Node,
    /// `POST /v1/checkout/sessions`: what an idempotency key is bound to.
    endpoint: String,
    key: Option<String>,
}

/// Everything under `/v1`.
pub fn router(ledger: Arc<Ledger>) -> Router {
    let api = Arc::new(Api { ledger, keys: KeysInFlight::default() });
    Router::new().route("/v1", any(handle)).route("/v1/{*rest}", any(handle)).with_state(api)
}

async fn handle(State(api): State<Arc<Api>>, request: Request) -> Response {
    let id = ids::stripe("req");
    let version = answer::version(request.headers());
    let key = auth::idempotency_key(request.headers());
    let mut changes = api.ledger.faults.changes();
    let answer = match admit(&api.ledger.keys, id.clone(), key.clone(), request).await {
        Ok(request) if request.call.is_post() => idempotency::post(api, request).await,
        Ok(request) => reads::get(&api, request).await,
        Err(error) => error.into(),
    };
    match answer.lost {
        Some(ApiHow::Hang) => changes.next().await,
        Some(ApiHow::Cut) => {}
        None => return answer.into_response(&id, &version, key.as_deref()),
    }
    Answer::nothing()
}

/// Checks the key, then finds the call, then reads the parameters: as Stripe, in that order.
async fn admit(
    keys: &KeysUsed,
    id: String,
    key: Option<String>,
    request: Request,
) -> Result<ApiRequest, StripeError> {
    keys.add(auth::check(request.headers())?, clock::now_s());
    let path = request.uri().path().to_owned();
    let call = Call::find(request.method(), &path)
        .ok_or_else(|| StripeError::no_such_url(request.method(), &path))?;
    let endpoint = format!("{} {path}", request.method());
    let key = key.filter(|_| call.is_post());
    if key.as_ref().is_some_and(|key| key.len() > auth::KEY_LENGTH_MAX) {
        let message = format!(
            "The idempotency key provided is too long; it can have up to {} characters.",
            auth::KEY_LENGTH_MAX
        );
        return Err(StripeError::invalid(message));
    }
    let params = body::params(request).await?;
    Ok(ApiRequest { id, call, params, endpoint, key })
}

impl From<crate::store::StoreError> for StripeError {
    fn from(error: crate::store::StoreError) -> Self {
        error.log("a call of the API");
        Self::internal()
    }
}

impl From<StripeError> for Answer {
    fn from(error: StripeError) -> Self {
        Self::new(error.status, error.body().to_string())
    }
}
