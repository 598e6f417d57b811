//! `/audit/…`, on the admin port and for this machine only: session ids are keys to what was bought. What
//! `storefront audit` asks.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    routing::{get, post},
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storefront_contract::{Currency, Shop, examples, ids::order_id};
use storefront_runtime::{
    Problem, admin,
    http::Json,
    openapi::{Api, Operation},
};
use url::form_urlencoded;
use uuid::Uuid;

use super::{problems, verify};
use crate::{
    app::App,
    audit::{Audit, AuditError, Audited, Closed, Missing},
    fulfil::FulfilError,
    session_id::{SESSION_ID_MAX_LENGTH, SessionId},
    state::State as PaymentState,
    store::Payment,
    stripe::requests::Made,
};

/// Longest span of one audit, in seconds: a year.
const SPAN_MAX_S: i64 = 366 * 24 * 60 * 60;
/// Latest time that is taken, in Unix seconds: the end of the year 9999.
const TIME_MAX_S: i64 = 253_402_300_799;

/// A page of Stripe's list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditedSessions")]
struct Page {
    sessions: Vec<Shown>,
    /// `after` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    next: Option<String>,
}

/// A session as Stripe has it, and what payment has.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuditedSession")]
struct Shown {
    session_id: String,
    /// The order that it becomes, or has become.
    order_id: Uuid,
    /// Whether Stripe says that it is paid.
    paid: bool,
    /// In minor units, as Stripe says.
    amount: Option<i64>,
    currency: Option<Currency>,
    /// `null`: payment does not know it.
    payment: Option<Row>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuditedPayment")]
struct Row {
    #[schemars(extend("enum" = PaymentState::ALL.map(PaymentState::name)))]
    state: &'static str,
    /// Whether there is an address to send a mail to.
    mailed: bool,
    /// Why it is held or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    reason: Option<String>,
}

/// What is missing of a payment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Gap")]
struct Gap {
    missing: Word,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Missing")]
enum Word {
    Payment,
    Order,
    Mail,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ClosedGap")]
struct Done {
    #[schemars(extend("enum" = PaymentState::ALL.map(PaymentState::name)))]
    state: &'static str,
    /// Whether `payment-successful` is sent once more, with the id that it had.
    sent_again: bool,
}

/// How many gaps of each sort an audit has found.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
#[schemars(rename = "AuditFindings")]
struct Findings {
    payment: u32,
    held: u32,
    order: u32,
    amount: u32,
    mail: u32,
    unpaid: u32,
}

/// The routes, for the admin port.
pub fn router(app: Arc<App>) -> Router {
    routes().into_router().with_state(Arc::new(Audit::new(app)))
}

/// What the routes take and answer.
pub fn operations() -> Vec<Operation> {
    routes().into_operations()
}

fn routes() -> Api<Arc<Audit>> {
    Api::default()
        .route(describe_list(), get(list))
        .route(describe_one(), get(one))
        .route(describe_close(), post(close))
        .route(describe_findings(), post(findings))
}

async fn list(
    State(audit): State<Arc<Audit>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page>, Problem> {
    let (since_s, until_s, after) = span(query.as_deref().unwrap_or_default())?;
    let made = Made { since_s, until_s, after: after.as_ref() };
    let (sessions, next) = audit.page(made).await.map_err(|error| problem(&error))?;
    let shown = sessions.iter().map(|it| show(&audit.app.shop, it)).collect();
    Ok(Json(Page { sessions: shown, next: next.map(|id| id.to_string()) }))
}

async fn one(
    State(audit): State<Arc<Audit>>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let id = SessionId::parse(&id).ok_or_else(verify::not_ours)?;
    let found = audit.one(&id).await.map_err(|error| problem(&error))?;
    Ok(Json(show(&audit.app.shop, &found.ok_or_else(verify::not_ours)?)))
}

async fn close(
    State(audit): State<Arc<Audit>>,
    Path(id): Path<String>,
    Json(Gap { missing }): Json<Gap>,
) -> Result<Json<Done>, Problem> {
    let id = SessionId::parse(&id).ok_or_else(verify::not_ours)?;
    let missing = match missing {
        Word::Payment => Missing::Payment,
        Word::Order => Missing::Order,
        Word::Mail => Missing::Mail,
    };
    let closed = audit.close(&id, missing).await.map_err(|error| problem(&error))?;
    let Closed { state, sent_again } = closed.ok_or_else(verify::not_ours)?;
    Ok(Json(Done { state: state.name(), sent_again }))
}

async fn findings(State(audit): State<Arc<Audit>>, Json(found): Json<Findings>) -> StatusCode {
    let Findings { payment, held, order, amount, mail, unpaid } = found;
    let gaps = [
        ("payment", payment),
        ("held", held),
        ("order", order),
        ("amount", amount),
        ("mail", mail),
        ("unpaid", unpaid),
    ];
    audit.app.metrics.audited(&gaps.map(|(gap, count)| (gap, count.into())));
    if gaps.iter().any(|(_, count)| *count > 0) {
        tracing::warn!(payment, held, order, amount, mail, unpaid, "an audit has found gaps");
    } else {
        tracing::info!("an audit has found no gap");
    }
    StatusCode::NO_CONTENT
}

fn show(shop: &Shop, audited: &Audited) -> Shown {
    let row = |row: &Payment| Row {
        state: row.state.name(),
        mailed: row.email.is_some(),
        reason: row.reason.clone(),
    };
    let Audited { id, session, .. } = audited;
    let currency = session.currency.as_deref();
    Shown {
        session_id: id.to_string(),
        order_id: order_id(shop, id.as_str()),
        paid: audited.is_paid(),
        amount: session.amount_total,
        currency: currency.and_then(|code| Currency::from_stripe(code).ok()),
        payment: audited.row.as_ref().map(row),
    }
}

/// `since` and `until` in Unix seconds, and perhaps `after`.
fn span(query: &str) -> Result<(i64, i64, Option<SessionId>), Problem> {
    let (mut since, mut until, mut after) = (None, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let seconds = || value.parse::<i64>().ok().filter(|it| (0..=TIME_MAX_S).contains(it));
        match &*name {
            "since" => since = Some(seconds().ok_or_else(|| wrong("since"))?),
            "until" => until = Some(seconds().ok_or_else(|| wrong("until"))?),
            "after" => after = Some(SessionId::parse(&value).ok_or_else(verify::not_ours)?),
            _ => return Err(bad(format!("{name:.40?} is unknown; known are since, until, after"))),
        }
    }
    match (since, until) {
        (None, _) => Err(wrong("since")),
        (_, None) => Err(wrong("until")),
        (Some(since), Some(until)) if until <= since => {
            Err(no_span("until must be later than since"))
        }
        (Some(since), Some(until)) if until - since > SPAN_MAX_S => {
            Err(no_span("since and until are more than a year apart; ask for less"))
        }
        (Some(since), Some(until)) => Ok((since, until, after)),
    }
}

fn wrong(name: &str) -> Problem {
    bad(format!("{name} must be a time in whole Unix seconds, such as 1767323045"))
}

fn bad(detail: String) -> Problem {
    Problem::of(StatusCode::BAD_REQUEST).detail(detail)
}

fn no_span(detail: &'static str) -> Problem {
    Problem::of(StatusCode::UNPROCESSABLE_ENTITY).detail(detail)
}

fn problem(error: &AuditError) -> Problem {
    match error {
        AuditError::Stripe(error) => problems::stripe(error),
        AuditError::Store(error) => problems::store(error),
        AuditError::Fulfil(error) => problems::fulfil(error),
    }
}

fn session_parameter() -> Value {
    json!({
        "name": "sessionId",
        "in": "path",
        "required": true,
        "schema": {"type": "string", "maxLength": SESSION_ID_MAX_LENGTH},
        "example": examples::SESSION_ID,
    })
}

fn shown() -> Value {
    json!({
        "sessionId": examples::SESSION_ID,
        "orderId": examples::ORDER_ID,
        "paid": true,
        "amount": 1_899_900,
        "currency": "INR",
        "payment": {"state": "paid", "mailed": true},
    })
}

/// What may go wrong with each of them.
fn troubles() -> Vec<Problem> {
    let asked = [problems::fulfil(&FulfilError::Busy), admin::not_this_machine()];
    asked.into_iter().chain(super::api::provider_problems()).collect()
}

fn describe_list() -> Operation {
    let time = |name: &str, what: &str, example: i64| {
        json!({
            "name": name,
            "in": "query",
            "required": true,
            "description": format!("Sessions that were made {what}, in Unix seconds"),
            "schema": {"type": "integer", "minimum": 0, "maximum": TIME_MAX_S},
            "example": example,
        })
    };
    Operation::get("/audit/sessions", "listPaidSessions", "List what Stripe says was paid")
        .description(
            "A page of Stripe's list of Checkout sessions, of this shop's that are paid, each beside \
             payment's own row; a page may be empty and another follow. A session is found by the time at \
             which it was made, not paid. Asks Stripe at most ten times a second.",
        )
        .parameter(time("since", "then or later", 1_767_225_600))
        .parameter(time("until", "before then", 1_767_312_000))
        .parameter(json!({
            "name": "after",
            "in": "query",
            "description": "`next` of the page before",
            "schema": {"type": "string", "maxLength": SESSION_ID_MAX_LENGTH},
        }))
        .answers::<Page>(200, "The page", json!({"sessions": [shown()]}))
        .problems([
            wrong("since"),
            verify::not_ours(),
            no_span("until must be later than since"),
        ])
        .problems(troubles())
}

fn describe_one() -> Operation {
    Operation::get("/audit/sessions/{sessionId}", "getSession", "Show one session")
        .description("The same of one session, whatever became of it.")
        .parameter(session_parameter())
        .answers::<Shown>(200, "The session", shown())
        .problems([verify::not_ours()])
        .problems(troubles())
}

fn describe_close() -> Operation {
    Operation::post("/audit/sessions/{sessionId}/close", "closeGap", "Close a gap")
        .description(
            "Of a `payment` that is missing Stripe is asked, as for any webhook: one that is paid is marked, \
             and its event is sent. For a missing `order` or `mail` the event of a paid one is sent again, \
             with the id that it had: whoever has seen it skips it, and the service where it is missing \
             takes it. It may be asked for any number of times.",
        )
        .parameter(session_parameter())
        .takes::<Gap>(json!({"missing": "order"}))
        .answers::<Done>(200, "What was done", json!({"state": "paid", "sentAgain": true}))
        .problems([verify::not_ours()])
        .problems(body_problems())
        .problems(troubles())
}

fn describe_findings() -> Operation {
    Operation::post("/audit/findings", "countGaps", "Count what an audit has found")
        .description("Counted in `storefront_audit_gaps_total`, and written into the log.")
        .takes::<Findings>(json!({"order": 1}))
        .answers_nothing(204, "They are counted")
        .problems(body_problems())
        .problems([admin::not_this_machine()])
}

fn body_problems() -> [Problem; 3] {
    [
        Problem::of(StatusCode::BAD_REQUEST)
            .detail("the body must be JSON, and is not: expected value at line 1 column 1"),
        Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .detail("the body must be sent with Content-Type: application/json"),
        Problem::of(StatusCode::UNPROCESSABLE_ENTITY).detail("/missing is missing"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_two_times_and_at_most_a_year() {
        let read = |query: &str| {
            let read = span(query).map(|(since, until, after)| (since, until, after.is_some()));
            read.map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(read("since=1&until=2"), Ok((1, 2, false)));
        assert_eq!(read("since=1&until=2&after=cs_test_1"), Ok((1, 2, true)));
        assert_eq!(read("since=1&until=2&after=17"), Err(404));
        for wrong in [
            "",
            "since=1",
            "until=1",
            "since=x&until=2",
            "since=-1&until=2",
            "since=1&until=999999999999",
            "since=1&until=2&limit=5",
        ] {
            assert_eq!(read(wrong), Err(400), "{wrong}");
        }
        for empty in ["since=2&until=2", "since=2&until=1", "since=0&until=99999999"] {
            assert_eq!(read(empty), Err(422), "{empty}");
        }
    }
}
