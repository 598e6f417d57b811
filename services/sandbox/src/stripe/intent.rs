//! The payment intent and the charge behind a session, as Stripe writes them. Pure.

use serde_json::{Value, json};

use super::expand::Expand;
use crate::{
    payment::{Card, ChargeState, Payment, Refusal},
    session::{Happening, Session, State},
};

/// A payment intent (<https://docs.stripe.com/api/payment_intents/object>).
pub fn intent(session: &Session, payment: &Payment, expand: &Expand) -> Value {
    let status = match (payment.charge, session.state) {
        (ChargeState::Succeeded, _) => "succeeded",
        (ChargeState::Pending, _) => "processing",
        (ChargeState::Failed | ChargeState::Challenged, State::Expired) => "canceled",
        (ChargeState::Challenged, _) => "requires_action",
        (ChargeState::Failed, _) => "requires_payment_method",
    };
    let received = if status == "succeeded" { session.amount_total } else { 0 };
    let latest_charge = match &payment.charge_id {
        Some(_) if expand.has("latest_charge") => charge(session, payment),
        id => id.clone().into(),
    };
    json!({
        "id": payment.intent_id,
        "object": "payment_intent",
        "amount": session.amount_total,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": received,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": (status == "canceled").then_some(session.expires_at),
        "cancellation_reason": null,
        "capture_method": "automatic_async",
        "client_secret": null,
        "confirmation_method": "automatic",
        "created": payment.intent_created,
        "currency": session.currency,
        "customer": null,
        "description": null,
        "last_payment_error": payment.refused().map(|refusal| last_error(payment, refusal)),
        "latest_charge": latest_charge,
        "livemode": false,
        "metadata": session.intent_metadata,
        "next_action": (status == "requires_action").then(|| next_action(session)),
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": {},
        "payment_method_types": session.payment_method_types,
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": status,
        "transfer_data": null,
        "transfer_group": null,
    })
}

fn last_error(payment: &Payment, refusal: Refusal) -> Value {
    json!({
        "charge": payment.charge_id,
        "code": refusal.code(),
        "decline_code": refusal.decline_code(),
        "message": refusal.message(),
        "type": if refusal.has_charge() { "card_error" } else { "invalid_request_error" },
    })
}

/// Where the shopper answers the bank.
fn next_action(session: &Session) -> Value {
    let url = format!("{}/authenticate", session.url);
    json!({"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": session.url}})
}

/// A charge (<https://docs.stripe.com/api/charges/object>).
pub fn charge(session: &Session, payment: &Payment) -> Value {
    let paid = payment.charge == ChargeState::Succeeded;
    let refused = payment.refused();
    let payer = &payment.payer;
    json!({
        "id": payment.charge_id,
        "object": "charge",
        "amount": session.amount_total,
        "amount_captured": if paid { session.amount_total } else { 0 },
        "amount_refunded": 0,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": {"address": null, "email": session.email(), "name": payer.name,
                            "phone": null, "tax_id": null},
        "calculated_statement_descriptor": "SANDBOX",
        "captured": paid,
        "created": payment.charge_created,
        "currency": session.currency,
        "customer": null,
        "description": null,
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": refused.map(Refusal::code),
        "failure_message": refused.map(Refusal::message),
        "fraud_details": {},
        "livemode": false,
        "metadata": session.intent_metadata,
        "on_behalf_of": null,
        "outcome": outcome(payment),
        "paid": paid,
        "payment_intent": payment.intent_id,
        "payment_method": null,
        "payment_method_details": method_details(payment),
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": false,
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": payment.charge,
        "transfer_data": null,
        "transfer_group": null,
    })
}

fn outcome(payment: &Payment) -> Value {
    let refused = payment.refused();
    let (network, kind, message) = match refused {
        Some(_) => ("declined_by_network", "issuer_declined", "The bank declined."),
        None => ("approved_by_network", "authorized", "Payment complete."),
    };
    json!({
        "advice_code": null, "network_advice_code": null, "network_decline_code": null,
        "network_status": network, "reason": refused.and_then(Refusal::decline_code),
        "risk_level": "normal", "risk_score": 20, "seller_message": message, "type": kind,
    })
}

fn method_details(payment: &Payment) -> Value {
    if payment.by_bank {
        return json!({
            "type": "sepa_debit",
            "sepa_debit": {"bank_code": "37040044", "branch_code": "", "country": "DE",
                           "fingerprint": null, "last4": "3000", "mandate": null},
        });
    }
    let failed = payment.charge == ChargeState::Failed;
    let card = payment.payer.card.clone().unwrap_or_else(|| Card {
        brand: "visa".into(),
        last4: if failed { "0002" } else { "4242" }.into(),
        exp_month: 12,
        exp_year: 2034,
    });
    json!({
        "type": "card",
        "card": {"brand": card.brand, "checks": null, "country": "US", "exp_month": card.exp_month,
                 "exp_year": card.exp_year, "fingerprint": null, "funding": "credit",
                 "installments": null, "last4": card.last4, "mandate": null,
                 "network": card.brand, "three_d_secure": null, "wallet": null},
    })
}

/// The object that an event of this kind carries, as it is after the happening.
pub fn subject(session: &Session, happening: Happening) -> Value {
    let whole = Expand::default();
    let (Some(payment), true) = (&session.payment, is_about_payment(happening)) else {
        return super::object::session(session, &whole);
    };
    match happening {
        Happening::ChargePending | Happening::ChargeSucceeded | Happening::ChargeFailed => {
            charge(session, payment)
        }
        Happening::IntentCreated => {
            let mut created = intent(session, payment, &whole);
            created["status"] = "requires_payment_method".into();
            created["amount_received"] = 0.into();
            created["latest_charge"] = Value::Null;
            created["last_payment_error"] = Value::Null;
            created
        }
        _ => intent(session, payment, &whole),
    }
}

fn is_about_payment(happening: Happening) -> bool {
    !happening.event_type().starts_with("checkout.session.")
}
