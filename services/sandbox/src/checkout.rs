//! The hosted checkout page: what a shopper sees at a session's `url`, plainly. Everything that the
//! shop wrote is text here, never HTML.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::Deserialize;
use storefront_runtime::Problem;
use url::Url;

use crate::{
    html::{escape, page},
    ledger::{Cause, Ledger, LedgerError},
    session::{Action, Line, Session, State as SessionState},
    stripe::shown_amount,
};

/// Everything under `/sandbox/checkout`, the same path on this port and through the gateway.
pub fn router(ledger: Arc<Ledger>) -> Router {
    Router::new()
        .route("/sandbox/checkout/{id}", get(show))
        .route("/sandbox/checkout/{id}/{button}", post(press))
        .with_state(ledger)
}

#[derive(Debug, Deserialize)]
struct Note {
    note: Option<String>,
}

async fn show(
    State(ledger): State<Arc<Ledger>>,
    Path(id): Path<String>,
    Query(Note { note }): Query<Note>,
) -> Response {
    match ledger.store.session(&id).await {
        Ok(Some(session)) => session_page(&session, note.as_deref() == Some("declined")),
        Ok(None) => problem_page(&LedgerError::NotFound.into()),
        Err(error) => problem_page(&error.into()),
    }
}

async fn press(
    State(ledger): State<Arc<Ledger>>,
    Path((id, button)): Path<(String, String)>,
) -> Response {
    match pressed(&ledger, &id, &button).await {
        Ok(target) => Redirect::to(&target).into_response(),
        Err(problem) => problem_page(&problem),
    }
}

/// Where the shopper goes after a button.
async fn pressed(ledger: &Arc<Ledger>, id: &str, button: &str) -> Result<String, Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "There is no such button");
    let action = match button {
        "cancel" => {
            let session = ledger.store.session(id).await?.ok_or(LedgerError::NotFound)?;
            return session.cancel_url.ok_or_else(none);
        }
        "pay" => Action::Pay,
        "decline" => Action::Decline,
        "delay" => Action::Delay,
        _ => return Err(none()),
    };
    let applied = ledger.apply(id, action, Cause::default(), |_| None).await;
    let session = match applied {
        // Pressed twice, or in two windows: the first one counts and both go on.
        Err(LedgerError::Conflict(conflict)) if conflict.state.status() == "complete" => {
            ledger.store.session(id).await?.ok_or(LedgerError::NotFound)?
        }
        other => other?,
    };
    if session.state == SessionState::Open {
        return Ok(format!("/sandbox/checkout/{id}?note=declined"));
    }
    let filled = session.success_url.replace("{CHECKOUT_SESSION_ID}", &session.id);
    // Letters outside ASCII are no part of a header, but Stripe takes them.
    Ok(Url::parse(&filled).map_or(filled, String::from))
}

fn session_page(session: &Session, declined: bool) -> Response {
    let rows: Vec<String> = session.lines.iter().map(|line| row(line, &session.currency)).collect();
    let total = escape(&shown_amount(session.amount_total, &session.currency));
    let email = session.customer_email.as_deref().unwrap_or_default();
    let note = match session.state {
        SessionState::Open if declined => {
            "<p role=\"alert\">Your card was declined. You can try again.</p>"
        }
        SessionState::Open => "",
        SessionState::Expired => "<p>This checkout session has expired.</p>",
        SessionState::Paid => "<p>This session is paid.</p>",
        SessionState::Processing => "<p>The bank is on its way with the money.</p>",
        SessionState::Failed => "<p>The bank did not send the money.</p>",
    };
    let buttons = match session.state {
        SessionState::Open => buttons(session, &total),
        _ => String::new(),
    };
    let body = format!(
        "<p class=\"note\">Storefront sandbox: no money moves here.</p>\
<table><tr><th>Product</th><th class=\"n\">Price</th><th class=\"n\">Quantity</th>\
<th class=\"n\">Amount</th></tr>{}<tr><th>Total</th><td></td><td></td>\
<th class=\"n\">{total}</th></tr></table><p>{}</p>{note}{buttons}",
        rows.concat(),
        escape(email),
    );
    page(StatusCode::OK, "Checkout", &body, &form_targets(session))
}

fn row(line: &Line, currency: &str) -> String {
    let amount = line.unit_amount.saturating_mul(line.quantity);
    let cells = [
        shown_amount(line.unit_amount, currency),
        line.quantity.to_string(),
        shown_amount(amount, currency),
    ];
    let cells = cells.map(|cell| format!("<td class=\"n\">{}</td>", escape(&cell)));
    format!("<tr><td>{}</td>{}</tr>", escape(&line.name), cells.concat())
}

fn buttons(session: &Session, total: &str) -> String {
    let id = escape(&session.id);
    let button = |name: &str, label: &str| {
        format!(
            "<form method=\"post\" action=\"/sandbox/checkout/{id}/{name}\">\
<button>{label}</button></form>"
        )
    };
    let mut buttons = button("pay", &format!("Pay {total}"))
        + &button("decline", "Decline the card")
        + &button("delay", "Pay by delayed bank");
    if session.cancel_url.is_some() {
        buttons += &button("cancel", "Cancel");
    }
    buttons
}

/// Where the buttons lead: browsers hold a redirect after a form against `form-action`.
fn form_targets(session: &Session) -> Vec<String> {
    let urls = [Some(&session.success_url), session.cancel_url.as_ref()];
    let origins = urls.into_iter().flatten().filter_map(|url| Url::parse(url).ok());
    origins.map(|url| url.origin().ascii_serialization()).collect()
}

fn problem_page(problem: &Problem) -> Response {
    let document = problem.to_json();
    let detail = document["detail"].as_str().unwrap_or_default();
    page(problem.status(), problem.title(), &format!("<p>{}</p>", escape(detail)), &[])
}
