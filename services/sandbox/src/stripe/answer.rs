//! An answer and the headers that Stripe's clients look at.

use std::io;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::object::API_VERSION;
use crate::faults::ApiHow;

/// Status and body, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// The request that was answered so first, when this is its answer once more.
    pub replay_of: Option<String>,
    /// What Stripe advises about another try (<https://docs.stripe.com/error-low-level>).
    pub should_retry: Option<bool>,
    /// It is never heard: see [`ApiHow`].
    pub lost: Option<ApiHow>,
}

impl Answer {
    /// A fresh answer. Without certainty nothing is advised, as Stripe does for its own failures.
    pub fn new(status: u16, body: String) -> Self {
        let should_retry = match status {
            409 | 429 => Some(true),
            400..=499 => Some(false),
            _ => None,
        };
        Self { status, body, replay_of: None, should_retry, lost: None }
    }

    /// The stored answer of an earlier request: asking again changes nothing.
    pub fn replay(status: u16, body: String, first_request: String) -> Self {
        Self {
            status,
            body,
            replay_of: Some(first_request),
            should_retry: (status >= 400).then_some(false),
            lost: None,
        }
    }

    /// What a client gets whose connection is cut.
    pub fn cut() -> Self {
        Self { lost: Some(ApiHow::Cut), ..Self::new(500, String::new()) }
    }

    /// A response whose body fails before its first byte: the server closes the connection with nothing
    /// of it sent.
    pub fn nothing() -> Response {
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        Response::new(Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(error)])))
    }

    pub fn into_response(self, request_id: &str, version: &str, key: Option<&str>) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Body::from(self.body)).into_response();
        let headers = response.headers_mut();
        put(headers, "content-type", "application/json");
        put(headers, "cache-control", "no-cache, no-store");
        put(headers, "request-id", request_id);
        put(headers, "stripe-version", version);
        if let Some(key) = key {
            put(headers, "idempotency-key", key);
            put(headers, "original-request", self.replay_of.as_deref().unwrap_or(request_id));
        }
        if self.replay_of.is_some() {
            put(headers, "idempotent-replayed", "true");
        }
        if let Some(should_retry) = self.should_retry {
            put(headers, "stripe-should-retry", if should_retry { "true" } else { "false" });
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"Stripe\""),
            );
        }
        response
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The version that the client asked for, or ours.
pub fn version(headers: &HeaderMap) -> String {
    let asked = headers.get("stripe-version").and_then(|value| value.to_str().ok());
    asked.unwrap_or(API_VERSION).to_owned()
}
