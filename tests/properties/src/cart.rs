//! A catalog, and the body of `POST /payment`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use storefront_contract::{
    CartLine, Currency, Event as _, Incoming as _, PaymentSuccessful, cart, product::is_product_id,
};
use storefront_payment::fuzzing::{
    Catalog, CheckedRequest, FieldProblem, Form, PaymentRequest, PricedCart, QUANTITY_MAX, price,
    problems,
};
use storefront_runtime::{Problem, http::parse};
use uuid::Uuid;

use crate::{halves, is_readable};

const CATALOG: &str = r#"{"products": [
    {"id": "phone", "name": "Nova 5G", "price": 1899900},
    {"id": "chai", "name": "Masala chai", "price": 34900},
    {"id": "gift", "name": "Gift", "price": 0}
]}"#;

/// Bytes are a body, JSON or a form; a currency and a catalog may stand before it, up to a line `---`.
pub fn cart(bytes: &[u8]) {
    let (shop, body) = halves(bytes, b"\n---\n");
    let Some(catalog) = catalog(shop) else { return };
    metadata(body);
    let request = match read(body) {
        Ok(request) => request,
        Err(problem) => return is_refusal(&problem),
    };
    match request.check() {
        Err(faults) => name_fields(body, faults),
        Ok(request) => {
            is_within_limits(&request);
            adds_up(body, &request);
            charge(&request, &catalog);
        }
    }
}

/// As payment's shop has it; none when the file is refused.
fn catalog(shop: &[u8]) -> Option<Catalog> {
    let (currency, products) = halves(shop, b"\n");
    let currency = std::str::from_utf8(currency).ok().and_then(|code| code.parse().ok());
    let inr: Currency = "INR".parse().ok()?;
    let products = if products.is_empty() { CATALOG.as_bytes() } else { products };
    match Catalog::parse(products, currency.unwrap_or(inr)) {
        Ok(catalog) => Some(catalog),
        Err(error) => {
            is_readable("a catalog's fault", &error.to_string());
            None
        }
    }
}

fn is_json(body: &[u8]) -> bool {
    body.trim_ascii_start().first().is_some_and(|first| b"{[\"".contains(first))
}

fn read(body: &[u8]) -> Result<PaymentRequest, Problem> {
    if is_json(body) { parse(body) } else { Form::read(body).map(|form| form.into_parts().0) }
}

/// Never a 500, and what is wrong is told.
fn is_refusal(problem: &Problem) {
    let answer = problem.to_json();
    assert!(problem.status().is_client_error(), "{answer}");
    is_readable("a refusal", answer["detail"].as_str().unwrap_or_default());
}

/// Each fault is of a field of the body, which is there.
fn name_fields(body: &[u8], faults: Vec<FieldProblem>) {
    assert!((1..=20).contains(&faults.len()), "{} faults", faults.len());
    let body: Option<Value> = is_json(body).then(|| serde_json::from_slice(body).ok()).flatten();
    for FieldProblem { pointer, detail } in &faults {
        is_readable("a fault", detail);
        let is_field = ["/userId", "/email", "/cart"].iter().any(|it| pointer.starts_with(it));
        let is_there = body.as_ref().is_none_or(|body| body.pointer(pointer).is_some());
        assert!(is_field && is_there, "{pointer}: {detail}");
    }
    is_refusal(&problems::fields(faults));
}

fn is_within_limits(request: &CheckedRequest) {
    assert!((1..=255).contains(&request.user_id.len()), "{request:?}");
    assert!(!request.user_id.chars().any(char::is_control), "{request:?}");
    assert!((1..=100).contains(&request.cart.len()), "{request:?}");
    let email = request.email.as_deref().unwrap_or("a@b.c");
    let breaks_out = |c: char| c.is_control() || c.is_whitespace() || "<>,;\"".contains(c);
    assert!(email.len() <= 254 && !email.contains(breaks_out), "{email:?}");
    for line in &request.cart {
        assert!((1..=QUANTITY_MAX).contains(&line.quantity), "{line:?}");
        assert!(is_product_id(&line.id), "{line:?}");
        let same = request.cart.iter().filter(|other| other.id == line.id);
        assert_eq!(same.count(), 1, "{line:?} is there again");
    }
    assert_eq!(request.fingerprint().len(), 64);
}

/// Of each product as many pieces as all lines of the body say; and another writing of the same is the same request.
fn adds_up(body: &[u8], request: &CheckedRequest) {
    let Some(body) = is_json(body).then(|| serde_json::from_slice::<Value>(body).ok()).flatten()
    else {
        return;
    };
    let mut pieces: BTreeMap<&str, u64> = BTreeMap::new();
    for line in body["cart"].as_array().into_iter().flatten() {
        let id = line["id"].as_str().unwrap_or_default();
        *pieces.entry(id).or_default() += line["quantity"].as_u64().unwrap_or_default();
    }
    let counted: BTreeMap<&str, u64> =
        request.cart.iter().map(|line| (line.id.as_str(), line.quantity.into())).collect();
    assert_eq!(counted, pieces);
    let again = parse::<PaymentRequest>(format!(" {body:#}\n").as_bytes());
    let again = again.ok().and_then(|request| request.check().ok());
    assert_eq!(again.map(|it| it.fingerprint()), Some(request.fingerprint()));
}

fn charge(request: &CheckedRequest, catalog: &Catalog) {
    let seen_otherwise = request.cart.iter().any(|line| {
        let product = catalog.product(&line.id);
        line.price.is_some_and(|seen| product.is_none_or(|product| product.price != seen))
    });
    match price(request, catalog) {
        Err(error) => {
            is_readable("a refusal", &error.to_string());
            is_refusal(&problems::pricing(&error, catalog.currency()));
        }
        Ok(priced) => {
            assert!(!seen_otherwise, "nobody agreed to {priced:?}");
            is_the_catalogs(&priced, request, catalog);
            can_be_sent(priced, request, catalog.currency());
        }
    }
}

/// Every price is the catalog's, and the amount is their sum, counted where nothing overflows.
fn is_the_catalogs(priced: &PricedCart, request: &CheckedRequest, catalog: &Catalog) {
    assert_eq!(priced.lines.len(), request.cart.len());
    let mut sum: i128 = 0;
    for (line, wanted) in priced.lines.iter().zip(&request.cart) {
        let product = catalog.product(&line.id).map(|product| product.price);
        assert_eq!((&line.id, line.quantity), (&wanted.id, wanted.quantity));
        assert_eq!(Some(line.price), product);
        sum += i128::from(line.price) * i128::from(line.quantity);
    }
    assert_eq!(i128::from(priced.amount), sum);
    assert!(priced.amount > 0, "nothing is paid");
}

/// The event of such a payment is one that consumers take, and the cart survives Stripe's metadata.
fn can_be_sent(priced: PricedCart, request: &CheckedRequest, currency: Currency) {
    let lines: Vec<(String, u32)> =
        priced.lines.iter().map(|CartLine { id, quantity, .. }| (id.clone(), *quantity)).collect();
    let written = cart::compact(lines.iter().map(|(id, quantity)| (id.as_str(), *quantity)));
    let written = written.expect("it was written before");
    assert!(written.values().all(|value| value.len() <= cart::VALUE_MAX_LENGTH));
    assert_eq!(cart::expand(|key| written.get(key).map(String::as_str)), Ok(lines));

    let event = PaymentSuccessful {
        user_id: request.user_id.clone(),
        cart: priced.lines,
        amount: priced.amount,
        currency,
        email: request.email.clone(),
        session_id: "cs_test_1".into(),
        order_id: Uuid::nil(),
        paid_at: Timestamp::UNIX_EPOCH,
    };
    let value = serde_json::to_vec(&event).expect("an event is JSON");
    let read = PaymentSuccessful::decode(PaymentSuccessful::TOPIC, &value);
    assert_eq!(read.expect("consumers take it"), event);
}

/// What Stripe's metadata may hold: read, it is a cart that is written and read alike.
fn metadata(body: &[u8]) {
    let Ok(text) = std::str::from_utf8(body) else { return };
    match cart::expand(|key| (key == "cart").then_some(text)) {
        Err(error) => is_readable("a cart's fault", &error.to_string()),
        Ok(lines) => {
            let written =
                cart::compact(lines.iter().map(|(id, quantity)| (id.as_str(), *quantity)));
            let Ok(written) = written else { return };
            assert_eq!(cart::expand(|key| written.get(key).map(String::as_str)), Ok(lines));
        }
    }
}
