//! One payment and what becomes of it, as the documents show it. A test holds that every example is an
//! event that consumers take, with the ids that really follow from shop and session.

use serde_json::{Value, json};

use crate::{
    envelope::{CONTENT_TYPE, SPEC_VERSION, headers},
    topics::Topic,
};

/// The shop that `examples/demo.yaml` makes.
pub const SHOP: &str = "default/demo";
/// A session as Stripe names them in test mode.
pub const SESSION_ID: &str = "cs_test_a1B2c3D4e5F6g7H8";
/// The order of that session in that shop.
pub const ORDER_ID: &str = "9a551cf3-b474-5d7f-86e8-448530ebde7f";
/// The shopper.
pub const USER_ID: &str = "ada";
/// Where her receipt goes.
pub const EMAIL: &str = "ada@example.com";
/// The receipt's `Message-ID`.
pub const MESSAGE_ID: &str = "8c5b43b5-25bb-5390-913a-be9d1aee2382@example.com";
/// When Stripe said that the session was paid.
pub const PAID_AT: &str = "2026-01-02T03:04:05Z";
/// When the order was stored, and when the mail was taken.
pub const CREATED_AT: &str = "2026-01-02T03:04:06.25Z";
/// In paise: the sum of [`cart`].
pub const AMOUNT: i64 = 1_969_700;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What was bought.
pub fn cart() -> Value {
    json!([
        {"id": "phone", "name": "Nova 5G phone, 128 GB", "quantity": 1, "price": 1_899_900},
        {"id": "chai", "name": "Masala chai from Assam, 250 g", "quantity": 2, "price": 34_900},
    ])
}

/// The value of a record of a topic.
pub fn value(topic: Topic) -> Value {
    match topic {
        Topic::PaymentSuccessful => json!({
            "userId": USER_ID, "cart": cart(), "amount": AMOUNT, "currency": "INR", "email": EMAIL,
            "sessionId": SESSION_ID, "orderId": ORDER_ID, "paidAt": PAID_AT,
        }),
        Topic::OrderSuccessful => json!({
            "orderId": ORDER_ID, "userId": USER_ID, "cart": cart(), "amount": AMOUNT,
            "currency": "INR", "sessionId": SESSION_ID, "createdAt": CREATED_AT,
        }),
        Topic::EmailSuccessful => json!({
            "messageId": MESSAGE_ID, "userId": USER_ID, "orderId": ORDER_ID,
            "sessionId": SESSION_ID, "template": "payment-receipt", "sentAt": CREATED_AT,
        }),
    }
}

/// The headers of that record.
pub fn headers(topic: Topic) -> Value {
    let (id, event_type, sender, time) = match topic {
        Topic::PaymentSuccessful => {
            ("7a1ab77c-d384-5e58-a335-de44fd6392b4", "payment-successful", "payment", PAID_AT)
        }
        Topic::OrderSuccessful => {
            ("cdd4fd5b-4c49-59e7-a3e3-91f70a8f38d1", "order-successful", "order", CREATED_AT)
        }
        Topic::EmailSuccessful => {
            ("8c5b43b5-25bb-5390-913a-be9d1aee2382", "email-successful", "email", CREATED_AT)
        }
    };
    json!({
        headers::SPEC_VERSION: SPEC_VERSION,
        headers::ID: id,
        headers::TYPE: format!("dev.storefront.{event_type}"),
        headers::SOURCE: format!("/shops/{SHOP}/{sender}"),
        headers::TIME: time,
        headers::CONTENT_TYPE: CONTENT_TYPE,
        headers::TRACEPARENT: TRACEPARENT,
    })
}
