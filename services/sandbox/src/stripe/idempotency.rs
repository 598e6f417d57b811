//! Idempotency keys as Stripe has them (<https://docs.stripe.com/api/idempotent_requests>): the first
//! answer is kept once the work has begun, errors and 500s too; what fails validation is not kept.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use super::{
    Api, ApiRequest,
    answer::Answer,
    calls::Call,
    create::{self, Creation},
    error::StripeError,
    expand::{self, Expand},
    object,
    params::unknown,
};
use crate::{
    clock,
    faults::{ApiFault, ApiHow},
    ledger::{Cause, LedgerError},
    session::{Action, Session},
    store::{StoreError, StoredAnswer},
};

/// How long a key is kept.
pub const KEY_LIFE_MS: i64 = 24 * 60 * 60 * 1_000;

/// Keys whose first request is still running.
#[derive(Default)]
pub struct KeysInFlight(Arc<Mutex<HashSet<String>>>);

/// Holds a key until dropped.
struct Claim {
    keys: Arc<Mutex<HashSet<String>>>,
    key: String,
}

impl KeysInFlight {
    fn claim(&self, key: &str) -> Option<Claim> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = keys.insert(key.to_owned());
        free.then(|| Claim { keys: Arc::clone(&self.0), key: key.to_owned() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Answers a POST. It runs in a task of its own: a client that hangs up must not free its key before
/// the work is stored.
pub async fn post(api: Arc<Api>, request: ApiRequest) -> Answer {
    let task = tokio::spawn(async move {
        let answer = match &request.key {
            None => run(&api, &request).await,
            Some(key) => with_key(&api, &request, key).await,
        };
        answer.unwrap_or_else(Answer::from)
    });
    task.await.unwrap_or_else(|_| StripeError::internal().into())
}

async fn with_key(api: &Api, request: &ApiRequest, key: &str) -> Result<Answer, StripeError> {
    let Some(_claim) = api.keys.claim(key) else { return Err(in_use(key)) };
    let since_ms = clock::now_ms() - KEY_LIFE_MS;
    let Some(stored) = api.ledger.store.stored_answer(key, since_ms).await? else {
        return run(api, request).await;
    };
    if stored.endpoint != request.endpoint {
        let (first, now) = (path_of(&stored.endpoint), path_of(&request.endpoint));
        let how = format!("for the same endpoint they were first used for ('{now}' vs '{first}')");
        return Err(other_use(key, &how));
    }
    if stored.fingerprint != fingerprint(request) {
        return Err(other_use(key, "with the same parameters they were first used with"));
    }
    Ok(Answer::replay(stored.status, stored.body, stored.request_id))
}

fn path_of(endpoint: &str) -> &str {
    endpoint.split_once(' ').map_or(endpoint, |(_, path)| path)
}

fn other_use(key: &str, how: &str) -> StripeError {
    StripeError {
        kind: "idempotency_error",
        ..StripeError::invalid(format!(
            "Keys for idempotent requests can only be used {how}. Try using a key other than \
             '{key}' if you meant to execute a different request."
        ))
    }
}

/// 409, as for any conflict between requests (<https://docs.stripe.com/api/errors>).
fn in_use(key: &str) -> StripeError {
    StripeError {
        status: 409,
        ..StripeError::invalid(format!(
            "There is currently another in-progress request using this Idempotent Key (that \
             probably means you submitted twice, and the other request is still going through): \
             {key}. Please try again later."
        ))
        .code("idempotency_key_in_use")
    }
}

fn fingerprint(request: &ApiRequest) -> String {
    hex::encode(Sha256::digest(request.params.canonical()))
}

/// The answer that a fault asks for.
pub fn failure(fault: &ApiFault) -> Answer {
    let Some(status) = fault.status else { return Answer { lost: fault.how, ..Answer::cut() } };
    let error = StripeError::invalid("The sandbox was told to fail this request.");
    let error = match status {
        // <https://docs.stripe.com/rate-limits>
        429 => StripeError { status, ..error.code("rate_limit") },
        400..=499 => StripeError { status, ..error },
        _ => StripeError { status, kind: "api_error", ..error },
    };
    error.into()
}

/// A request that passed validation.
enum Prepared {
    Create(Box<Creation>),
    Expire(String, Expand),
}

fn prepare(api: &Api, request: &ApiRequest) -> Result<Prepared, StripeError> {
    match &request.call {
        Call::Create => {
            let creation = create::read(&request.params, &api.ledger.public_url, clock::now_s())?;
            Ok(Prepared::Create(Box::new(creation)))
        }
        Call::Expire(id) => {
            if let super::form::Node::Map(fields) = &request.params
                && let Some(name) = fields.keys().find(|name| *name != "expand")
            {
                return Err(unknown(name));
            }
            let expand = Expand::read(&request.params, expand::IN_SESSION, "")?;
            Ok(Prepared::Expire(id.clone(), expand))
        }
        _ => Err(StripeError::internal()),
    }
}

async fn run(api: &Api, request: &ApiRequest) -> Result<Answer, StripeError> {
    // Nothing is kept of what fails here: the endpoint has not begun.
    let prepared = prepare(api, request)?;
    let faults = &api.ledger.faults;
    faults.api_delay().await;
    let mut changes = faults.changes();
    let fault = faults.api(request.call.name());
    if let Some(fault) = fault.as_ref().filter(|fault| !fault.applied) {
        if fault.how == Some(ApiHow::Hang) {
            // Meanwhile the key is in flight, as it would be.
            changes.next().await;
            return Ok(Answer::cut());
        }
        let answer = failure(fault);
        return if fault.stored { give_and_keep(api, request, answer).await } else { Ok(answer) };
    }
    match prepared {
        Prepared::Create(creation) => create_session(api, request, *creation, fault).await,
        Prepared::Expire(id, expand) => expire_session(api, request, &id, expand, fault).await,
    }
}

/// Keeps an error for the request's key, then gives it.
async fn refuse(
    api: &Api,
    request: &ApiRequest,
    error: StripeError,
) -> Result<Answer, StripeError> {
    give_and_keep(api, request, error.into()).await
}

async fn give_and_keep(
    api: &Api,
    request: &ApiRequest,
    answer: Answer,
) -> Result<Answer, StripeError> {
    if let Some(kept) = keep(request, &answer) {
        api.ledger.store.commit(vec![kept.insert()]).await?;
    }
    Ok(answer)
}

fn keep(request: &ApiRequest, answer: &Answer) -> Option<StoredAnswer> {
    Some(StoredAnswer {
        key: request.key.clone()?,
        created_ms: clock::now_ms(),
        endpoint: request.endpoint.clone(),
        fingerprint: fingerprint(request),
        request_id: request.id.clone(),
        status: answer.status,
        body: answer.body.clone(),
    })
}

/// What is said, and what is kept: the same but for a fault that is not stored. An answer that is lost
/// on its way was given all the same.
fn conclude(
    request: &ApiRequest,
    session: &Session,
    expand: &Expand,
    fault: Option<&ApiFault>,
) -> (Answer, Option<StoredAnswer>) {
    if let Some(fault) = fault.filter(|fault| fault.status.is_some()) {
        let answer = failure(fault);
        let kept = fault.stored.then(|| keep(request, &answer)).flatten();
        return (answer, kept);
    }
    let answer = Answer::new(200, object::session(session, expand).to_string());
    let kept = keep(request, &answer);
    (Answer { lost: fault.and_then(|fault| fault.how), ..answer }, kept)
}

async fn create_session(
    api: &Api,
    request: &ApiRequest,
    creation: Creation,
    fault: Option<ApiFault>,
) -> Result<Answer, StripeError> {
    let Creation { mut session, expand } = creation;
    session.idempotency_key.clone_from(&request.key);
    let (answer, kept) = conclude(request, &session, &expand, fault.as_ref());
    api.ledger.create(&session, kept).await?;
    Ok(answer)
}

async fn expire_session(
    api: &Api,
    request: &ApiRequest,
    id: &str,
    expand: Expand,
    fault: Option<ApiFault>,
) -> Result<Answer, StripeError> {
    let cause =
        Cause { request_id: Some(request.id.clone()), idempotency_key: request.key.clone() };
    let (told, heard) = tokio::sync::oneshot::channel();
    let request_of_task = request.clone();
    let changed = api.ledger.apply(id, Action::Expire, cause, move |session| {
        let (answer, kept) = conclude(&request_of_task, session, &expand, fault.as_ref());
        let _ = told.send(answer);
        kept
    });
    match changed.await {
        Ok(_) => heard.await.map_err(|_| StripeError::internal()),
        Err(LedgerError::NotFound) => {
            let error = StripeError::no_such("checkout.session", id, "session");
            refuse(api, request, error).await
        }
        Err(LedgerError::Conflict(conflict)) => {
            let status = conflict.state.status();
            let error = StripeError::invalid(format!(
                "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout \
                 Session has a status of `{status}`."
            ));
            refuse(api, request, error).await
        }
        Err(LedgerError::Store(error @ StoreError::Stopping)) => {
            tracing::debug!(reason = error.reason(), "a request was cut by the end");
            Err(StripeError::internal())
        }
        Err(LedgerError::Store(error)) => Err(error.into()),
    }
}
