//! Events as other programs see them, and what is refused.

use storefront_contract::{
    AnyEvent, EmailSuccessful, Event, Incoming, OrderSuccessful, PaymentSuccessful, Topic,
    examples, ids,
    schemas::{file_name, schemas},
};

const PAYMENT: &str = r#"{"userId":"u1","cart":[{"id":"phone","name":"Nova 5G","quantity":2,"price":1899900}],
    "amount":3799800,"currency":"INR","email":"a@example.com","sessionId":"cs_test_1",
    "orderId":"0198c8f4-0000-5000-8000-000000000001","paidAt":"2026-01-02T03:04:05Z"}"#;

#[test]
fn a_payment_reads_and_writes_as_the_design_says() {
    let event = PaymentSuccessful::decode(Topic::PaymentSuccessful, PAYMENT.as_bytes()).unwrap();
    assert_eq!((event.key(), event.identity().as_str()), ("u1", "cs_test_1"));
    let written = serde_json::to_value(&event).unwrap();
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(PAYMENT).unwrap());
}

#[test]
fn what_cannot_be_a_payment_is_refused_with_its_field() {
    let error = |payment: &str| {
        let error = AnyEvent::decode(Topic::PaymentSuccessful, payment.as_bytes()).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{}: {error}; {cause}", error.reason())
    };
    let refused = |from: &str, to: &str| {
        let text = PAYMENT.replacen(from, to, 1);
        assert_ne!(text, PAYMENT, "{from}");
        error(&text)
    };
    insta::assert_snapshot!(
        [
            refused("{", "garbage"),
            error(r#"["u1",[],0,"INR",null,"cs_test_1","0198c8f4-0000-5000-8000-000000000001","2026-01-02T03:04:05Z"]"#),
            refused("\"amount\":3799800,", ""),
            refused("3799800", "3799801"),
            refused("\"phone\"", "\"\""),
            refused("\"phone\"", &format!("{:?}", "x".repeat(65))),
            refused("{\"id\":\"phone\",\"name\":\"Nova 5G\",\"quantity\":2,\"price\":1899900}", "[\"phone\",\"Nova 5G\",2,1899900]"),
            refused("\"quantity\":2", "\"quantity\":0"),
            refused("\"quantity\":2", "\"quantity\":-1"),
            refused("\"quantity\":2", "\"quantity\":1.5"),
            refused("1899900", "9223372036854775807"),
            refused("1899900", "-1"),
            refused("INR", "inr"),
            refused("\"u1\"", "\"\""),
            refused("2026-01-02T03:04:05Z", "yesterday"),
        ]
        .join("\n")
    );
}

#[test]
fn the_schemas_under_version_control_are_those_of_the_types() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
    for (topic, schema) in schemas() {
        let file = format!("{folder}/{}", file_name(topic));
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        let now = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        assert_eq!(kept, now, "{file} is not in step: run `make generate`");
    }
}

#[test]
fn the_examples_are_events_with_the_ids_that_follow() {
    fn check<E: Event>() -> E {
        let value = examples::value(E::TOPIC);
        let event = E::decode(E::TOPIC, value.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), value, "{}", E::TOPIC);
        let (shop, headers) = (examples::SHOP.parse().unwrap(), examples::headers(E::TOPIC));
        assert_eq!(headers["ce_type"], E::TYPE);
        let id = ids::event_id(&shop, E::TYPE, &event.identity());
        assert_eq!(headers["ce_id"], id.to_string(), "{}", E::TOPIC);
        event
    }
    let payment = check::<PaymentSuccessful>();
    let shop = examples::SHOP.parse().unwrap();
    assert_eq!(payment.order_id, ids::order_id(&shop, examples::SESSION_ID));
    check::<OrderSuccessful>();
    // The mail is named by the id of the event that tells of it.
    let email = check::<EmailSuccessful>();
    let id = ids::event_id(&shop, EmailSuccessful::TYPE, &email.identity());
    assert_eq!(email.message_id, format!("{id}@example.com"));
}
