//! The only place that talks to Stripe: calls with stable idempotency keys, bounded retries, and a
//! deadline for each. Knows nothing of rows and states.

mod error;
pub mod objects;
pub mod requests;
pub mod retry;
mod transport;

use std::time::Duration;

use http::HeaderMap;
use serde::de::DeserializeOwned;
use storefront_contract::settings::StripeSettings;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

pub use error::StripeError;
pub use transport::{CaError, Transport};

use self::{
    objects::{Created, ErrorBody, Event, LineItem, List, Session},
    requests::{EventPage, Made, Prepared},
    retry::{Heard, Next, Reply},
    transport::Answer,
};
use crate::{
    key::{KeyError, KeyFile, Mode},
    metrics::Metrics,
    session_id::SessionId,
};

/// Most calls under way at once, so that a slow Stripe cannot take all memory. Stripe itself allows
/// 100 a second in live mode and 25 in test mode (<https://docs.stripe.com/rate-limits>).
const CALLS_MAX: usize = 100;
/// Too short to hear anything: an attempt with less time left is not begun.
const ATTEMPT_LEAST: Duration = Duration::from_millis(100);

/// Stripe, as payment uses it.
#[derive(Debug)]
pub struct Stripe {
    transport: Transport,
    key: KeyFile,
    calls: Semaphore,
    /// For one attempt.
    timeout: Duration,
    metrics: Metrics,
}

impl Stripe {
    /// Reads the API key once, so that a wrong one ends the start.
    pub fn new(
        settings: &StripeSettings,
        transport: Transport,
        metrics: Metrics,
    ) -> Result<Self, KeyError> {
        let key = KeyFile::new(settings);
        key.current()?;
        Ok(Self {
            transport,
            key,
            calls: Semaphore::new(CALLS_MAX),
            timeout: Duration::from_millis(settings.timeout_ms),
            metrics,
        })
    }

    /// Which half of the account the key opens.
    pub fn mode(&self) -> Result<Mode, KeyError> {
        self.key.current().map(|key| key.mode)
    }

    /// Creates a session, or hears again of the one that this idempotency key has made before.
    /// [`StripeError::KeySpent`] asks for another key.
    pub async fn create(
        &self,
        prepared: &Prepared,
        idempotency_key: &str,
        deadline: Instant,
    ) -> Result<Created, StripeError> {
        self.call(prepared, Some(idempotency_key), deadline).await
    }

    /// The session as it is now.
    pub async fn session(&self, id: &SessionId, deadline: Instant) -> Result<Session, StripeError> {
        self.call(&requests::retrieve_session(id), None, deadline).await
    }

    /// The lines of a session.
    pub async fn line_items(
        &self,
        id: &SessionId,
        deadline: Instant,
    ) -> Result<Vec<LineItem>, StripeError> {
        let list: List<_> = self.call(&requests::list_line_items(id), None, deadline).await?;
        Ok(list.data)
    }

    /// A page of complete sessions, newest first.
    pub async fn sessions(
        &self,
        made: Made<'_>,
        deadline: Instant,
    ) -> Result<List<Session>, StripeError> {
        self.call(&requests::list_sessions(made), None, deadline).await
    }

    /// A page of events, newest first.
    pub async fn events(
        &self,
        page: EventPage<'_>,
        types: &[&str],
        deadline: Instant,
    ) -> Result<List<Event>, StripeError> {
        self.call(&requests::list_events(page, types), None, deadline).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        prepared: &Prepared,
        idempotency_key: Option<&str>,
        deadline: Instant,
    ) -> Result<T, StripeError> {
        let _permit = match self.calls.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match timeout_at(deadline, self.calls.acquire()).await {
                Ok(Ok(permit)) => permit,
                _ => return Err(StripeError::Busy),
            },
        };
        for attempt in 0..retry::ATTEMPTS_MAX {
            let left = deadline.saturating_duration_since(Instant::now());
            let key = self.key.current().map_err(StripeError::Key)?;
            let limit = self.timeout.min(left);
            let heard = self.transport.send(prepared, &key, idempotency_key, limit).await;
            let (next, error) = match heard {
                Err(error) => (retry::next(Heard::Nothing, attempt, fastrand::f64()), error),
                Ok(answer) if (200..300).contains(&answer.status) => {
                    return self.take(prepared.call, &answer);
                }
                Ok(answer) => match judge(&answer, attempt) {
                    // It was rotated between two looks at its file.
                    (_, error) if error.is_of_the_key() && self.key.has_other_than(&key) => {
                        (Next::Again(Duration::ZERO), error)
                    }
                    judged => judged,
                },
            };
            self.metrics.stripe_call(prepared.call, error.reason());
            match next {
                Next::Again(pause) if Instant::now() + pause + ATTEMPT_LEAST < deadline => {
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(error),
            }
        }
        Err(StripeError::Timeout)
    }

    fn take<T: DeserializeOwned>(
        &self,
        call: &'static str,
        answer: &Answer,
    ) -> Result<T, StripeError> {
        // What is UTF-8 is found out faster for all of it than for each of its texts.
        let read = match str::from_utf8(&answer.body) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(&answer.body),
        };
        let read = read.map_err(|error| StripeError::Malformed(error.into()));
        self.metrics.stripe_call(call, read.as_ref().map_or_else(StripeError::reason, |_| "ok"));
        read
    }
}

/// What a refusal means: what to do next, and the error in case that this is to give up.
fn judge(answer: &Answer, attempt: u32) -> (Next, StripeError) {
    let Answer { status, headers, body } = answer;
    let ErrorBody { error } = serde_json::from_slice(body).unwrap_or_default();
    let retry_after = text(headers, "retry-after").and_then(|text| text.parse().ok());
    let reply = Reply {
        status: *status,
        should_retry: text(headers, "stripe-should-retry").and_then(|text| text.parse().ok()),
        retry_after: retry_after.map(Duration::from_secs),
        replayed: text(headers, "idempotent-replayed") == Some("true"),
        error_type: error.kind.as_deref().unwrap_or_default(),
    };
    let next = retry::next(Heard::Answer(reply), attempt, fastrand::f64());
    let request_id = text(headers, "request-id").unwrap_or("unknown").to_owned();
    let status = *status;
    let refused = match next {
        Next::NewKey => StripeError::KeySpent { status, request_id },
        _ => StripeError::Refused {
            status,
            retry_after: reply.retry_after,
            code: error.code.or(error.kind).unwrap_or_else(|| "unknown".into()),
            param: error.param.unwrap_or_default(),
            request_id,
        },
    };
    (next, refused)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use axum::{Router, routing::post};
    use http::{StatusCode, header::AUTHORIZATION};

    use super::*;

    /// A Stripe that takes one key, and answers with a session.
    async fn start(key: &'static str) -> String {
        let answer = async move |headers: HeaderMap| {
            let is_known = headers[AUTHORIZATION] == format!("Bearer {key}");
            let status = if is_known { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            (status, r#"{"id": "cs_test_1"}"#)
        };
        let router = Router::new().route("/v1/checkout/sessions", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        base
    }

    #[tokio::test]
    async fn a_key_that_was_rotated_between_two_looks_fails_no_call() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("api-key");
        fs::write(&file, "sk_test_old").unwrap();
        let settings = StripeSettings {
            api_base: start("sk_test_newer").await.parse().unwrap(),
            ca_file: None,
            api_key_file: file.clone(),
            webhook_secret_files: vec![],
            timeout_ms: 10_000,
            sandbox: true,
            webhook_tolerance_s: 300,
        };
        let transport = Transport::new(&settings).unwrap();
        let stripe = Stripe::new(&settings, transport, Metrics::default()).unwrap();
        let prepared = Prepared {
            call: "create_session",
            target: "/v1/checkout/sessions".into(),
            form: Some("mode=payment".into()),
        };
        let create = async || {
            let deadline = Instant::now() + Duration::from_secs(10);
            let created = stripe.create(&prepared, "key-1", deadline).await;
            created.map(|session| session.id).map_err(|error| error.reason())
        };
        assert_eq!(create().await, Err("unauthorized"));
        fs::write(&file, "sk_test_newer").unwrap();
        assert_eq!(create().await, Ok("cs_test_1".to_owned()));
    }
}
