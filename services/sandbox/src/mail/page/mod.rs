//! The inbox for people: a list that grows by itself, and one mail in four views. Works without
//! scripts; a mail's own HTML is shown only inside a frame that may do nothing but open links.

mod view;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use url::Url;

use self::view::{List, Place, Tab};
use super::{
    api::Failure,
    message::Message,
    search::{self, Term},
};
use crate::{html::guarded, ledger::Ledger, store::MailRow};

/// Mails of one page.
const PAGE: i64 = 50;

pub fn router() -> Router<Arc<Ledger>> {
    Router::new()
        .route("/", get(index))
        .route("/rows", get(rows))
        .route("/delete", get(to_list).post(delete_all))
        .route("/mail/{id}", get(one))
        .route("/mail/{id}/{tab}", get(one_tab))
        .route("/mail/{id}/delete", post(delete_one))
        .route("/view/{file}", get(frame))
}

/// Which part of the list is looked at, and what of it the browser has.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    query: String,
    start: Option<String>,
    /// The revision that the browser shows.
    #[serde(default)]
    seen: String,
    /// The mail that is open beside the list.
    #[serde(default)]
    open: String,
}

impl Asked {
    fn place(&self) -> Place {
        // What cannot be read as a number counts as absent, as in the API.
        let start = self.start.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        Place { query: self.query.trim().to_owned(), start: i64::max(start, 0) }
    }
}

async fn list(ledger: &Ledger, place: &Place, open: Option<&str>) -> Result<List, Failure> {
    let terms: Vec<Term> = search::parse(&place.query);
    let revision = ledger.store.mail_revision().await?;
    let (total, unread) = ledger.store.mail_counts().await?;
    let found = if terms.is_empty() { total } else { ledger.store.count_mails(&terms).await?.0 };
    let mails = ledger.store.mails(&terms, None, place.start, PAGE).await?;
    let searching = !terms.is_empty();
    Ok(List::new(place, &mails, view::Counts { total, unread, found, searching }, revision, open))
}

async fn index(
    State(ledger): State<Arc<Ledger>>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let place = asked.place();
    Ok(view::inbox(&list(&ledger, &place, None).await?, &place, None))
}

/// The list alone, for the page's script; nothing when the browser has it already.
async fn rows(
    State(ledger): State<Arc<Ledger>>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    if ledger.store.mail_revision().await? == asked.seen {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let open = Some(asked.open.as_str()).filter(|id| !id.is_empty());
    Ok(view::rows(&list(&ledger, &asked.place(), open).await?))
}

async fn find(ledger: &Ledger, id: &str) -> Result<Option<(MailRow, Message)>, Failure> {
    let row = ledger.store.mail(id).await?;
    Ok(row.map(|row| {
        let message = Message::read(&row.raw, &row.envelope);
        (row, message)
    }))
}

async fn one(
    ledger: State<Arc<Ledger>>,
    Path(id): Path<String>,
    asked: Query<Asked>,
) -> Result<Response, Failure> {
    one_tab(ledger, Path((id, String::new())), asked).await
}

async fn one_tab(
    State(ledger): State<Arc<Ledger>>,
    Path((id, word)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let place = asked.place();
    let Some((row, message)) = find(&ledger, &id).await? else {
        let list = list(&ledger, &place, None).await?;
        return Ok(view::gone(&list, &place));
    };
    let Some(tab) = Tab::of(&word, &message) else {
        return Ok(Redirect::to(&format!("/mail/{}{}", row.id, place)).into_response());
    };
    ledger.store.mark_read(&row.id).await?;
    let list = list(&ledger, &place, Some(&row.id)).await?;
    Ok(view::inbox(&list, &place, Some(view::open(&row, &message, tab))))
}

/// A page of another site could send these forms too; a program says nothing of where it is.
fn from_here(headers: &HeaderMap) -> Result<(), Failure> {
    let site = headers.get("sec-fetch-site");
    if site.is_none_or(|site| site == "same-origin") {
        return Ok(());
    }
    Err(Failure::Bad("the request comes from another site's page"))
}

async fn to_list() -> Redirect {
    Redirect::to("/")
}

async fn delete_all(
    State(ledger): State<Arc<Ledger>>,
    headers: HeaderMap,
) -> Result<Redirect, Failure> {
    from_here(&headers)?;
    ledger.store.delete_mails(&[]).await?;
    Ok(Redirect::to("/"))
}

async fn delete_one(
    State(ledger): State<Arc<Ledger>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Redirect, Failure> {
    from_here(&headers)?;
    ledger.store.delete_mails(&[id]).await?;
    Ok(Redirect::to("/"))
}

/// `ID.html` and `ID.txt`, as Mailpit has them.
async fn frame(
    State(ledger): State<Arc<Ledger>>,
    Path(file): Path<String>,
) -> Result<Response, Failure> {
    let (id, kind) = file.rsplit_once('.').ok_or(Failure::NotFound)?;
    let (_, message) = find(&ledger, id).await?.ok_or(Failure::NotFound)?;
    let policy = frame_policy(&ledger.public_url);
    match kind {
        "html" => {
            let html = view::with_new_tabs(&message.html);
            Ok(guarded(Html(html).into_response(), &policy))
        }
        "txt" => {
            let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            Ok(guarded((kind, message.text).into_response(), &policy))
        }
        _ => Err(Failure::NotFound),
    }
}

/// No scripts, no origin, no network but the shop's own pictures; a link opens a tab of its own.
fn frame_policy(public_url: &str) -> String {
    let shop = Url::parse(public_url).map(|url| url.origin().ascii_serialization());
    format!(
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
         style-src 'unsafe-inline'; img-src data: {}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'self'",
        shop.unwrap_or_default()
    )
}
