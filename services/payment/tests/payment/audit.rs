//! What an audit asks of payment: Stripe's list beside the rows, and gaps closed, each any number of times.

use futures_util::future::try_join_all;
use http::Request;
use serde_json::{Value, json};
use storefront_testkit::{Reply, eventually};

use crate::shop::{On, SOON, Shop, Wish, on_both, stripe, text};

on_both! {
    a_lost_row_is_found_and_closed_once
    what_was_sent_is_sent_again_with_its_own_id
    what_is_not_paid_is_not_closed
}

/// A day around now, as a query.
fn span() -> String {
    let now = jiff::Timestamp::now().as_second();
    format!("since={}&until={}", now - 43_200, now + 43_200)
}

async fn listed(shop: &Shop, query: &str) -> anyhow::Result<Value> {
    let url = format!("{}/audit/sessions?{query}", shop.admin);
    shop.http.get(url).await?.expect_status(200)?.json()
}

async fn close(shop: &Shop, session: &str, missing: &str) -> anyhow::Result<Reply> {
    let url = format!("{}/audit/sessions/{session}/close", shop.admin);
    shop.http.post_json(url, &json!({"missing": missing})).await
}

/// A payment whose event was sent, and left the outbox.
async fn paid(shop: &Shop, user: &str) -> anyhow::Result<String> {
    let session = shop.checkout(user).await?;
    shop.sandbox.pay(&session).await?;
    shop.reaches(&session, "paid").await;
    shop.all_delivered().await;
    shop.sql("DELETE FROM outbox RETURNING id", &[]).await?;
    Ok(session)
}

async fn a_lost_row_is_found_and_closed_once(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let session = paid(&shop, "u-1").await?;
    let found = listed(&shop, &span()).await?;
    let mut whole = found["sessions"][0].clone();
    assert_eq!(whole["payment"], json!({"state": "paid", "mailed": true}), "{found}");
    assert_eq!((&whole["sessionId"], &whole["amount"]), (&json!(session), &json!(1_899_900)));

    shop.sql("DELETE FROM payments RETURNING id", &[]).await?;
    whole["payment"] = Value::Null;
    assert_eq!(listed(&shop, &span()).await?["sessions"], json!([whole]));
    for _ in 0..3 {
        let closed = close(&shop, &session, "payment").await?.expect_status(200)?.json()?;
        assert_eq!(closed, json!({"state": "paid", "sentAgain": false}));
    }
    let events = shop.outbox().await?;
    assert_eq!((events.len(), &events[0]["sessionId"]), (1, &json!(session)));
    assert_eq!(events[0]["orderId"], whole["orderId"]);
    // It was paid at some time, and not only now: not before the session was made, says Stripe.
    let made = shop.sandbox.sessions().await?.first().map(|session| session.created);
    let paid_at: jiff::Timestamp = text(&events[0]["paidAt"]).parse()?;
    assert_eq!(Some(paid_at.as_second()), made);
    assert_eq!(listed(&shop, &span()).await?["sessions"][0]["payment"]["state"], "paid");
    shop.close().await
}

async fn what_was_sent_is_sent_again_with_its_own_id(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let session = shop.checkout("u-1").await?;
    shop.sandbox.pay(&session).await?;
    shop.reaches(&session, "paid").await;
    for missing in ["order", "mail"] {
        let closed = close(&shop, &session, missing).await?.expect_status(200)?.json()?;
        assert_eq!(closed, json!({"state": "paid", "sentAgain": true}));
    }
    let events = shop.outbox().await?;
    assert_eq!(events.len(), 5, "itself, and two for each gap");
    assert!(events.iter().all(|event| *event == events[0]), "{events:?}");
    let rows = shop.sql("SELECT headers FROM outbox ORDER BY id", &[]).await?;
    let headers: Result<Vec<Value>, anyhow::Error> =
        rows.iter().map(|row| Ok(serde_json::from_str(&row.text("headers")?)?)).collect();
    let header = |headers: &Value, name: &str| {
        let all = headers.as_array().into_iter().flatten();
        all.filter(|it| it[0] == name).map(|it| text(&it[1]).to_owned()).next().unwrap_or_default()
    };
    let headers = headers?;
    let ids: Vec<_> = headers.iter().map(|it| header(it, "ce_id")).collect();
    assert!(ids.iter().all(|id| *id == ids[0] && !id.is_empty()), "{ids:?}");
    let whom: Vec<_> = headers
        .iter()
        .map(|it| format!("{} {}", header(it, "replay-group"), header(it, "replay-anew")))
        .collect();
    assert_eq!(whom, [" ", " ", "order-service true", " ", "email-service true"]);
    shop.close().await
}

async fn what_is_not_paid_is_not_closed(on: On) -> anyhow::Result<()> {
    let shop = Shop::open(on).await?;
    let open = shop.checkout("u-1").await?;
    for missing in ["payment", "order", "mail"] {
        let closed = close(&shop, &open, missing).await?.expect_status(200)?.json()?;
        assert_eq!(closed, json!({"state": "open", "sentAgain": false}));
    }
    let form = "mode=payment&success_url=https%3A%2F%2Fshop.example.com&metadata[shop]=default%2Fother\
                &line_items[0][quantity]=1&line_items[0][price_data][currency]=inr\
                &line_items[0][price_data][unit_amount]=5000\
                &line_items[0][price_data][product_data][name]=Other";
    let theirs = stripe(&shop, "/v1/checkout/sessions", form).await?;
    let theirs = text(&theirs["id"]);
    shop.sandbox.pay(theirs).await?;
    for nobodys in [theirs, "cs_test_a1nobodymadethis", "17"] {
        close(&shop, nobodys, "payment").await?.expect_status(404)?;
        let url = format!("{}/audit/sessions/{nobodys}", shop.admin);
        shop.http.get(url).await?.expect_status(404)?;
    }
    // Neither is paid and this shop's.
    assert_eq!(listed(&shop, &span()).await?["sessions"], json!([]));
    let one = shop.http.get(format!("{}/audit/sessions/{open}", shop.admin)).await?.json()?;
    assert_eq!((&one["paid"], &one["payment"]["state"]), (&json!(false), &json!("open")));
    assert!(shop.outbox().await?.is_empty());
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_of_the_list_is_walked() -> anyhow::Result<()> {
    const PAYMENTS: usize = 103;
    let shop = Shop::open_with(On::Sqlite, Wish { webhooks: false, ..Wish::default() }).await?;
    let users: Vec<String> = (0..PAYMENTS).map(|number| format!("u-{number}")).collect();
    let sessions = try_join_all(users.iter().map(|user| shop.checkout(user))).await?;
    try_join_all(sessions.iter().map(|session| shop.sandbox.pay(session))).await?;
    let (mut found, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = listed(&shop, &format!("{}{after}", span())).await?;
        let paid = page["sessions"].as_array().into_iter().flatten();
        found.extend(paid.map(|it| {
            // Nobody has brought the news.
            assert_eq!((&it["paid"], &it["payment"]["state"]), (&json!(true), &json!("open")));
            text(&it["sessionId"]).to_owned()
        }));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    found.sort_unstable();
    let mut all = sessions.clone();
    all.sort_unstable();
    assert_eq!((found, pages), (all, 2));
    // Outside of the span there is nothing.
    assert_eq!(listed(&shop, "since=0&until=86400").await?["sessions"], json!([]));
    shop.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_programs_on_this_machine_ask_and_gaps_are_counted() -> anyhow::Result<()> {
    let shop = Shop::open(On::Sqlite).await?;
    let url = format!("{}/audit/sessions?{}", shop.admin, span());
    for (name, value) in [
        ("origin", "http://evil.example.com"),
        ("sec-fetch-site", "cross-site"),
        ("host", "evil.example.com"),
    ] {
        let request = Request::get(&url).header(name, value).body(Vec::new().into())?;
        let problem = shop.http.send(request).await?.expect_status(403)?.json()?;
        assert!(text(&problem["detail"]).contains("browser's page"), "{problem}");
    }
    // The shop's own port knows nothing of it.
    shop.http.get(format!("{}/audit/sessions", shop.url)).await?.expect_status(404)?;
    for (query, status, expected) in
        [("", 400, "since must be"), ("since=2&until=1", 422, "until must be later")]
    {
        let reply = shop.http.get(format!("{}/audit/sessions?{query}", shop.admin)).await?;
        let problem = reply.expect_status(status)?.json()?;
        assert!(text(&problem["detail"]).contains(expected), "{problem}");
    }
    let told = format!("{}/audit/findings", shop.admin);
    for found in [json!({}), json!({"order": 2, "mail": 1}), json!({"order": 1})] {
        shop.http.post_json(&told, &found).await?.expect_status(204)?;
    }
    shop.http.post_json(&told, &json!({"orders": 1})).await?.expect_status(422)?;
    let counted = async |metric: &str| shop.metric(metric).await;
    assert_eq!(counted("storefront_audits_total").await?, 3);
    for (gap, count) in [("order", 3), ("mail", 1), ("payment", 0)] {
        let metric = format!(r#"storefront_audit_gaps_total{{gap="{gap}"}}"#);
        assert_eq!(counted(&metric).await?, count, "{gap}");
    }
    eventually(SOON, "health is for everybody", async || {
        let request = Request::get(format!("{}/livez", shop.admin)).header("origin", "http://x");
        let request = request.body(Vec::new().into()).ok();
        match request {
            Some(request) => shop.http.send(request).await.is_ok_and(|reply| reply.status == 200),
            None => false,
        }
    })
    .await;
    shop.close().await
}
