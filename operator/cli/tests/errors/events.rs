//! Events that cannot be handled, and what their dead letters say.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use storefront_contract::{Names, ServiceId, Topic};
use storefront_testkit::{Letter, eventually_some, read_topic};

use crate::Said;

const LIMIT: Duration = Duration::from_secs(60);
const SOURCE: Topic = Topic::PaymentSuccessful;

/// What is wrong, and the value; `None` for the one value that is none.
fn cases() -> Vec<(&'static str, Option<String>)> {
    let with = |field: &str, value: Value| {
        let mut event = json!({
            "userId": "ada",
            "cart": [{"id": "chai", "name": "Masala chai", "quantity": 1, "price": 34_900}],
            "amount": 34_900,
            "currency": "INR",
            "email": "ada@example.com",
            "sessionId": "cs_test_1",
            "orderId": "5ab5989b-728e-548e-b0f9-2ecbda30970d",
            "paidAt": "2026-11-22T00:00:00Z",
        });
        event[field] = value;
        Some(event.to_string())
    };
    vec![
        ("no value", None),
        ("no JSON", Some("{".into())),
        ("no object", Some("17".into())),
        ("no fields", Some("{}".into())),
        ("another currency", with("currency", json!("rupees"))),
        ("an amount that is no number", with("amount", json!("349"))),
        ("an amount that the cart does not add up to", with("amount", json!(1))),
        ("an empty cart", with("cart", json!([]))),
        ("no user", with("userId", json!(""))),
        ("an order that is no id", with("orderId", json!("17"))),
    ]
}

pub async fn messages(brokers: &str) -> Vec<Said> {
    let names = Names::new("");
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let topic = names.topic(SOURCE);
    let cases = cases();
    for (number, (what, value)) in cases.iter().enumerate() {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new()
            .insert(header("ce_specversion", "1.0"))
            .insert(header("ce_id", &id))
            .insert(header("ce_source", "/shops/default/demo/payment"))
            .insert(header("ce_type", "dev.storefront.payment-successful"))
            .insert(header("ce_time", "2026-11-22T00:00:00Z"));
        let mut record = FutureRecord::to(&topic).key(*what).headers(headers);
        record.payload = value.as_ref();
        producer.send(record, LIMIT).await.unwrap();
    }
    let mut said = Vec::new();
    for service in [ServiceId::Order, ServiceId::Email, ServiceId::Analytics] {
        let topic = names.dead_letter(SOURCE, service).unwrap();
        let letters = eventually_some(LIMIT, &topic, async || {
            let letters = read(brokers, &topic);
            (letters.len() >= cases.len()).then_some(letters)
        })
        .await;
        for (what, _) in &cases {
            let told = letters.get(*what).unwrap_or_else(|| panic!("{service} took {what}"));
            said.push(Said::new(format!("{service} is given an event with {what}"), told));
        }
    }
    said
}

/// Reason and error by key.
fn read(brokers: &str, topic: &str) -> BTreeMap<String, String> {
    let told = |letter: &Letter| {
        format!("{}: {}", letter.header("dlq-reason"), letter.header("dlq-error"))
    };
    let letters = read_topic(brokers, topic).unwrap();
    letters.iter().map(|letter| (letter.key().to_owned(), told(letter))).collect()
}
