//! Asks email what became of an order's mail, and does not wait long for it. An order is shown with or
//! without an answer.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storefront_runtime::trace;
use url::Url;
use uuid::Uuid;

/// Largest answer that is read: a few mails.
const ANSWER_MAX_BYTES: usize = 16 * 1024;
/// Longest that a connection is kept without use.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// The mail of an order, as the order shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OrderMail")]
pub struct MailAnswer {
    /// One of email's states; `none` as long as email has none, `unknown` also when email cannot be
    /// asked.
    #[schemars(extend("enum" = ["none", "queued", "sending", "sent", "unknown", "failed"]))]
    pub state: &'static str,
    /// The mail's `Message-ID`, without angle brackets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub message_id: Option<String>,
}

/// A client for email's internal `GET /mails/{orderId}`.
pub struct MailClient {
    client: Client<HttpConnector, Empty<Bytes>>,
    base: Option<Url>,
    limit: Duration,
    /// Whether the last question was answered: only a change is worth a line in the log.
    answered: AtomicBool,
}

/// A setting that email cannot be asked with.
#[derive(Debug, thiserror::Error)]
#[error("EMAIL_URL must begin with http://: services speak plain HTTP with each other")]
pub struct UnsupportedUrl;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the request could not be made")]
    Request(#[from] http::Error),
    #[error("email could not be reached")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("email did not answer in time")]
    Silent,
    #[error("email answered {0}")]
    Status(StatusCode),
    #[error("email's answer could not be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("email's answer could not be understood")]
    Json(#[from] serde_json::Error),
}

/// What email answers, as far as it is used here.
#[derive(Deserialize)]
struct Mails {
    mails: Vec<Mail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    template: String,
    state: String,
    message_id: Option<String>,
}

impl MailClient {
    /// `base` is email's own URL; without it every mail's state is `unknown`.
    pub fn new(base: Option<Url>, limit_ms: u64) -> Result<Self, UnsupportedUrl> {
        if base.as_ref().is_some_and(|url| url.scheme() != "http") {
            return Err(UnsupportedUrl);
        }
        let limit = Duration::from_millis(limit_ms);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limit));
        let client =
            Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_LIMIT).build(connector);
        Ok(Self { client, base, limit, answered: AtomicBool::new(true) })
    }

    /// The state of an order's mail, within the limit.
    pub async fn of_order(&self, order_id: Uuid) -> MailAnswer {
        let unknown = MailAnswer { state: "unknown", message_id: None };
        let Some(base) = &self.base else { return unknown };
        let asked = tokio::time::timeout(self.limit, self.ask(base, order_id)).await;
        let asked = asked.unwrap_or(Err(AskError::Silent));
        let changed = self.answered.swap(asked.is_ok(), Ordering::Relaxed) != asked.is_ok();
        match asked {
            Ok(mails) => {
                if changed {
                    tracing::info!("email tells the state of mails again");
                }
                answer(mails.mails)
            }
            Err(error) => {
                if changed {
                    let error = describe(&error);
                    tracing::warn!(error, "orders are shown without the state of their mail");
                }
                unknown
            }
        }
    }

    async fn ask(&self, base: &Url, order_id: Uuid) -> Result<Mails, AskError> {
        let base = base.as_str().trim_end_matches('/');
        let mut request = Request::get(format!("{base}/mails/{order_id}"));
        if let Some(context) = trace::current() {
            request = request.header(trace::TRACEPARENT, context.child().to_traceparent());
        }
        let response = self.client.request(request.body(Empty::new())?).await?;
        if response.status() != StatusCode::OK {
            return Err(AskError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES);
        let body = body.collect().await.map_err(AskError::Body)?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }
}

/// The receipt's state, or that of the only other mail.
fn answer(mut mails: Vec<Mail>) -> MailAnswer {
    mails.sort_by_key(|mail| mail.template != "payment-receipt");
    match mails.into_iter().next() {
        None => MailAnswer { state: "none", message_id: None },
        Some(mail) => MailAnswer { state: known(&mail.state), message_id: mail.message_id },
    }
}

/// Only words that clients of this service know, whatever a later email says.
fn known(state: &str) -> &'static str {
    let states = ["queued", "sending", "sent", "failed"];
    states.into_iter().find(|known| *known == state).unwrap_or("unknown")
}

fn describe(error: &AskError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
