//! The checkout page and its neighbours as HTML. Everything that the shop or the shopper wrote is text
//! here: the templates escape it.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use url::Url;

use super::{
    cards::{CARDS, Outcome, TestCard},
    form::{Fields, Method, Mistakes},
};
use crate::{
    html::{CHECKOUT_SCRIPT, Page},
    payment::{Card, ChargeState, Refusal},
    session::{Session, State},
    stripe::shown_amount,
};

/// Lines that are shown at once; the rest is behind a summary, so that the form stays near.
pub const LINES_SHOWN: usize = 6;

struct LineView<'a> {
    name: &'a str,
    quantity: i64,
    price: String,
    amount: String,
}

/// What is paid.
struct OrderView<'a> {
    id: &'a str,
    verb: &'static str,
    lines: Vec<LineView<'a>>,
    total: String,
    /// The shop's own page.
    back: Option<&'a str>,
}

impl<'a> OrderView<'a> {
    fn of(session: &'a Session) -> Self {
        let money = |amount| shown_amount(amount, &session.currency);
        let lines = session.lines.iter().map(|line| LineView {
            name: &line.name,
            quantity: line.quantity,
            price: money(line.unit_amount),
            amount: money(line.unit_amount.saturating_mul(line.quantity)),
        });
        Self {
            id: &session.id,
            verb: "Pay",
            lines: lines.collect(),
            total: money(session.amount_total),
            back: session.cancel_url.as_deref(),
        }
    }
}

#[derive(Template)]
#[template(path = "field.html")]
struct Field<'a> {
    id: &'static str,
    label: &'static str,
    value: &'a str,
    placeholder: &'static str,
    kind: &'static str,
    /// What a browser may fill in: never a card, as the one that it knows is a real one.
    autocomplete: &'static str,
    numeric: bool,
    mistake: Option<&'static str>,
    focus: bool,
}

/// Test cards that do alike.
struct Group {
    title: &'static str,
    cards: Vec<&'static TestCard>,
}

/// The first of each kind at once, the others behind summaries.
fn groups() -> Vec<Group> {
    let offered = || CARDS.iter().filter(|card| card.label.is_some());
    let of = |kind: fn(Outcome) -> bool| offered().filter(move |card| kind(card.outcome));
    let paid = |outcome| outcome == Outcome::Paid;
    let asked = |outcome| matches!(outcome, Outcome::Asked(_));
    let refused = |outcome| matches!(outcome, Outcome::Refused(_));
    let first = of(paid).take(1).chain(of(asked).take(1)).chain(of(refused).take(2));
    vec![
        Group { title: "", cards: first.collect() },
        Group { title: "More that are declined", cards: of(refused).skip(2).collect() },
        Group {
            title: "Other brands, more 3-D Secure",
            cards: of(paid).skip(1).chain(of(asked).skip(1)).collect(),
        },
    ]
}

#[derive(Template)]
#[template(path = "checkout.html")]
struct CheckoutPage<'a> {
    order: OrderView<'a>,
    known_email: Option<&'a str>,
    refused: Option<Refusal>,
    challenged: bool,
    bank: bool,
    wrong: bool,
    filled: String,
    cards: Vec<Group>,
    /// Each is a [`Field`], written.
    email: String,
    number: String,
    expiry: String,
    cvc: String,
    name: String,
}

/// What the form shows besides the session.
#[derive(Clone, Default)]
pub struct Shown {
    pub fields: Fields,
    pub mistakes: Mistakes,
    /// The test card that was just filled in.
    pub filled: Option<&'static TestCard>,
}

/// The form of an open session.
pub fn form(session: &Session, shown: &Shown) -> Response {
    let wrong = shown.mistakes != Mistakes::default();
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = Page {
        script: Some(CHECKOUT_SCRIPT),
        form_targets: form_targets(session),
        ..Page::checkout()
    };
    page.answer(status, write_form(session, shown, wrong))
}

fn write_form(session: &Session, shown: &Shown, wrong: bool) -> Result<String, askama::Error> {
    let Shown { fields, mistakes, filled } = shown;
    let payment = session.payment.as_ref();
    let untouched = !wrong && filled.is_none();
    let refused = payment.and_then(crate::payment::Payment::refused).filter(|_| untouched);
    let challenged =
        untouched && payment.is_some_and(|payment| payment.charge == ChargeState::Challenged);
    let all = [mistakes.email, mistakes.number, mistakes.expiry, mistakes.cvc, mistakes.name];
    let first_wrong = all.iter().position(Option::is_some);
    let field = |place, id, label, value, placeholder| Field {
        id,
        label,
        value,
        placeholder,
        kind: if id == "email" { "email" } else { "text" },
        autocomplete: if id == "email" { "email" } else { "off" },
        numeric: matches!(id, "number" | "expiry" | "cvc"),
        mistake: all[place],
        focus: first_wrong == Some(place),
    };
    // A number that is no test card's may be a real one: it is not sent back.
    let number = if mistakes.number.is_some() { "" } else { &fields.number };
    CheckoutPage {
        order: OrderView::of(session),
        known_email: session.customer_email.as_deref(),
        refused,
        challenged,
        bank: fields.method == Method::Bank,
        wrong,
        filled: filled.map(filled_words).unwrap_or_default(),
        cards: groups(),
        email: field(0, "email", "Email", &fields.email, "name@example.com").render()?,
        number: field(1, "number", "Card number", number, "4242 4242 4242 4242").render()?,
        expiry: field(2, "expiry", "Expiry", &fields.expiry, "MM / YY").render()?,
        cvc: field(3, "cvc", "CVC", &fields.cvc, "123").render()?,
        name: field(4, "name", "Name on card", &fields.name, "").render()?,
    }
    .render()
}

fn filled_words(card: &'static TestCard) -> String {
    format!("Filled in: {}, {}", card.label.unwrap_or(card.brand), card.grouped())
}

#[derive(Template)]
#[template(path = "challenge.html")]
struct ChallengePage<'a> {
    order: OrderView<'a>,
    card: Option<&'a Card>,
}

/// The bank's question.
pub fn challenge(session: &Session) -> Response {
    let page = Page { form_targets: form_targets(session), ..Page::checkout() };
    let card = session.payment.as_ref().and_then(|payment| payment.payer.card.as_ref());
    page.answer(StatusCode::OK, ChallengePage { order: OrderView::of(session), card }.render())
}

#[derive(Debug, Default)]
struct Note<'a> {
    mark: &'static str,
    title: String,
    text: String,
    id: &'a str,
    /// Offers what the bank can do.
    bank: bool,
    link: Option<(String, &'static str)>,
    code: Option<String>,
}

#[derive(Template)]
#[template(path = "note.html")]
struct NotePage<'a> {
    note: Note<'a>,
}

/// A session that cannot be paid any more, or not yet.
pub fn ended(session: &Session) -> Response {
    let total = shown_amount(session.amount_total, &session.currency);
    let to_order = || Some((session.success_address(), "To your order"));
    let to_shop = || session.cancel_url.clone().map(|url| (url, "Back to the shop"));
    let note = match session.state {
        State::Open | State::Expired => Note {
            mark: "⌛",
            title: "This checkout has expired".into(),
            text: "Its time ran out before it was paid. Nothing was charged. Go back to the shop \
                   and start again from your cart."
                .into(),
            link: to_shop(),
            ..Note::default()
        },
        State::Paid => Note {
            mark: "✓",
            title: format!("{total} is paid"),
            text: "This checkout is finished: it cannot be paid twice.".into(),
            link: to_order(),
            ..Note::default()
        },
        State::Processing => Note {
            mark: "🏦",
            title: "The bank is on its way with the money".into(),
            text: format!("{total} was promised by bank. You are the bank now: say what happens."),
            bank: true,
            link: to_order(),
            ..Note::default()
        },
        State::Failed => Note {
            mark: "✕",
            title: "The bank did not send the money".into(),
            text: format!(
                "The payment of {total} failed. Nothing was charged. Go back to the shop \
                           and pay in another way."
            ),
            link: to_shop(),
            ..Note::default()
        },
    };
    let status = match session.state {
        State::Open | State::Expired => StatusCode::GONE,
        State::Paid | State::Processing | State::Failed => StatusCode::OK,
    };
    let note = Note { id: &session.id, ..note };
    let page = Page { form_targets: form_targets(session), ..Page::checkout() };
    page.answer(status, NotePage { note }.render())
}

/// There is no such session.
pub fn unknown() -> Response {
    let note = Note {
        mark: "?",
        title: "There is no such checkout".into(),
        text: "The address names no checkout session of this stand-in. It may have been cut off \
               when it was copied, or the stand-in has started afresh since. Nothing was charged: \
               go back to the shop and start again from your cart."
            .into(),
        ..Note::default()
    };
    Page::checkout().answer(StatusCode::NOT_FOUND, NotePage { note }.render())
}

/// Something else stood in the way.
pub fn failed(status: StatusCode, code: String) -> Response {
    let note = Note {
        mark: "✕",
        title: "That did not work".into(),
        text: "Nothing was charged. Go back, load the page again and try once more.".into(),
        code: Some(code),
        ..Note::default()
    };
    Page::checkout().answer(status, NotePage { note }.render())
}

/// Where the buttons lead in the end.
fn form_targets(session: &Session) -> Vec<String> {
    let urls = [Some(&session.success_url), session.cancel_url.as_ref()];
    let origins = urls.into_iter().flatten().filter_map(|url| Url::parse(url).ok());
    let mut origins: Vec<String> = origins.map(|url| url.origin().ascii_serialization()).collect();
    origins.dedup();
    origins
}
