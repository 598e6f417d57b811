//! The hosted checkout page: what a shopper sees at a session's `url`, and what comes of it. Works
//! without scripts, takes nothing but test cards, and does what it does by the same ledger as the
//! control API.

mod cards;
mod form;
mod page;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use http::StatusCode;
use jiff::{Timestamp, tz::TimeZone};
use url::form_urlencoded;

use self::{
    cards::{Outcome, TestCard},
    form::{Checked, Fields, Mistakes, Month},
    page::Shown,
};
use crate::{
    clock,
    ledger::{Cause, Ledger, LedgerError},
    payment::{ChargeState, Payer, Refusal},
    session::{Act, Action, Session, State as SessionState},
};

/// Bytes of a form; a filled one has some hundred.
const FORM_MAX_BYTES: usize = 16 * 1024;

/// Everything under `/sandbox/checkout`, the same path on this port and through the gateway.
pub fn router(ledger: Arc<Ledger>) -> Router {
    Router::new()
        .route("/sandbox/checkout/{id}", get(show).post(submit))
        .route("/sandbox/checkout/{id}/authenticate", get(ask).post(answer))
        .route("/sandbox/checkout/{id}/bank", get(to_page).post(bank))
        .layer(DefaultBodyLimit::max(FORM_MAX_BYTES))
        .with_state(ledger)
}

/// Why there is no page as asked for.
struct Failure(LedgerError);

impl<T: Into<LedgerError>> From<T> for Failure {
    fn from(error: T) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self.0 {
            LedgerError::NotFound => page::unknown(),
            LedgerError::Conflict(conflict) => {
                page::failed(StatusCode::CONFLICT, conflict.to_string())
            }
            LedgerError::Store(error) => {
                error.log("the checkout page");
                let what = "The stand-in could not keep its ledger; see its log.".to_owned();
                page::failed(StatusCode::INTERNAL_SERVER_ERROR, what)
            }
        }
    }
}

type Answer = Result<Response, Failure>;

fn to(target: &str) -> Response {
    Redirect::to(target).into_response()
}

fn page_of(id: &str) -> String {
    // An id from the ledger or from a path: neither may add a path of its own.
    format!(
        "/sandbox/checkout/{}",
        form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>()
    )
}

async fn find(ledger: &Ledger, id: &str) -> Result<Session, LedgerError> {
    ledger.store.session(id).await?.ok_or(LedgerError::NotFound)
}

/// Whether it can be paid: one whose time has come is not, even if nobody has noted it yet.
fn is_open(session: &Session) -> bool {
    session.state == SessionState::Open && clock::now_s() < session.expires_at
}

async fn show(State(ledger): State<Arc<Ledger>>, Path(id): Path<String>) -> Answer {
    let session = find(&ledger, &id).await?;
    if !is_open(&session) {
        return Ok(page::ended(&session));
    }
    let mut shown = Shown::default();
    if let Some(payment) = &session.payment {
        // What was typed at the last attempt, but for the card.
        let Payer { email, name, .. } = payment.payer.clone();
        shown.fields.email = email.unwrap_or_default();
        shown.fields.name = name.unwrap_or_default();
    }
    Ok(page::form(&session, &shown))
}

async fn submit(State(ledger): State<Arc<Ledger>>, Path(id): Path<String>, body: Bytes) -> Answer {
    let session = find(&ledger, &id).await?;
    if !is_open(&session) {
        // Pressed twice, or in two windows: the first one counts and both go on.
        return Ok(after(&session));
    }
    let mut fields = Fields::read(&body);
    if let Some(card) = fields.fill.as_deref().and_then(TestCard::find) {
        fields.fill_with(card);
        let shown = Shown { fields, filled: Some(card), mistakes: Mistakes::default() };
        return Ok(page::form(&session, &shown));
    }
    let act = match form::check(&fields, session.customer_email.is_some(), month(clock::now_s())) {
        Ok(Checked::Card(card, payer)) => card_act(card, payer),
        Ok(Checked::Bank(payer)) => Act { payer, ..Action::Delay.into() },
        Err(mistakes) => {
            return Ok(page::form(&session, &Shown { fields, mistakes, filled: None }));
        }
    };
    apply(&ledger, &id, act).await
}

fn month(now: i64) -> Month {
    let now = Timestamp::from_second(now).unwrap_or_default().to_zoned(TimeZone::UTC);
    Month { year: now.year(), month: now.month() }
}

fn card_act(card: &TestCard, payer: Payer) -> Act {
    let (action, refusal) = match card.outcome {
        Outcome::Paid => (Action::Pay, None),
        Outcome::Refused(refusal) => (Action::Decline, Some(refusal)),
        Outcome::Asked(refusal) => (Action::Challenge, refusal),
    };
    Act { action, payer, refusal }
}

/// Does it, and leads to where the shopper sees what came of it.
async fn apply(ledger: &Arc<Ledger>, id: &str, act: Act) -> Answer {
    match ledger.apply(id, act, Cause::default(), |_| None).await {
        Ok(session) => Ok(after(&session)),
        Err(LedgerError::Conflict(_)) => Ok(after(&find(ledger, id).await?)),
        Err(error) => Err(error.into()),
    }
}

fn after(session: &Session) -> Response {
    let page = page_of(&session.id);
    match session.state {
        SessionState::Paid | SessionState::Processing => to(&session.success_address()),
        SessionState::Open if is_challenged(session) => to(&format!("{page}/authenticate")),
        SessionState::Open | SessionState::Failed | SessionState::Expired => to(&page),
    }
}

fn is_challenged(session: &Session) -> bool {
    let charge = session.payment.as_ref().map(|payment| payment.charge);
    charge == Some(ChargeState::Challenged)
}

async fn ask(State(ledger): State<Arc<Ledger>>, Path(id): Path<String>) -> Answer {
    let session = find(&ledger, &id).await?;
    let asked = is_open(&session) && is_challenged(&session);
    Ok(if asked { page::challenge(&session) } else { to(&page_of(&id)) })
}

async fn answer(State(ledger): State<Arc<Ledger>>, Path(id): Path<String>, body: Bytes) -> Answer {
    let session = find(&ledger, &id).await?;
    let Some(payment) = session.payment.clone().filter(|_| is_challenged(&session)) else {
        return Ok(after(&session));
    };
    let (action, refusal) = match field(&body, "answer").as_deref() {
        Some("complete") if payment.refusal.is_some() => (Action::Decline, payment.refusal),
        Some("complete") => (Action::Pay, None),
        Some("fail") => (Action::Decline, Some(Refusal::Unauthenticated)),
        _ => return Ok(after(&session)),
    };
    apply(&ledger, &id, Act { action, payer: payment.payer, refusal }).await
}

/// The address of a form, loaded again.
async fn to_page(Path(id): Path<String>) -> Response {
    to(&page_of(&id))
}

/// What the bank does about money that was promised.
async fn bank(State(ledger): State<Arc<Ledger>>, Path(id): Path<String>, body: Bytes) -> Answer {
    let action = match field(&body, "money").as_deref() {
        Some("settle") => Action::Settle,
        Some("fail") => Action::Fail,
        _ => return Ok(to(&page_of(&id))),
    };
    match ledger.apply(&id, action, Cause::default(), |_| None).await {
        Ok(_) | Err(LedgerError::Conflict(_)) => Ok(to(&page_of(&id))),
        Err(error) => Err(error.into()),
    }
}

fn field(body: &[u8], wanted: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(body);
    fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}
