//! The inbox for people: a list, and one mail. Plain; a mail's own HTML is shown only inside a frame
//! that may do nothing.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use jiff::Timestamp;

use super::{Address, api::Failure, message::Message};
use crate::{
    html::{escape, guarded, page},
    ledger::Ledger,
    store::{MailRow, MailSummaryRow},
};

const SHOWN: i64 = 100;
/// No scripts, no network, no origin: what a mail client would show with images off.
const FRAME_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; \
                            img-src data:; frame-ancestors 'self'";

pub fn router() -> Router<Arc<Ledger>> {
    Router::new()
        .route("/", get(index))
        .route("/mail/{id}", get(one))
        .route("/view/{file}", get(view))
}

async fn index(State(ledger): State<Arc<Ledger>>) -> Result<Response, Failure> {
    let (total, _) = ledger.store.mail_counts().await?;
    let mails = ledger.store.mails(&[], None, 0, SHOWN).await?;
    let rows: Vec<String> = mails.iter().map(row).collect();
    let body = format!(
        "<p class=\"note\">{total} mails; the newest {} are listed. They go nowhere else.</p>\
<table><tr><th>Time</th><th>To</th><th>Subject</th></tr>{}</table>",
        mails.len(),
        rows.concat(),
    );
    Ok(page(StatusCode::OK, "Inbox", &body, &[]))
}

fn row(mail: &MailSummaryRow) -> String {
    let time = Timestamp::from_millisecond(mail.created_ms).unwrap_or_default();
    let subject = match mail.summary.subject.as_str() {
        "" => "(no subject)",
        subject => subject,
    };
    format!(
        "<tr><td>{time:.0}</td><td>{}</td><td><a href=\"/mail/{}\">{}</a></td></tr>",
        escape(&names(&mail.summary.to)),
        escape(&mail.id),
        escape(subject),
    )
}

fn names(addresses: &[Address]) -> String {
    let one = |address: &Address| match address.name.as_str() {
        "" => address.address.clone(),
        name => format!("{name} <{}>", address.address),
    };
    addresses.iter().map(one).collect::<Vec<_>>().join(", ")
}

async fn find(ledger: &Ledger, id: &str) -> Result<(MailRow, Message), Failure> {
    let row = ledger.store.mail(id).await?.ok_or(Failure::NotFound)?;
    let message = Message::read(&row.raw, &row.envelope);
    Ok((row, message))
}

async fn one(
    State(ledger): State<Arc<Ledger>>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let (row, message) = find(&ledger, &id).await?;
    ledger.store.mark_read(&row.id).await?;
    let summary = &message.summary;
    let rows = [
        ("From", names(std::slice::from_ref(&summary.from))),
        ("To", names(&summary.to)),
        ("Copies", names(&[summary.cc.clone(), summary.bcc.clone()].concat())),
        ("Message-ID", summary.message_id.clone()),
    ];
    let rows: Vec<String> = rows
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("<tr><th>{name}</th><td>{}</td></tr>", escape(value)))
        .collect();
    let id = escape(&row.id);
    let frame = if message.html.is_empty() {
        String::new()
    } else {
        format!(
            "<iframe sandbox title=\"The mail's HTML\" width=\"100%\" height=\"600\" \
src=\"/view/{id}.html\"></iframe>"
        )
    };
    let body = format!(
        "<p><a href=\"/\">Inbox</a></p><table>{}</table>{frame}<h2>Text</h2><pre>{}</pre>",
        rows.concat(),
        escape(&message.text),
    );
    Ok(page(StatusCode::OK, &summary.subject, &body, &[]))
}

/// `ID.html` and `ID.txt`, as Mailpit has them.
async fn view(
    State(ledger): State<Arc<Ledger>>,
    Path(file): Path<String>,
) -> Result<Response, Failure> {
    let (id, kind) = file.rsplit_once('.').ok_or(Failure::NotFound)?;
    let (_, message) = find(&ledger, id).await?;
    match kind {
        "html" => Ok(guarded(Html(message.html).into_response(), FRAME_POLICY)),
        "txt" => {
            let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            Ok(guarded((kind, message.text).into_response(), FRAME_POLICY))
        }
        _ => Err(Failure::NotFound),
    }
}
