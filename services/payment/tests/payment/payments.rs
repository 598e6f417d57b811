//! Payments from cart to outbox: every payment becomes one event, whoever brings the news, in whatever
//! order, however often.

use std::{collections::HashSet, time::Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use serde_json::{Value, json};
use storefront_sandbox::{Action, FaultSettings, Sandbox, WebhookFault};
use storefront_testkit::{Cutter, Moment, Reply, eventually, eventually_some, seed};

use crate::shop::{On, SOON, Shop, Wish, on_both, phone, stripe, text};

on_both! {
    a_payment_from_cart_to_outbox
    a_thousand_payments_whose_news_all_messengers_bring_at_once
    a_delayed_payment_comes_or_does_not
    a_session_that_expires
    what_was_paid_differs_from_what_was_priced
    an_event_that_is_faster_than_our_own_row
    a_row_that_was_lost_is_rebuilt
    a_rebuilt_row_without_its_cart_is_held_only_when_it_is_paid
    sessions_of_others_are_left_alone
    without_webhooks_the_sweeper_finds_every_payment
}

async fn a_payment_from_cart_to_outbox(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let cart = json!([{"id": "phone", "quantity": 1}, {"id": "case", "quantity": 1},
                      {"id": "case", "quantity": 1, "price": 49_900}]);
    let reply = shop.post(&json!({"userId": "u-1", "cart": cart}), None).await?;
    let checkout = reply.expect_status(200)?.json()?;
    let session = text(&checkout["id"]);
    assert!(text(&checkout["url"]).ends_with(session), "{checkout}");

    let open = shop.verify(session).await?.expect_status(200)?.json()?;
    assert_eq!((&open["status"], &open["url"]), (&json!("open"), &checkout["url"]));
    assert!(shop.outbox().await?.is_empty());

    shop.sandbox.pay(session).await?;
    shop.reaches(session, "paid").await;
    let paid = shop.verify(session).await?.expect_status(200)?.json()?;
    let events = shop.outbox().await?;
    assert_eq!(events.len(), 1);
    let order_id = events[0]["orderId"].clone();
    let lines = json!([{"id": "phone", "name": "Nova 5G", "quantity": 1, "price": 1_899_900},
                       {"id": "case", "name": "Case", "quantity": 2, "price": 49_900}]);
    assert_eq!(
        paid,
        json!({"status": "paid", "orderId": order_id, "userId": "u-1", "cart": lines,
               "amount": 1_999_700, "currency": "INR"})
    );
    // The request had no address, so the one that the shopper gave Stripe is used.
    assert_eq!(events[0]["email"], "shopper@sandbox.example");
    assert_eq!(events[0]["cart"], paid["cart"]);
    assert_eq!(shop.metric(r#"storefront_payments_total{state="paid"}"#).await?, 1);
    shop.close().await
}

/// As a shopper who comes again when told to, because there is too much to do.
async fn patiently(ask: impl AsyncFn() -> anyhow::Result<Reply>) -> anyhow::Result<Reply> {
    let reply = eventually_some(4 * SOON, "an answer", async || {
        let reply = ask().await;
        let come_again = reply.as_ref().is_ok_and(|reply| matches!(reply.status, 409 | 503 | 504));
        (!come_again).then_some(reply)
    });
    reply.await?.expect_status(200)
}

async fn a_thousand_payments_whose_news_all_messengers_bring_at_once(on: On) -> anyhow::Result<()> {
    const AT_ONCE: usize = 64;
    // A server has to bear more than a laptop.
    let payments: i64 = if matches!(on, On::Postgres) { 1_000 } else { 200 };
    let mut random = fastrand::Rng::with_seed(seed());
    let shop = Shop::open_with(on, Wish { sweep_interval_ms: 100, ..Wish::default() }).await?;
    // Each event comes twice, some time within what all payments take.
    shop.sandbox.set_faults(FaultSettings {
        seed: Some(random.u64(..)),
        webhooks: WebhookFault::Duplicate,
        webhook_jitter_ms: 2_000,
        ..FaultSettings::default()
    });
    let users: Vec<String> = (0..payments).map(|number| format!("u-{number}")).collect();
    let posts = users.iter().map(async |user| {
        let cart = json!({"userId": user, "cart": [{"id": "phone", "quantity": 1}]});
        let reply = patiently(async || shop.post(&cart, Some(user)).await).await?;
        anyhow::Ok(text(&reply.json()?["id"]).to_owned())
    });
    let sessions: Vec<String> = stream::iter(posts).buffer_unordered(AT_ONCE).try_collect().await?;

    // Each session is paid once and looked at three times, all in a random order and at once. The sweeper finds rows and events.
    let each =
        sessions.iter().flat_map(|session| [true, false, false, false].map(|p| (session, p)));
    let mut steps: Vec<(&String, bool)> = each.collect();
    random.shuffle(&mut steps);
    let steps = steps.into_iter().map(|(session, pays)| {
        let shop = &shop;
        async move {
            if pays {
                shop.sandbox.pay(session).await?;
            }
            patiently(async || shop.verify(session).await).await.map(drop)
        }
    });
    let () = stream::iter(steps).buffer_unordered(AT_ONCE).try_collect().await?;
    shop.all_delivered().await;

    let paid: Vec<_> = shop.states().await?.into_iter().collect();
    assert_eq!(paid, [("paid".to_owned(), payments)]);
    let events = shop.outbox().await?;
    let told: HashSet<&str> = events.iter().filter_map(|e| e["sessionId"].as_str()).collect();
    assert_eq!((events.len(), told.len()), (sessions.len(), sessions.len()));
    assert!(sessions.iter().all(|session| told.contains(session.as_str())));
    // Each had one winner.
    let won = shop.metric(r#"storefront_payments_total{state="paid"}"#).await?;
    assert_eq!(i64::try_from(won)?, payments);
    // The faults bit: Stripe's ledger and its deliveries say so, not we. And the sweeper was there.
    assert_eq!(shop.sandbox.sessions().await?.len(), sessions.len());
    assert!(shop.sandbox.deliveries().await?.attempts >= 2 * payments);
    let listed = r#"storefront_stripe_calls_total{call="list_events",result="ok"}"#;
    assert!(shop.metric(listed).await? > 1);
    shop.close().await
}

async fn a_delayed_payment_comes_or_does_not(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let (comes, fails) = (shop.checkout("u-1").await?, shop.checkout("u-2").await?);
    for session in [&comes, &fails] {
        shop.sandbox.act(session, Action::Delay).await?;
        shop.reaches(session, "processing").await;
        assert_eq!(shop.status(session).await?, "processing");
    }
    assert!(shop.outbox().await?.is_empty());
    shop.sandbox.act(&comes, Action::Settle).await?;
    shop.sandbox.act(&fails, Action::Fail).await?;
    shop.reaches(&comes, "paid").await;
    shop.reaches(&fails, "failed").await;
    assert_eq!((&*shop.status(&comes).await?, &*shop.status(&fails).await?), ("paid", "failed"));
    assert_eq!(shop.outbox().await?.len(), 1);
    shop.close().await
}

async fn a_session_that_expires(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let session = shop.checkout("u-1").await?;
    shop.sandbox.act(&session, Action::Expire).await?;
    shop.reaches(&session, "expired").await;
    let answer = shop.verify(&session).await?.expect_status(200)?.json()?;
    assert_eq!((&answer["status"], answer.get("url")), (&json!("expired"), None));
    assert!(shop.outbox().await?.is_empty());
    shop.close().await
}

async fn what_was_paid_differs_from_what_was_priced(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let (amount, currency) = (shop.checkout("u-1").await?, shop.checkout("u-2").await?);
    let less = "UPDATE payments SET amount = amount + 1 WHERE session_id = $1 RETURNING id";
    shop.sql(less, &[&amount]).await?;
    let other = "UPDATE payments SET currency = 'USD' WHERE session_id = $1 RETURNING id";
    shop.sql(other, &[&currency]).await?;
    for session in [&amount, &currency] {
        shop.sandbox.pay(session).await?;
        shop.reaches(session, "held").await;
        assert_eq!(shop.status(session).await?, "processing");
    }
    shop.all_delivered().await;
    assert!(shop.outbox().await?.is_empty());
    assert_eq!(shop.metric(r#"storefront_payments_total{state="held"}"#).await?, 2);
    let reason = "SELECT reason FROM payments WHERE session_id = $1";
    let reason = shop.sql(reason, &[&amount]).await?[0].text("reason")?;
    assert_eq!(reason, "priced ₹18,999.01, paid ₹18,999.00");
    shop.close().await
}

async fn an_event_that_is_faster_than_our_own_row(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let session = shop.checkout("u-1").await?;
    // As if Stripe's answer to the creation were still on its way, for a long time.
    let forget = "UPDATE payments SET state = 'creating', session_id = NULL, url = NULL, \
                  next_check_at = next_check_at + 3600000 WHERE session_id = $1 RETURNING id";
    shop.sql(forget, &[&session]).await?;
    shop.sandbox.pay(&session).await?;
    shop.reaches(&session, "paid").await;
    shop.all_delivered().await;
    assert_eq!(shop.states().await?.values().sum::<i64>(), 1, "joined, not doubled");
    assert_eq!(shop.outbox().await?.len(), 1);
    shop.close().await
}

async fn a_row_that_was_lost_is_rebuilt(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let body = json!({"userId": "u-1", "cart": [{"id": "case", "quantity": 2}, {"id": "phone", "quantity": 1}]});
    let reply = shop.post(&body, None).await?.expect_status(200)?.json()?;
    let session = text(&reply["id"]);
    shop.sql("DELETE FROM payments RETURNING id", &[]).await?;
    assert_eq!(shop.status(session).await?, "open", "verify rebuilds it");
    shop.sql("DELETE FROM payments RETURNING id", &[]).await?;
    shop.sandbox.pay(session).await?;
    shop.reaches(session, "paid").await;
    shop.all_delivered().await;
    let events = shop.outbox().await?;
    assert_eq!(events.len(), 1);
    let lines = json!([{"id": "case", "name": "Case", "quantity": 2, "price": 49_900},
                       {"id": "phone", "name": "Nova 5G", "quantity": 1, "price": 1_899_900}]);
    assert_eq!((&events[0]["userId"], &events[0]["cart"]), (&json!("u-1"), &lines));
    shop.close().await
}

async fn a_rebuilt_row_without_its_cart_is_held_only_when_it_is_paid(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let form = "mode=payment&success_url=https://shop.example.com/&metadata[shop]=default/demo\
        &metadata[userId]=u-1&line_items[0][quantity]=1\
        &line_items[0][price_data][currency]=inr&line_items[0][price_data][unit_amount]=5000\
        &line_items[0][price_data][product_data][name]=Made+by+hand";
    let [paid, expired] = [(), ()].map(|()| stripe(&shop, "/v1/checkout/sessions", form));
    let (paid, expired) = (paid.await?, expired.await?);
    let (paid, expired) = (text(&paid["id"]), text(&expired["id"]));
    for session in [paid, expired] {
        let answer = shop.verify(session).await?.expect_status(200)?.json()?;
        assert_eq!((&answer["status"], &answer["amount"]), (&json!("open"), &json!(5_000)));
    }
    shop.sandbox.act(expired, Action::Expire).await?;
    shop.reaches(expired, "expired").await;
    shop.sandbox.pay(paid).await?;
    shop.reaches(paid, "held").await;
    let reason = "SELECT reason FROM payments WHERE session_id = $1";
    let reason = shop.sql(reason, &[paid]).await?[0].text("reason")?;
    assert_eq!(reason, "rebuilt from Stripe without its cart");
    shop.all_delivered().await;
    assert!(shop.outbox().await?.is_empty());
    shop.close().await
}

async fn sessions_of_others_are_left_alone(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let form = "mode=payment&success_url=https://other.example.com/&metadata[shop]=default/other\
        &line_items[0][quantity]=1&line_items[0][price_data][currency]=inr\
        &line_items[0][price_data][unit_amount]=5000\
        &line_items[0][price_data][product_data][name]=Theirs";
    let theirs = stripe(&shop, "/v1/checkout/sessions", form).await?;
    let theirs = text(&theirs["id"]);
    let reads = async |result: &str| {
        let labels = format!(r#"{{call="retrieve_session",result="{result}"}}"#);
        shop.metric(&format!("storefront_stripe_calls_total{labels}")).await
    };
    for _ in 0..5 {
        assert_eq!(shop.verify(theirs).await?.status, 404);
        assert_eq!(shop.verify("cs_test_a1nobodymadethis").await?.status, 404);
    }
    assert_eq!((reads("ok").await?, reads("missing").await?), (1, 1), "asked once each");
    for bad in ["cs_live_a1b2", "cs_test_", "pi_1", "..%2F..%2Fcharges", &"cs_test_1".repeat(700)] {
        assert_eq!(shop.verify(bad).await?.status, 404, "{bad:.40}");
    }
    assert_eq!((reads("ok").await?, reads("missing").await?), (1, 1), "not asked at all");
    shop.sandbox.pay(theirs).await?;
    eventually(SOON, "the event is counted", async || {
        shop.metric("storefront_stripe_foreign_total").await.is_ok_and(|count| count >= 2)
    })
    .await;
    shop.all_delivered().await;
    assert_eq!(shop.sandbox.deliveries().await?.failed, 0, "answered 200");
    assert!(shop.states().await?.is_empty() && shop.outbox().await?.is_empty());
    shop.close().await
}

async fn without_webhooks_the_sweeper_finds_every_payment(on: On) -> anyhow::Result<()> {
    let wish = Wish { webhooks: false, sweep_interval_ms: 200, ..Wish::default() };
    let shop = Shop::open_with(on, wish).await?;
    let by_row = shop.checkout("u-1").await?;
    shop.sandbox.pay(&by_row).await?;
    shop.reaches(&by_row, "paid").await;
    // Rows that nobody looks at: only the list of events brings their news.
    let mut by_list = Vec::new();
    for number in 0..5 {
        by_list.push(shop.checkout(&format!("v-{number}")).await?);
    }
    shop.sql("UPDATE payments SET next_check_at = NULL RETURNING id", &[]).await?;
    for session in &by_list {
        shop.sandbox.pay(session).await?;
    }
    for session in &by_list {
        shop.reaches(session, "paid").await;
    }
    assert_eq!(shop.outbox().await?.len(), 6);
    // The cursor stands at an event that Stripe does not list any more: it looks back and goes on.
    let lost = "UPDATE stripe_cursor SET event_id = 'evt_forgotten' RETURNING name";
    assert_eq!(shop.sql(lost, &[]).await?.len(), 1);
    let session = shop.checkout("w-1").await?;
    shop.sql("UPDATE payments SET next_check_at = NULL RETURNING id", &[]).await?;
    shop.sandbox.pay(&session).await?;
    shop.reaches(&session, "paid").await;
    assert_eq!(shop.outbox().await?.len(), 7);
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_write_each_event_once() -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed());
    let shop = Shop::open(On::Postgres).await?;
    let urls = [shop.url.clone(), shop.second().await?];
    let users: Vec<String> = (0..60).map(|number| format!("u-{number}")).collect();
    let sessions = try_join_all(users.iter().map(|user| shop.checkout(user))).await?;
    let each = sessions.iter().flat_map(|session| [(session, 0), (session, 1), (session, 2)]);
    let mut steps: Vec<(&String, usize)> = each.collect();
    random.shuffle(&mut steps);
    try_join_all(steps.into_iter().map(|(session, step)| {
        let (shop, url) = (&shop, urls.get(step));
        async move {
            match url {
                Some(url) => {
                    let url = format!("{url}/payment/verify?session_id={session}");
                    shop.http.get(url).await?.expect_status(200)?;
                }
                None => drop(shop.sandbox.pay(session).await?),
            }
            anyhow::Ok(())
        }
    }))
    .await?;
    shop.all_delivered().await;
    assert_eq!(shop.states().await?.into_iter().collect::<Vec<_>>(), [("paid".to_owned(), 60)]);
    assert_eq!(shop.outbox().await?.len(), 60);
    shop.close().await
}

/// The last guard: two instances that both believe to be alone, and both hear that it is paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_ends_too_early_doubles_nothing() -> anyhow::Result<()> {
    let shop = Shop::open_with(On::Postgres, Wish { webhooks: false, ..Wish::default() }).await?;
    let second = shop.second().await?;
    let session = shop.checkout("u-1").await?;
    shop.sandbox.pay(&session).await?;
    shop.sandbox.set_faults(FaultSettings { api_delay_ms: 1_500, ..FaultSettings::default() });
    let steal = async {
        // As if the first one had slept for longer than its claim lasts.
        let claimed = "UPDATE payments SET claimed_until = 0 WHERE claimed_until > 0 RETURNING id";
        eventually(SOON, "the first one asks", async || {
            shop.sql(claimed, &[]).await.is_ok_and(|rows| rows.len() == 1)
        })
        .await;
        shop.http.get(format!("{second}/payment/verify?session_id={session}")).await
    };
    let (first, other) = tokio::join!(shop.verify(&session), steal);
    for reply in [first?, other?] {
        assert_eq!(reply.expect_status(200)?.json()?["status"], "paid");
    }
    assert_eq!(shop.outbox().await?.len(), 1);
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_a_thousand_times_is_one_payment() -> anyhow::Result<()> {
    let shop = Shop::open_with(On::Sqlite, Wish { webhooks: false, ..Wish::default() }).await?;
    let session = shop.checkout("u-1").await?;
    shop.sandbox.pay(&session).await?;
    let event = json!({"id": "evt_1", "type": "checkout.session.completed", "created": 1,
                       "data": {"object": {"id": session}}});
    let sent = (0..1_000).map(|_| shop.signed(&event, Sandbox::WEBHOOK_SECRET));
    let replies = try_join_all(sent).await?;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(shop.outbox().await?.len(), 1);
    let reads = r#"storefront_stripe_calls_total{call="retrieve_session",result="ok"}"#;
    assert_eq!(shop.metric(reads).await?, 1);
    shop.close().await
}

/// The line to the database is cut at the COMMIT that makes a payment paid: before the server hears it,
/// or before its answer is heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_whose_commit_is_cut_is_paid_once() -> anyhow::Result<()> {
    let direct = storefront_testkit::postgres().await?.database().await?;
    let server = direct.split(['@', '/']).nth(3).unwrap_or_default();
    let cutter = Cutter::start(server, "COMMIT\0").await?;
    let database_url = Some(direct.replace(server, &cutter.address().to_string()));
    let wish = Wish { database_url, webhooks: false, ..Wish::default() };
    let shop = Shop::open_with(On::Postgres, wish).await?;
    for (cuts, moment) in [(1, Moment::Before), (2, Moment::After)] {
        let session = shop.checkout(&format!("u-{cuts}")).await?;
        shop.sandbox.pay(&session).await?;
        cutter.cut(moment, 1);
        let first = shop.verify(&session).await?;
        assert_eq!((first.status, cutter.cuts()), (200, cuts), "{moment:?}: {}", first.text());
        eventually(SOON, "the payment", async || {
            shop.status(&session).await.is_ok_and(|status| status == "paid")
        })
        .await;
        let told = shop.outbox().await?;
        assert_eq!(told.len(), cuts, "{moment:?}");
        assert_eq!(told[cuts - 1]["sessionId"], session);
    }
    shop.close().await
}

/// A page that reloads itself, a script that asks in a loop: Stripe hears little of it, and the news
/// comes all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_asks_in_a_loop_is_answered_by_the_row() -> anyhow::Result<()> {
    let shop = Shop::open_with(On::Sqlite, Wish { webhooks: false, ..Wish::default() }).await?;
    let session = shop.checkout("u-1").await?;
    let began = Instant::now();
    for _ in 0..20 {
        let replies = try_join_all((0..20).map(|_| shop.verify(&session))).await?;
        for reply in replies {
            assert_eq!(reply.expect_status(200)?.json()?["status"], "open");
        }
    }
    let reads = r#"storefront_stripe_calls_total{call="retrieve_session",result="ok"}"#;
    let most = began.elapsed().as_secs() + 1;
    let reads = shop.metric(reads).await?;
    assert!((1..=most).contains(&reads), "{reads} reads in {:?}", began.elapsed());
    shop.sandbox.pay(&session).await?;
    eventually(SOON, "the next look", async || {
        shop.status(&session).await.is_ok_and(|status| status == "paid")
    })
    .await;
    assert_eq!(shop.outbox().await?.len(), 1);
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_any_kind_are_answered_and_stored() -> anyhow::Result<()> {
    let shop = Shop::open(On::Sqlite).await?;
    let events = [
        json!({"id": "evt_1", "type": "customer.created", "data": {"object": {"id": "cus_1"}}}),
        json!({"id": "evt_2", "type": "checkout.session.completed"}),
        json!({"id": "evt_3", "type": "checkout.session.completed", "data": {"object": {"id": "x"}}}),
        json!({"id": "evt_4", "object": "v2.core.event", "type": "v2.something",
               "created": "2026-09-17T06:20:52.246Z", "related_object": {"id": "ba_1"}}),
        json!({"id": "evt_5"}),
        json!({"id": "evt_6", "type": "checkout.session.expired",
               "data": {"object": {"id": "cs_test_nobody", "status": "imploded"}}}),
    ];
    for event in &events {
        let reply = shop.signed(event, Sandbox::WEBHOOK_SECRET).await?;
        assert_eq!(reply.status, 200, "{event}: {}", reply.text());
    }
    let stored = shop.sql("SELECT id FROM stripe_events WHERE done_at IS NOT NULL", &[]).await?;
    assert_eq!(stored.len(), events.len());
    assert_eq!(shop.metric(r#"storefront_stripe_events_total{type="other"}"#).await?, 3);
    for noise in ["", "null", "[]", r#"{"type": "x"}"#, r#"{"id": ""}"#] {
        let body: Value = serde_json::from_str(noise).unwrap_or(Value::Null);
        assert_eq!(shop.signed(&body, Sandbox::WEBHOOK_SECRET).await?.status, 400, "{noise}");
    }
    assert_eq!(shop.verify("").await?.status, 404);
    assert_eq!(shop.post(&phone(""), None).await?.status, 422);
    shop.close().await
}
