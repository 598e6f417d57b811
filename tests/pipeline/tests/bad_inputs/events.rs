//! Records that are no events: each consumer sets each aside, once, with a reason, and goes on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use storefront_pipeline_tests::Shop;
use storefront_testkit::{eventually, read_topic};

const LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "payment-successful";
const GROUPS: [&str; 3] = ["order-service", "email-service", "analytic-service"];
/// From the last of the garbage to the good event's order.
const GOES_ON: Duration = Duration::from_secs(20);

/// A payment as it should be, in parts.
fn payment() -> Value {
    json!({
        "userId": "ada",
        "cart": [{"id": "chai", "name": "Masala chai", "quantity": 1, "price": 34_900}],
        "amount": 34_900, "currency": "INR", "email": "ada@example.com", "sessionId": "cs_test_good",
        "orderId": "5ab5989b-728e-548e-b0f9-2ecbda30970d", "paidAt": "2026-11-22T00:00:00Z",
    })
}

fn with(field: &str, value: impl Into<Value>) -> Vec<u8> {
    let mut event = payment();
    event[field] = value.into();
    event.to_string().into()
}

/// The values of a payment, without their names.
fn array() -> Vec<u8> {
    let fields =
        ["userId", "cart", "amount", "currency", "email", "sessionId", "orderId", "paidAt"];
    Value::from(fields.map(|field| payment()[field].take()).to_vec()).to_string().into()
}

fn line(id: &str) -> Vec<u8> {
    with("cart", json!([{"id": id, "name": "Masala chai", "quantity": 1, "price": 34_900}]))
}

fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    vec![
        ("nothing", Vec::new()),
        ("no UTF-8", vec![0xff, 0xfe, 0x00, 0x80]),
        ("binary", (0..=255).collect()),
        ("no JSON", b"not json".to_vec()),
        ("half of it", payment().to_string().into_bytes()[..60].to_vec()),
        ("two in one", format!("{0}{0}", payment()).into()),
        ("20,000 deep", deep("[", "]").into()),
        ("20,000 objects deep", deep("{\"a\":", "}").into()),
        ("900 KB of blanks", vec![b' '; 900_000]),
        ("a field twice", payment().to_string().replacen('{', "{\"userId\": \"eve\", ", 1).into()),
        ("an amount below zero", with("amount", -34_900)),
        ("an amount beyond all", with("amount", u64::MAX)),
        ("an amount that does not add up", with("amount", 1)),
        ("a currency that is none", with("currency", "GOLD")),
        (
            "a cart without end",
            with(
                "cart",
                vec![json!({"id": "chai", "name": "x", "quantity": 1, "price": 1}); 5_000],
            ),
        ),
        ("a user of 100 KB", with("userId", "u".repeat(100_000))),
        ("an order that is no id", with("orderId", "../../etc/passwd")),
        ("a time that is none", with("paidAt", "yesterday")),
        ("an emptiness", with("sessionId", "")),
        ("an array", array()),
        ("an array for a line", with("cart", json!([["chai", "Masala chai", 1, 34_900]]))),
        ("a product without an id", line("")),
        ("a product's id of 65 letters", line(&"x".repeat(65))),
    ]
}

async fn send(producer: &FutureProducer, id: &str, key: &[u8], value: &[u8]) -> Result<()> {
    let header = |key, value| Header { key, value: Some(value) };
    let headers = OwnedHeaders::new()
        .insert(header("ce_specversion", "1.0"))
        .insert(header("ce_id", id))
        .insert(header("ce_source", "/shops/default/demo/payment"))
        .insert(header("ce_type", "dev.storefront.payment-successful"))
        .insert(header("ce_time", "2026-11-22T00:00:00Z"));
    // All on one partition: what comes behind waits for what is before.
    let record = FutureRecord::to(TOPIC).partition(0).key(key).payload(value).headers(headers);
    producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_set_aside_and_what_follows_is_done() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", shop.brokers()).create()?;
    let garbage = garbage();
    for (number, (what, value)) in garbage.iter().enumerate() {
        // Keys may be anything, too.
        let key: &[u8] = if number % 2 == 0 { what.as_bytes() } else { &[0xff, 0x00] };
        send(&producer, &format!("{what}-{number}"), key, value).await?;
    }
    let began = Instant::now();
    send(&producer, "good", b"ada", payment().to_string().as_bytes()).await?;
    eventually(LIMIT, "the order of what follows", async || {
        read_topic(shop.brokers(), "order-successful").is_ok_and(|orders| orders.len() == 1)
    })
    .await;
    ensure!(began.elapsed() < GOES_ON, "it took {:?}", began.elapsed());
    for group in GROUPS {
        let topic = format!("{TOPIC}.{group}.dlq");
        let mut missing = Vec::new();
        eventually(LIMIT, &format!("all of the garbage in {topic}"), async || {
            let letters = read_topic(shop.brokers(), &topic).unwrap_or_default();
            let is_there = |id: &String| letters.iter().any(|letter| letter.header("ce_id") == id);
            missing = ids(&garbage).into_iter().filter(|id| !is_there(id)).collect();
            missing.is_empty()
        })
        .await;
        let letters = read_topic(shop.brokers(), &topic)?;
        ensure!(letters.len() == garbage.len(), "{topic} has {} letters", letters.len());
        for letter in &letters {
            let (what, error) = (letter.header("ce_id"), letter.header("dlq-error"));
            ensure!(!letter.header("dlq-reason").is_empty(), "{what} has no reason");
            ensure!(
                !error.is_empty() && error.len() < 1_000,
                "{what}: {} bytes of error",
                error.len()
            );
            let (_, sent) =
                &garbage[ids(&garbage).iter().position(|id| id == what).unwrap_or_default()];
            ensure!(&letter.payload == sent, "{what} is not what was sent");
        }
    }
    Ok(())
}

fn ids(garbage: &[(&str, Vec<u8>)]) -> Vec<String> {
    garbage.iter().enumerate().map(|(number, (what, _))| format!("{what}-{number}")).collect()
}
