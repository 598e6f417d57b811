//! Mailpit's API (<https://mailpit.axllent.org/docs/api-v1/>), the part that reads, searches and
//! deletes, so that what is written against Mailpit works here.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    message::{Attachment, Message},
    page,
    search::{self, Term},
};
use crate::{
    ledger::Ledger,
    store::{MailRow, MailSummaryRow, StoreError},
};

const LIMIT: i64 = 50;
/// Most mails of one answer. Mailpit takes 0 for all; here that means as many as this.
const LIMIT_MAX: i64 = 10_000;

/// Everything on the inbox's port.
pub fn router(ledger: Arc<Ledger>) -> Router {
    Router::new()
        .route("/api/v1/messages", get(list).delete(delete))
        .route("/api/v1/search", get(find).delete(delete_found))
        .route("/api/v1/message/{id}", get(message))
        .route("/api/v1/message/{id}/raw", get(raw))
        .route("/api/v1/message/{id}/headers", get(headers))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .merge(page::router())
        .fallback(|| async { Failure::NotFound })
        .with_state(ledger)
}

/// Mailpit's errors are plain text.
#[derive(Debug)]
pub enum Failure {
    NotFound,
    Bad(&'static str),
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "404 page not found").into_response(),
            Self::Bad(problem) => (StatusCode::BAD_REQUEST, problem).into_response(),
            Self::Store(error) => {
                error.log("a request to the inbox");
                (StatusCode::INTERNAL_SERVER_ERROR, "the inbox failed").into_response()
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Listing {
    query: Option<String>,
    start: Option<String>,
    limit: Option<String>,
    before: Option<String>,
}

impl Listing {
    /// What cannot be read as a number counts as absent, as in Mailpit.
    fn window(&self) -> (i64, i64) {
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        let start = number(&self.start).filter(|start| *start > 0).unwrap_or(0);
        let limit = match number(&self.limit) {
            Some(0) => LIMIT_MAX,
            Some(limit) if limit > 0 => limit.min(LIMIT_MAX),
            _ => LIMIT,
        };
        (start, limit)
    }

    fn before_ms(&self) -> Option<i64> {
        let time: Timestamp = self.before.as_deref()?.parse().ok()?;
        Some(time.as_millisecond())
    }

    fn terms(&self) -> Result<Vec<Term>, Failure> {
        let terms = search::parse(self.query.as_deref().unwrap_or_default());
        if terms.is_empty() { Err(Failure::Bad("Error: no search query")) } else { Ok(terms) }
    }
}

async fn list(
    State(ledger): State<Arc<Ledger>>,
    Query(listing): Query<Listing>,
) -> Result<Json<Value>, Failure> {
    let counts = ledger.store.mail_counts().await?;
    answer(&ledger, &listing, &[], counts).await
}

async fn find(
    State(ledger): State<Arc<Ledger>>,
    Query(listing): Query<Listing>,
) -> Result<Json<Value>, Failure> {
    let terms = listing.terms()?;
    let counts = ledger.store.count_mails(&terms).await?;
    answer(&ledger, &listing, &terms, counts).await
}

async fn answer(
    ledger: &Ledger,
    listing: &Listing,
    terms: &[Term],
    matching: (i64, i64),
) -> Result<Json<Value>, Failure> {
    let (start, limit) = listing.window();
    let (total, unread) = ledger.store.mail_counts().await?;
    let mails = ledger.store.mails(terms, listing.before_ms(), start, limit).await?;
    let messages: Vec<Value> = mails.iter().map(summary).collect();
    Ok(Json(json!({
        "total": total,
        "unread": unread,
        "count": messages.len(),
        "messages_count": matching.0,
        "messages_unread": matching.1,
        "start": start,
        "tags": [],
        "messages": messages,
    })))
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

fn summary(row: &MailSummaryRow) -> Value {
    let mut value = serde_json::to_value(&row.summary).unwrap_or_default();
    value["ID"] = row.id.as_str().into();
    value["Read"] = row.is_read.into();
    value["Created"] = time(row.created_ms).into();
    value["Size"] = row.size.into();
    value["Tags"] = json!([]);
    value
}

async fn found(ledger: &Ledger, id: &str) -> Result<MailRow, Failure> {
    ledger.store.mail(id).await?.ok_or(Failure::NotFound)
}

async fn message(
    State(ledger): State<Arc<Ledger>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let row = found(&ledger, &id).await?;
    ledger.store.mark_read(&row.id).await?;
    let message = Message::read(&row.raw, &row.envelope);
    let (inline, attached): (Vec<_>, Vec<_>) =
        message.attachments.iter().partition(|attachment| attachment.inline);
    let files = |files: Vec<&Attachment>| files.into_iter().map(attachment).collect::<Vec<_>>();
    let unsubscribe = |name: &str| message.headers.get(name).map_or("", |values| &values[0]);
    Ok(Json(json!({
        "ID": row.id,
        "MessageID": message.summary.message_id,
        "From": message.summary.from,
        "To": message.summary.to,
        "Cc": message.summary.cc,
        "Bcc": message.summary.bcc,
        "ReplyTo": message.summary.reply_to,
        "ReturnPath": message.return_path,
        "Subject": message.summary.subject,
        "ListUnsubscribe": {
            "Header": unsubscribe("List-Unsubscribe"),
            "Links": [],
            "Errors": "",
            "HeaderPost": unsubscribe("List-Unsubscribe-Post"),
        },
        "Date": message.date.map_or_else(|| time(row.created_ms), |date| date.to_string()),
        "Tags": [],
        "Username": message.summary.username,
        "Text": message.text,
        "HTML": message.html,
        "Size": row.raw.len(),
        "Inline": files(inline),
        "Attachments": files(attached),
    })))
}

fn attachment(attachment: &Attachment) -> Value {
    json!({
        "PartID": attachment.part_id,
        "FileName": attachment.file_name,
        "ContentType": attachment.content_type,
        "ContentID": attachment.content_id,
        "Size": attachment.size,
        "Checksums": {"SHA256": attachment.sha256},
    })
}

async fn raw(
    State(ledger): State<Arc<Ledger>>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let row = found(&ledger, &id).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, row.raw).into_response())
}

async fn headers(
    State(ledger): State<Arc<Ledger>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let row = found(&ledger, &id).await?;
    let headers = Message::read(&row.raw, &row.envelope).headers;
    let headers = headers.into_iter().map(|(name, values)| (name, values.into()));
    Ok(Json(Value::Object(headers.collect::<Map<_, _>>())))
}

#[derive(Debug, Default, Deserialize)]
struct Deletion {
    #[serde(rename = "IDs", default)]
    ids: Vec<String>,
}

async fn delete(State(ledger): State<Arc<Ledger>>, body: Bytes) -> Result<&'static str, Failure> {
    // Mailpit deletes all when there is no body, or none that it can read.
    let deletion: Deletion = serde_json::from_slice(&body).unwrap_or_default();
    ledger.store.delete_mails(&deletion.ids).await?;
    Ok("ok")
}

async fn delete_found(
    State(ledger): State<Arc<Ledger>>,
    Query(listing): Query<Listing>,
) -> Result<&'static str, Failure> {
    let terms = listing.terms()?;
    // Bounded: each round takes away what it found, and a failure ends it.
    loop {
        let mails = ledger.store.mails(&terms, None, 0, LIMIT_MAX).await?;
        if mails.is_empty() {
            return Ok("ok");
        }
        let ids: Vec<String> = mails.into_iter().map(|mail| mail.id).collect();
        ledger.store.delete_mails(&ids).await?;
    }
}
