//! The front page of Stripe's port: what this is, and the newest sessions to click on.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use http::StatusCode;
use storefront_runtime::Problem;

use crate::{
    html::Page,
    ledger::Ledger,
    session::Session,
    store::{SessionQuery, Window},
    stripe::shown_amount,
};

const SHOWN: i64 = 25;

pub fn router(ledger: Arc<Ledger>) -> Router {
    Router::new().route("/", get(about)).with_state(ledger)
}

struct Row {
    id: String,
    state: &'static str,
    total: String,
    email: String,
}

#[derive(Template)]
#[template(path = "about.html")]
struct About {
    sessions: Vec<Row>,
}

fn row(session: &Session) -> Row {
    Row {
        id: session.id.clone(),
        state: session.state.name(),
        total: shown_amount(session.amount_total, &session.currency),
        email: session.email().unwrap_or_default().to_owned(),
    }
}

async fn about(State(ledger): State<Arc<Ledger>>) -> Result<Response, Problem> {
    let query = SessionQuery {
        window: Window { limit: SHOWN, ..Window::default() },
        ..SessionQuery::default()
    };
    let (sessions, _) = ledger.store.sessions(&query).await?;
    let sessions = sessions.iter().map(row).collect();
    Ok(Page::checkout().answer(StatusCode::OK, About { sessions }.render()))
}
