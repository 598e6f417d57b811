//! The calls that change nothing.

use serde_json::{Value, json};

use super::{
    Api, ApiRequest,
    answer::Answer,
    calls::Call,
    error::StripeError,
    expand::{self, Expand},
    form::Node,
    idempotency, intent, object,
    paging::{self, Paging},
    params::{Param, unknown},
};
use crate::{
    session::{Happening, Session, State},
    store::{EventQuery, EventRow, SessionQuery, Window},
};

/// Most types of one `types[]`.
const TYPES_MAX: usize = 20;

/// Answers a GET.
pub async fn get(api: &Api, request: ApiRequest) -> Answer {
    let faults = &api.ledger.faults;
    faults.api_delay().await;
    if let Some(fault) = faults.api(request.call.name()) {
        return idempotency::failure(&fault);
    }
    match read(api, &request).await {
        Ok(body) => Answer::new(200, body.to_string()),
        Err(error) => error.into(),
    }
}

async fn read(api: &Api, request: &ApiRequest) -> Result<Value, StripeError> {
    let params = &request.params;
    match &request.call {
        Call::Retrieve(id) => {
            only_expand(params)?;
            let expand = Expand::read(params, expand::IN_SESSION, "")?;
            Ok(object::session(&find(api, id).await?, &expand))
        }
        Call::List => sessions(api, params).await,
        Call::LineItems(id) => line_items(&find(api, id).await?, params),
        Call::Events => events(api, params).await,
        Call::Event(id) => {
            let event = api.ledger.store.event(id).await?;
            event.map(|row| event_json(&row)).ok_or_else(|| StripeError::no_such("event", id, "id"))
        }
        Call::Intent(id) => {
            let expand = Expand::read(params, expand::IN_INTENT, "")?;
            let session = api.ledger.store.session_of_intent(id).await?;
            let payment =
                session.as_ref().and_then(|session| Some((session, session.payment.as_ref()?)));
            let (session, payment) =
                payment.ok_or_else(|| StripeError::no_such("payment_intent", id, "intent"))?;
            Ok(intent::intent(session, payment, &expand))
        }
        Call::Create | Call::Expire(_) => Err(StripeError::internal()),
    }
}

fn only_expand(params: &Node) -> Result<(), StripeError> {
    match params {
        Node::Map(fields) => match fields.keys().find(|name| *name != "expand") {
            Some(name) => Err(unknown(name)),
            None => Ok(()),
        },
        Node::Text(_) => Ok(()),
    }
}

async fn find(api: &Api, id: &str) -> Result<Session, StripeError> {
    let session = api.ledger.store.session(id).await?;
    session.ok_or_else(|| StripeError::no_such("checkout.session", id, "session"))
}

fn line_items(session: &Session, params: &Node) -> Result<Value, StripeError> {
    let paging = paging::read(params, &[])?;
    let expand = Expand::read(params, expand::IN_LINES, "")?.below("data");
    let Some((lines, has_more)) = paging::slice(&session.lines, &paging, |line| &line.id) else {
        return Err(no_cursor("item", &paging));
    };
    let data: Vec<Value> = lines.iter().map(|line| object::line(line, session, &expand)).collect();
    Ok(object::list(&data, has_more, &object::line_items_url(session)))
}

fn no_cursor(object: &str, paging: &Paging<'_>) -> StripeError {
    let (param, id) = match (paging.starting_after, paging.ending_before) {
        (Some(id), _) => ("starting_after", id),
        (None, id) => ("ending_before", id.unwrap_or_default()),
    };
    StripeError { status: 400, ..StripeError::no_such(object, id, param) }
}

async fn sessions(api: &Api, params: &Node) -> Result<Value, StripeError> {
    let paging = paging::read(params, &["created", "status", "payment_intent"])?;
    let expand = Expand::read(params, expand::IN_SESSION, "data.")?;
    let store = &api.ledger.store;
    let mut window = window(params, &paging)?;
    if let Some(id) = paging.starting_after.or(paging.ending_before) {
        let seq = store.session_seq(id).await?;
        let seq = seq.ok_or_else(|| no_cursor("checkout.session", &paging))?;
        place(&mut window, &paging, seq);
    }
    let query = SessionQuery {
        states: states(&Param::of(params, "status"))?,
        payment_intent: Param::of(params, "payment_intent").text()?.map(str::to_owned),
        window,
    };
    let (sessions, has_more) = store.sessions(&query).await?;
    let data: Vec<Value> =
        sessions.iter().map(|session| object::session(session, &expand)).collect();
    Ok(object::list(&data, has_more, "/v1/checkout/sessions"))
}

fn window(params: &Node, paging: &Paging<'_>) -> Result<Window, StripeError> {
    let (since, until) = paging::created(params)?;
    Ok(Window { since, until, after: None, before: None, limit: paging.limit })
}

fn place(window: &mut Window, paging: &Paging<'_>, seq: i64) {
    if paging.starting_after.is_some() {
        window.after = Some(seq);
    } else {
        window.before = Some(seq);
    }
}

fn states(status: &Param<'_>) -> Result<Option<Vec<State>>, StripeError> {
    let Some(text) = status.text()? else { return Ok(None) };
    let states: Vec<State> =
        State::ALL.into_iter().filter(|state| state.status() == text).collect();
    if states.is_empty() {
        return Err(status.invalid("Invalid status: must be one of open, complete, or expired"));
    }
    Ok(Some(states))
}

async fn events(api: &Api, params: &Node) -> Result<Value, StripeError> {
    let paging = paging::read(params, &["created", "delivery_success", "type", "types"])?;
    let store = &api.ledger.store;
    let mut window = window(params, &paging)?;
    if let Some(id) = paging.starting_after.or(paging.ending_before) {
        let seq = store.event_seq(id).await?.ok_or_else(|| no_cursor("event", &paging))?;
        place(&mut window, &paging, seq);
    }
    let delivered = Param::of(params, "delivery_success").boolean()?;
    let query = EventQuery { types: types(params)?, delivered, window };
    let (events, has_more) = store.events(&query).await?;
    let data: Vec<Value> = events.iter().map(event_json).collect();
    Ok(object::list(&data, has_more, "/v1/events"))
}

/// `type=charge.*` or `types[]=…`: the types of ours that are meant.
fn types(params: &Node) -> Result<Option<Vec<&'static str>>, StripeError> {
    let one = Param::of(params, "type");
    let many = Param::of(params, "types").items()?;
    if one.is_given() && !many.is_empty() {
        return Err(StripeError::invalid(
            "You may only specify one of these parameters: type, types.",
        ));
    }
    if many.len() > TYPES_MAX {
        let message = format!("You may only specify up to {TYPES_MAX} types.");
        return Err(StripeError::invalid(message).param("types"));
    }
    let mut wanted = Vec::with_capacity(many.len());
    for param in std::iter::once(&one).chain(&many) {
        wanted.extend(param.text()?);
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let ours = Happening::ALL.into_iter().map(Happening::event_type);
    Ok(Some(ours.filter(|ours| wanted.iter().any(|wanted| matches_type(wanted, ours))).collect()))
}

fn matches_type(wanted: &str, event_type: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => event_type.starts_with(prefix),
        None => wanted == event_type,
    }
}

/// An event (<https://docs.stripe.com/api/events/object>), also as it is sent to the webhook.
pub fn event_json(event: &EventRow) -> Value {
    json!({
        "id": event.id,
        "object": "event",
        "api_version": object::API_VERSION,
        "created": event.created,
        "data": {"object": event.object},
        "livemode": false,
        "pending_webhooks": i32::from(event.pending),
        "request": event.request,
        "type": event.event_type,
    })
}
