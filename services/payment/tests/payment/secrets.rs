//! Secrets: what ends the start, and how they are rotated under load.

use std::fs;

use serde_json::json;
use storefront_sandbox::{Sandbox, webhook_signature};

use crate::shop::{On, Shop, Wish, phone};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_without_a_right_signature_is_refused_cheaply() -> anyhow::Result<()> {
    let shop = Shop::open(On::Sqlite).await?;
    let session = shop.checkout("u-1").await?;
    let body = json!({"id": "evt_1", "type": "checkout.session.completed",
                      "data": {"object": {"id": session}}})
    .to_string();
    let now = jiff::Timestamp::now().as_second();
    let signed = |secret: &str, time| webhook_signature(secret, &body, time);
    let good = signed(Sandbox::WEBHOOK_SECRET, now);
    let headers = [
        None,
        Some(String::new()),
        Some(good.replace("v1=", "v0=")),
        Some(signed("whsec_foreign", now)),
        Some(signed("", now)),
        Some(signed(Sandbox::WEBHOOK_SECRET, now - 302)),
        Some(signed(Sandbox::WEBHOOK_SECRET, now + 302)),
        Some(format!("t={now},{good}")),
    ];
    for header in &headers {
        let reply = shop.webhook(&body, header.as_deref()).await?;
        assert_eq!(reply.status, 400, "{header:?}");
        assert!(!reply.text().contains("whsec"), "{}", reply.text());
    }
    let changed = body.replace("evt_1", "evt_2");
    assert_eq!(shop.webhook(&changed, Some(&good)).await?.status, 400);
    // The same JSON with other blanks is another body.
    let rewritten = body.replace(':', ": ");
    assert_eq!(shop.webhook(&rewritten, Some(&good)).await?.status, 400);
    assert!(shop.sql("SELECT id FROM stripe_events", &[]).await?.is_empty());
    let reads = r#"storefront_stripe_calls_total{call="retrieve_session",result="ok"}"#;
    assert_eq!(shop.metric(reads).await?, 0);
    assert_eq!(shop.webhook(&body, Some(&good)).await?.status, 200);
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_file_ends_the_start_and_is_named() -> anyhow::Result<()> {
    let shop = Shop::open(On::Sqlite).await?;
    let folder = shop.folder.path().display().to_string();
    let mut said = Vec::new();
    for (file, content, good) in [
        ("api-key", "", Sandbox::API_KEY),
        ("api-key", "sk_test_xxx", Sandbox::API_KEY),
        ("api-key", "hunter2", Sandbox::API_KEY),
        ("api-key", "sk_live_4eC39HqLyjWDarjtT1", Sandbox::API_KEY),
        ("webhook-secret", "\n", Sandbox::WEBHOOK_SECRET),
        ("webhook-secret", "changeme", Sandbox::WEBHOOK_SECRET),
        ("webhook-secret-old", "<the old secret>", Sandbox::WEBHOOK_SECRET),
        ("catalog.json", "{}", crate::shop::CATALOG),
    ] {
        let refusal = shop.refusal(file, content).await?;
        said.push(format!("{file} {content:?}: {}", refusal.replace(&folder, "DIR")));
        fs::write(shop.path(file), good)?;
    }
    insta::assert_snapshot!(said.join("\n"));
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_rotated_without_a_failed_request() -> anyhow::Result<()> {
    let shop = Shop::open(On::Sqlite).await?;
    let mut last = Sandbox::WEBHOOK_SECRET.to_owned();
    for round in 0..20 {
        let next = format!("whsec_round{round}x8f3a51c7e29b4d06");
        // The old one first, so that there is no moment without both.
        fs::write(shop.path("webhook-secret-old"), &last)?;
        fs::write(shop.path("webhook-secret.new"), &next)?;
        fs::rename(shop.path("webhook-secret.new"), shop.path("webhook-secret"))?;
        fs::write(shop.path("api-key.new"), format!("sk_test_round{round}4eC39HqLyjWDarjtT1"))?;
        fs::rename(shop.path("api-key.new"), shop.path("api-key"))?;
        for (secret, number) in [(&last, 0), (&next, 1)] {
            let event = json!({"id": format!("evt_{round}_{number}"), "type": "ping.pong"});
            assert_eq!(shop.signed(&event, secret).await?.status, 200, "round {round}");
        }
        shop.post(&phone(&format!("u-{round}")), None).await?.expect_status(200)?;
        last = next;
    }
    fs::remove_file(shop.path("webhook-secret-old"))?;
    let event = json!({"id": "evt_late", "type": "ping.pong"});
    assert_eq!(shop.signed(&event, Sandbox::WEBHOOK_SECRET).await?.status, 400);
    assert_eq!(shop.signed(&event, &last).await?.status, 200);
    // A rotation gone wrong does not take the shop down.
    fs::write(shop.path("webhook-secret"), "")?;
    fs::write(shop.path("api-key"), "changeme")?;
    assert_eq!(shop.signed(&event, &last).await?.status, 200);
    shop.post(&phone("u-last"), None).await?.expect_status(200)?;
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stripe_with_a_ca_of_its_own_is_checked_against_it() -> anyhow::Result<()> {
    for (name, trusted, status) in
        [("localhost", true, 200), ("stripe.example", true, 504), ("localhost", false, 504)]
    {
        let wish = Wish { stripe_tls: Some((name, trusted)), timeout_ms: 500, ..Wish::default() };
        let shop = Shop::open_with(On::Sqlite, wish).await?;
        let reply = shop.post(&phone("u-1"), None).await?;
        assert_eq!(reply.status, status, "{name} {trusted}: {}", reply.text());
        assert_eq!(shop.sandbox.sessions().await?.len(), usize::from(status == 200));
        shop.close().await?;
    }
    Ok(())
}
