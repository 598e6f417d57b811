//! How a session comes to be: idempotency keys, crashes, and a Stripe that is slow, broken or away.

use std::time::{Duration, Instant};

use http::Request;
use http_body_util::Full;
use serde_json::json;
use storefront_sandbox::{ApiFault, FaultSettings};
use storefront_testkit::{Postgres, PostgresOptions, eventually, seed};

use crate::shop::{On, SOON, Shop, Wish, insist, on_both, phone};

on_both! {
    the_same_key_at_once_makes_one_session
    a_key_stands_for_its_request
    carts_that_come_at_once_keep_their_own_rows
    a_crash_between_stripe_and_the_row_ends_in_the_same_session
    a_stored_failure_of_stripes_needs_another_key
    as_many_stored_failures_as_may_be_leave_a_way_on
    stripe_is_down_and_comes_back
    a_creation_does_not_wait_for_all_sessions_that_are_due
    a_form_leads_to_the_payment_or_back_to_the_cart
}

fn broken(share: f64, status: u16, stored: bool, applied: bool) -> FaultSettings {
    let (status, calls) = (Some(status), vec!["create".into()]);
    let api = ApiFault { status, share, stored, applied, calls, ..ApiFault::default() };
    FaultSettings { api: Some(api), ..FaultSettings::default() }
}

async fn the_same_key_at_once_makes_one_session(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    shop.sandbox.set_faults(FaultSettings { api_delay_ms: 150, ..FaultSettings::default() });
    let body = phone("u-1");
    let posts = (0..30).map(|_| shop.post(&body, Some("key-1")));
    let replies = futures_util::future::try_join_all(posts).await?;
    let session = insist(&shop, &body, "key-1").await;
    for reply in replies {
        match reply.status {
            200 => assert_eq!(reply.json()?["id"], json!(session)),
            409 => assert_eq!(reply.header("retry-after"), Some("1")),
            status => anyhow::bail!("{status}: {}", reply.text()),
        }
    }
    assert_eq!(shop.sandbox.sessions().await?.len(), 1);
    // The key is the user's own: another one may use the same words.
    assert_ne!(insist(&shop, &phone("u-2"), "key-1").await, session);
    assert_eq!(shop.sandbox.sessions().await?.len(), 2);
    shop.close().await
}

async fn a_key_stands_for_its_request(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let first = shop.post(&phone("u-1"), Some("key-1")).await?.expect_status(200)?.json()?;
    let other = json!({"userId": "u-1", "cart": [{"id": "case", "quantity": 1}]});
    let reply = shop.post(&other, Some("key-1")).await?;
    assert_eq!(
        (reply.status, reply.json()?["title"].clone()),
        (422, json!("Idempotency key reused"))
    );
    // The stored answer, even when the price has changed since, or the session was paid.
    std::fs::write(shop.path("catalog.json"), crate::shop::CATALOG.replace("1899900", "1999900"))?;
    eventually(SOON, "the new price", async || {
        shop.post(&phone("u-2"), None).await.is_ok_and(|reply| reply.status == 409)
    })
    .await;
    let again = shop.post(&phone("u-1"), Some("key-1")).await?.expect_status(200)?.json()?;
    assert_eq!(again, first);
    assert_eq!(shop.post(&other, Some("key-1")).await?.status, 422);
    // A day later the key is free again.
    let age = "UPDATE payments SET created_at = created_at - 86400001 \
               WHERE idempotency_key IS NOT NULL RETURNING id";
    assert_eq!(shop.sql(age, &[]).await?.len(), 1);
    let later = shop.post(&other, Some("key-1")).await?.expect_status(200)?.json()?;
    assert_ne!(later["id"], first["id"]);
    assert_eq!(shop.post(&phone("u-1"), Some(&"k".repeat(256))).await?.status, 400);
    shop.close().await
}

async fn carts_that_come_at_once_keep_their_own_rows(on: On) -> anyhow::Result<()> {
    const CARTS: usize = 60;
    let shop = Shop::open(on).await?;
    let cart = |number: usize| {
        let mut body = json!({"userId": format!("u-{}", number % 20), "cart": [{"id": "case", "quantity": number + 1}]});
        if number.is_multiple_of(3) {
            body["email"] = json!(format!("u-{number}@example.com"));
        }
        body
    };
    let key = |number: usize| number.is_multiple_of(2).then(|| format!("key-{}", number / 2));
    let posts = (0..CARTS).map(async |number| {
        let reply = shop.post(&cart(number), key(number).as_deref()).await?;
        anyhow::Ok((reply.expect_status(200)?.json()?, number))
    });
    for (checkout, number) in futures_util::future::try_join_all(posts).await? {
        let row = "SELECT user_id, email, cart, idempotency_key, state, url FROM payments WHERE session_id = $1";
        let rows = shop.sql(row, &[crate::shop::text(&checkout["id"])]).await?;
        let [row] = &rows[..] else { anyhow::bail!("{} rows of cart {number}", rows.len()) };
        let (wanted, stored) =
            (cart(number), serde_json::from_str::<serde_json::Value>(&row.text("cart")?)?);
        assert_eq!(stored[0]["quantity"], wanted["cart"][0]["quantity"]);
        assert_eq!(json!(row.text("user_id")?), wanted["userId"]);
        assert_eq!(json!(row.opt_text("email")?), wanted["email"]);
        assert_eq!(row.opt_text("idempotency_key")?, key(number));
        assert_eq!(
            (json!(row.text("url")?), &*row.text("state")?),
            (checkout["url"].clone(), "open")
        );
    }
    if matches!(on, On::Postgres) {
        let together = "SELECT COUNT(DISTINCT xmin::text) AS statements FROM payments";
        let statements = shop.sql(together, &[]).await?[0].int("statements")?;
        assert!(
            usize::try_from(statements)? < CARTS / 2,
            "{statements} statements for {CARTS} carts"
        );
    }
    shop.close().await
}

async fn a_form_leads_to_the_payment_or_back_to_the_cart(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let post = async |form: &'static str| {
        let request = Request::post(format!("{}/payment", shop.url))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        shop.http.send(request.body(Full::from(form))?).await
    };
    let led = post("quantity.phone=1&price.phone=1899900&email=").await?.expect_status(303)?;
    let [session] = &shop.sandbox.sessions().await?[..] else { anyhow::bail!("no session") };
    assert_eq!(led.header("location"), Some(&*session.url));
    let back = async |form| {
        let reply = post(form).await?.expect_status(303)?;
        anyhow::Ok(reply.header("location").unwrap_or_default().to_owned())
    };
    assert_eq!(back("quantity.phone=0&email=").await?, "/?notice=empty-cart");
    assert_eq!(
        back("quantity.phone=1&price.phone=1&quantity.case=2").await?,
        "/?notice=price-changed&changed=phone&quantity.phone=1&quantity.case=2"
    );
    assert_eq!(back("quantity.tv=1").await?, "/?notice=unknown-product&quantity.tv=1");
    assert_eq!(back("quantity.phone=1000").await?, "/?notice=amount&quantity.phone=1000");
    assert_eq!(back("quantity.phone=1001").await?, "/?notice=quantity&quantity.phone=1001");
    assert_eq!(back("quantity.phone=1&email=ada").await?, "/?notice=email&quantity.phone=1");
    assert_eq!(post("amount=1").await?.status, 422);
    assert_eq!(shop.sandbox.sessions().await?.len(), 1);
    shop.close().await
}

async fn a_crash_between_stripe_and_the_row_ends_in_the_same_session(on: On) -> anyhow::Result<()> {
    let wish = Wish { sweep_interval_ms: 200, ..Wish::default() };
    let shop = Shop::open_with(on, wish).await?;
    // What the database holds when the process is killed after Stripe's answer and before the row.
    let crash = "UPDATE payments SET state = 'creating', session_id = NULL, url = NULL, \
                 next_check_at = 0 WHERE user_id = $1 RETURNING id";
    let swept = shop.checkout("u-1").await?;
    shop.sql(crash, &["u-1"]).await?;
    shop.reaches(&swept, "open").await;
    let body = phone("u-2");
    let retried = insist(&shop, &body, "key-1").await;
    shop.sql(crash, &["u-2"]).await?;
    assert_eq!(
        insist(&shop, &body, "key-1").await,
        retried,
        "whoever is first, shopper or sweeper"
    );
    assert_eq!(shop.sandbox.sessions().await?.len(), 2);
    shop.close().await
}

async fn a_stored_failure_of_stripes_needs_another_key(on: On) -> anyhow::Result<()> {
    let seed = seed();
    let shop = Shop::open(on).await?;
    shop.sandbox.set_faults(FaultSettings { seed: Some(seed), ..broken(0.5, 500, true, false) });
    let users: Vec<_> = (0..12).map(|number| phone(&format!("u-{number}"))).collect();
    let sessions =
        futures_util::future::join_all(users.iter().map(|b| insist(&shop, b, "k"))).await;
    let attempts = shop.sql("SELECT MAX(attempt) AS most FROM payments", &[]).await?;
    assert!(attempts[0].int("most")? > 1, "a key was spent");
    assert_eq!(shop.sandbox.sessions().await?.len(), sessions.len());
    let spent = r#"storefront_stripe_calls_total{call="create_session",result="key-spent"}"#;
    assert!(shop.metric(spent).await? > 0);
    shop.close().await
}

async fn as_many_stored_failures_as_may_be_leave_a_way_on(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    shop.sandbox.set_faults(broken(1.0, 500, true, false));
    let body = phone("u-1");
    eventually(SOON, "a dozen keys are spent", async || {
        let reply = shop.post(&body, Some("k")).await;
        assert!(reply.is_ok_and(|reply| [409, 502, 503].contains(&reply.status)));
        let rows = shop.sql("SELECT attempt FROM payments", &[]).await;
        rows.is_ok_and(|rows| rows[0].int("attempt").is_ok_and(|spent| spent > 12))
    })
    .await;
    shop.sandbox.set_faults(FaultSettings::default());
    let session = insist(&shop, &body, "k").await;
    let ledger = shop.sandbox.sessions().await?;
    assert_eq!(ledger.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), [session]);
    shop.close().await
}

async fn a_creation_does_not_wait_for_all_sessions_that_are_due(on: On) -> anyhow::Result<()> {
    let wish = Wish { sweep_interval_ms: 200, webhooks: false, ..Wish::default() };
    let shop = Shop::open_with(on, wish).await?;
    let users: Vec<String> = (0..80).map(|number| format!("u-{number}")).collect();
    futures_util::future::try_join_all(users.iter().map(|user| shop.checkout(user))).await?;
    let cut_off = shop.checkout("cut-off").await?;
    let crash = "UPDATE payments SET state = 'creating', session_id = NULL, url = NULL, \
                 next_check_at = NULL WHERE user_id = $1 RETURNING id";
    shop.sql(crash, &["cut-off"]).await?;
    // All at once, as after an hour without this service; the creation is the youngest.
    let due = "UPDATE payments SET next_check_at = CASE WHEN state = 'creating' THEN 1 ELSE 0 END \
               RETURNING id";
    shop.sql(due, &[]).await?;
    shop.reaches(&cut_off, "open").await;
    let waiting = shop.sql("SELECT id FROM payments WHERE next_check_at = 0", &[]).await?;
    assert!(!waiting.is_empty(), "the sessions were looked at before");
    shop.close().await
}

async fn stripe_is_down_and_comes_back(on: On) -> anyhow::Result<()> {
    let wish = Wish { timeout_ms: 300, sweep_interval_ms: 200, ..Wish::default() };
    let shop = Shop::open_with(on, wish).await?;
    shop.sandbox.set_faults(broken(1.0, 503, false, false));
    let began = Instant::now();
    let reply = shop.post(&phone("u-1"), Some("key-1")).await?;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(reply.header("retry-after").is_some());
    assert!(!reply.text().contains("127.0.0.1"), "no address of ours: {}", reply.text());
    assert_eq!(shop.states().await?["creating"], 1);
    shop.sandbox.set_faults(FaultSettings::default());
    // Nobody asks again, and still it is finished: within a minute, here at once.
    eventually(SOON, "the sweeper finishes it", async || {
        shop.states().await.is_ok_and(|states| states.get("open") == Some(&1))
    })
    .await;
    let session = insist(&shop, &phone("u-1"), "key-1").await;
    let ledger = shop.sandbox.sessions().await?;
    assert_eq!(ledger.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), [session]);
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stripe_that_hangs_holds_nobody_longer_than_ten_seconds() -> anyhow::Result<()> {
    let wish = Wish { timeout_ms: 400, ..Wish::default() };
    let shop = Shop::open_with(On::Sqlite, wish).await?;
    shop.sandbox.set_faults(FaultSettings { api_delay_ms: 60_000, ..FaultSettings::default() });
    let began = Instant::now();
    let reply = shop.post(&phone("u-1"), None).await?;
    assert_eq!((reply.status, began.elapsed() < Duration::from_secs(10)), (504, true));
    assert_eq!(shop.verify("cs_test_unknown").await?.status, 504);
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_are_refused_for_now_and_every_shopper_gets_a_session() -> anyhow::Result<()> {
    let seed = seed();
    let shop = Shop::open(On::Sqlite).await?;
    // Ten seconds are a dozen attempts; that all of one shopper's are refused happens in one of 3,000 runs.
    shop.sandbox.set_faults(FaultSettings { seed: Some(seed), ..broken(0.4, 429, false, false) });
    let posts = (0..20).map(|number| shop.checkout_of(number));
    let sessions = futures_util::future::try_join_all(posts).await?;
    assert_eq!(shop.sandbox.sessions().await?.len(), sessions.len());
    let limited = r#"storefront_stripe_calls_total{call="create_session",result="rate-limited"}"#;
    assert!(shop.metric(limited).await? > 0);
    shop.close().await
}

impl Shop {
    async fn checkout_of(&self, number: usize) -> anyhow::Result<String> {
        self.checkout(&format!("u-{number}")).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_down_and_comes_back() -> anyhow::Result<()> {
    let postgres = Postgres::private(&PostgresOptions::default()).await?;
    let wish = Wish { database_url: Some(postgres.database().await?), ..Wish::default() };
    let shop = Shop::open_with(On::Postgres, wish).await?;
    let session = shop.checkout("u-1").await?;
    postgres.kill()?;
    for reply in [
        shop.post(&phone("u-2"), None).await?,
        shop.verify(&session).await?,
        shop.signed(
            &json!({"id": "evt_1", "type": "checkout.session.completed",
                    "data": {"object": {"id": session}}}),
            storefront_sandbox::Sandbox::WEBHOOK_SECRET,
        )
        .await?,
    ] {
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert!(reply.header("retry-after").is_some());
    }
    // Stripe goes on: what is paid meanwhile is known as soon as the database is back.
    shop.sandbox.pay(&session).await?;
    postgres.start().await?;
    shop.reaches(&session, "paid").await;
    assert_eq!(shop.outbox().await?.len(), 1);
    shop.close().await
}
