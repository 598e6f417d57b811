//! 200 payments whose verify and webhook arrive together, duplicated and shuffled by a seed, become
//! 200 orders, 200 mails and 200 events on each topic, and nothing else.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use storefront_pipeline_tests::{Shop, ok};
use storefront_testkit::{eventually, read_topic, seed};

const PAYMENTS: usize = 200;
const AT_ONCE: usize = 32;
const LIMIT: Duration = Duration::from_secs(60);
const TOPICS: [&str; 3] = ["payment-successful", "order-successful", "email-successful"];

#[tokio::test]
async fn each_payment_is_one_order_one_mail_and_one_event_a_topic() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    let mut random = fastrand::Rng::with_seed(seed());
    // Each event is sent twice, after a delay drawn for each delivery.
    let faults = json!({"seed": random.u32(..), "webhooks": "duplicate", "webhook_jitter_ms": 300});
    ok(&shop.http.put_json(shop.sandbox("/control/faults"), &faults).await?)?;

    let sessions: Vec<String> = stream::iter(0..PAYMENTS)
        .map(|n| {
            let shop = &shop;
            async move { shop.checkout(&format!("user-{}", n % 50), &format!("cart-{n}")).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    ensure!(BTreeSet::from_iter(&sessions).len() == PAYMENTS, "two carts got the same session");

    // For each session one payment and three looks at the success page, all shuffled together.
    let mut steps: Vec<(usize, bool)> =
        (0..PAYMENTS).flat_map(|n| [(n, true), (n, false), (n, false), (n, false)]).collect();
    random.shuffle(&mut steps);
    stream::iter(steps)
        .map(|(n, pay)| {
            let (shop, session) = (&shop, &sessions[n]);
            async move {
                if pay { ok(&shop.act(session, "pay").await?) } else { shop.verify(session).await }
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;

    eventually(LIMIT, "all mails have come", async || {
        shop.mails().await.is_ok_and(|mails| mails.len() >= PAYMENTS)
    })
    .await;
    eventually(LIMIT, "all events stand on their topics", async || {
        let complete = |topic: &&str| {
            read_topic(shop.brokers(), topic).is_ok_and(|records| records.len() >= PAYMENTS)
        };
        TOPICS.iter().all(complete)
    })
    .await;
    settled(&shop, &sessions).await
}

/// Compares what the ledger says was paid with everything that came of it.
async fn settled(shop: &Shop, sessions: &[String]) -> Result<()> {
    let paid = shop.paid().await?;
    ensure!(paid.len() == PAYMENTS, "{} sessions were paid", paid.len());
    let wanted: BTreeSet<String> = sessions.iter().cloned().collect();
    for topic in TOPICS {
        let records = read_topic(shop.brokers(), topic)?;
        ensure!(records.len() == PAYMENTS, "{topic} has {} records", records.len());
        let ids: BTreeSet<&str> = records.iter().map(|r| r.header("ce_id")).collect();
        ensure!(ids.len() == PAYMENTS, "{topic} has {} ids", ids.len());
        let session = |value: Value| value["sessionId"].as_str().map(str::to_owned);
        let of: BTreeSet<String> = records.iter().filter_map(|r| session(r.value())).collect();
        ensure!(of == wanted, "{topic} is not about the sessions that were paid");
        ensure!(records.iter().all(|r| r.value()["userId"] == r.key()), "a key is no user");
    }
    let amounts: i64 = paid.iter().map(|(_, amount)| amount).sum();
    let events: i64 = read_topic(shop.brokers(), TOPICS[0])?
        .iter()
        .filter_map(|record| record.value()["amount"].as_i64())
        .sum();
    ensure!(amounts == events, "paid {amounts}, but the events say {events}");
    let mails = shop.mails().await?;
    let message_ids: BTreeSet<&String> = mails.iter().collect();
    ensure!((mails.len(), message_ids.len()) == (PAYMENTS, PAYMENTS), "{} mails", mails.len());
    for topic in ["payment-successful.order-service.dlq", "payment-successful.email-service.dlq"] {
        ensure!(read_topic(shop.brokers(), topic)?.is_empty(), "{topic} is not empty");
    }
    for session in sessions.iter().take(5) {
        let verified = shop.verify(session).await?;
        ensure!(verified["status"] == "paid", "{verified}");
        let path = format!("/orders/{}", verified["orderId"].as_str().unwrap_or_default());
        let order = ok(&shop.http.get(shop.gateway(&path)).await?)?;
        ensure!(order["sessionId"] == session.as_str(), "{order}");
    }
    Ok(())
}
