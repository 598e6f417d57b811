//! Sessions, lines, prices and products as Stripe writes them. Pure; the fields are those of API
//! version [`API_VERSION`].

use serde_json::{Value, json};

use super::expand::Expand;
use crate::session::{Line, Session, State};

/// The version that these objects have, whatever version a client asks for.
pub const API_VERSION: &str = "2026-09-30.endive";
/// Lines that stand inside a session; the rest is read by the list of line items.
const LINES_INSIDE: usize = 10;

/// A Checkout session (<https://docs.stripe.com/api/checkout/sessions/object>).
pub fn session(session: &Session, expand: &Expand) -> Value {
    let mut object = base(session);
    let fields = [
        (
            "automatic_tax",
            json!({"enabled": false, "liability": null, "provider": null, "status": null}),
        ),
        ("adaptive_pricing", json!({"enabled": false})),
        ("custom_fields", json!([])),
        (
            "custom_text",
            json!({"after_submit": null, "shipping_address": null, "submit": null,
                   "terms_of_service_acceptance": null}),
        ),
        ("customer_details", customer_details(session)),
        (
            "invoice_creation",
            json!({"enabled": false, "invoice_data": {"account_tax_ids": null,
                   "custom_fields": null, "description": null, "footer": null, "issuer": null,
                   "metadata": {}, "rendering_options": null}}),
        ),
        ("phone_number_collection", json!({"enabled": false})),
        ("shipping_options", json!([])),
        ("total_details", json!({"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0})),
        ("payment_intent", payment_intent(session, expand)),
    ];
    for (name, value) in fields {
        object[name] = value;
    }
    for absent in ABSENT {
        object[*absent] = Value::Null;
    }
    if expand.has("line_items") {
        object["line_items"] = lines_inside(session, &expand.below("line_items"));
    }
    object
}

/// What a session of the stand-in never has.
const ABSENT: &[&str] = &[
    "after_expiration",
    "allow_promotion_codes",
    "billing_address_collection",
    "client_secret",
    "collected_information",
    "consent",
    "consent_collection",
    "currency_conversion",
    "customer",
    "discounts",
    "invoice",
    "locale",
    "origin_context",
    "payment_link",
    "payment_method_configuration_details",
    "recovered_from",
    "saved_payment_method_options",
    "setup_intent",
    "shipping_address_collection",
    "shipping_cost",
    "submit_type",
    "subscription",
    "wallet_options",
];

fn base(session: &Session) -> Value {
    json!({
        "id": session.id,
        "object": "checkout.session",
        "amount_subtotal": session.amount_total,
        "amount_total": session.amount_total,
        "cancel_url": session.cancel_url,
        "client_reference_id": session.client_reference_id,
        "created": session.created,
        "currency": session.currency,
        "customer_creation": "if_required",
        "customer_email": session.customer_email,
        "expires_at": session.expires_at,
        "livemode": false,
        "metadata": session.metadata,
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": session.payment_method_types,
        "payment_status": session.state.payment_status(),
        "status": session.state.status(),
        "success_url": session.success_url,
        "ui_mode": "hosted_page",
        // "This value is only present when the session is active."
        "url": (session.state == State::Open).then_some(&session.url),
    })
}

fn customer_details(session: &Session) -> Value {
    // Known beforehand by `customer_email`, else from the moment the shopper fills the form in.
    let filled_in = session.state.status() == "complete";
    if session.customer_email.is_none() && !filled_in {
        return Value::Null;
    }
    let name = session.payment.as_ref().and_then(|payment| payment.payer.name.as_deref());
    json!({
        "address": null,
        "business_name": null,
        "email": session.email().unwrap_or("shopper@sandbox.example"),
        "individual_name": null,
        "name": filled_in.then_some(name.unwrap_or("Sandbox Shopper")),
        "phone": null,
        "tax_exempt": "none",
        "tax_ids": filled_in.then_some(json!([])),
    })
}

fn payment_intent(session: &Session, expand: &Expand) -> Value {
    let Some(payment) = &session.payment else { return Value::Null };
    if expand.has("payment_intent") {
        super::intent::intent(session, payment, &expand.below("payment_intent"))
    } else {
        payment.intent_id.clone().into()
    }
}

fn lines_inside(session: &Session, expand: &Expand) -> Value {
    let data: Vec<Value> = session
        .lines
        .iter()
        .take(LINES_INSIDE)
        .map(|one| line(one, session, &expand.below("data")))
        .collect();
    list(&data, session.lines.len() > LINES_INSIDE, &line_items_url(session))
}

/// Where the lines of a session are read.
pub fn line_items_url(session: &Session) -> String {
    format!("/v1/checkout/sessions/{}/line_items", session.id)
}

/// One line (<https://docs.stripe.com/api/checkout/sessions/line_items>).
pub fn line(line: &Line, session: &Session, expand: &Expand) -> Value {
    let amount = line.unit_amount.saturating_mul(line.quantity);
    let product = if expand.has("price.product") {
        product(line, session)
    } else {
        line.product_id.clone().into()
    };
    json!({
        "id": line.id,
        "object": "item",
        "adjustable_quantity": null,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": session.currency,
        "description": line.name,
        "metadata": {},
        "price": {
            "id": line.price_id,
            "object": "price",
            "active": false,
            "billing_scheme": "per_unit",
            "created": session.created,
            "currency": session.currency,
            "custom_unit_amount": null,
            "livemode": false,
            "lookup_key": null,
            "metadata": {},
            "nickname": null,
            "product": product,
            "recurring": null,
            "tax_behavior": "unspecified",
            "tiers_mode": null,
            "transform_quantity": null,
            "type": "one_time",
            "unit_amount": line.unit_amount,
            "unit_amount_decimal": line.unit_amount.to_string(),
        },
        "quantity": line.quantity,
    })
}

fn product(line: &Line, session: &Session) -> Value {
    json!({
        "id": line.product_id,
        "object": "product",
        "active": false,
        "created": session.created,
        "default_price": null,
        "description": line.description,
        "images": line.images,
        "livemode": false,
        "marketing_features": [],
        "metadata": line.product_metadata,
        "name": line.name,
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "type": "service",
        "unit_label": null,
        "updated": session.created,
        "url": null,
    })
}

/// A page of a list (<https://docs.stripe.com/api/pagination>).
pub fn list(data: &[Value], has_more: bool, url: &str) -> Value {
    json!({"object": "list", "data": data, "has_more": has_more, "url": url})
}
