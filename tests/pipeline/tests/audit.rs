//! `storefront audit` on a real shop: gaps are made by hand, found, and closed; and twice changes nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use storefront_contract::{
    ServiceId,
    settings::{DatabaseSettings, DatabaseUrl},
};
use storefront_pipeline_tests::{Shop, TOPICS, command, json_of, json_with, ok, said};
use storefront_runtime::{Database, Value as Parameter};
use storefront_testkit::{Letter, eventually, produce, read_topic, read_topics};

const LIMIT: Duration = Duration::from_secs(60);

/// A paid session whose shopper has come back.
async fn buy(shop: &Shop, user: &str) -> Result<String> {
    let session = shop.checkout(user, user).await?;
    ok(&shop.act(&session, "pay").await?)?;
    let verified = shop.verify(&session).await?;
    ensure!(verified["status"] == "paid", "{verified}");
    Ok(session)
}

/// A statement on a service's own tables: what an accident does to them.
async fn by_hand(shop: &Shop, id: ServiceId, sql: &'static str, texts: &[&str]) -> Result<usize> {
    let url = DatabaseUrl::Plain(format!("sqlite:{}/{id}.db", shop.dev.data().display()));
    let settings = DatabaseSettings { url, max_connections: 2 };
    let database = Database::open(&settings, &"default/demo".parse()?, id, &[]).await?;
    let texts: Vec<Parameter> = texts.iter().map(|text| (*text).into()).collect();
    let touched = database.query(sql, &texts).await?.len();
    database.close().await;
    Ok(touched)
}

/// What the gaps are, by session.
fn gaps(report: &Value) -> Vec<(String, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = report["gaps"].as_array().into_iter().flatten();
    lines.map(|gap| (text(&gap["gap"]), text(&gap["session"]), gap["closed"] == true)).collect()
}

fn gap(sort: &str, session: &str, closed: bool) -> (String, String, bool) {
    (sort.to_owned(), session.to_owned(), closed)
}

fn about<'a>(letters: &'a [Letter], session: &str) -> Result<&'a Letter> {
    letters.iter().find(|it| it.value()["sessionId"] == session).context("nothing is told of it")
}

#[tokio::test]
async fn gaps_made_by_hand_are_found_and_closed_and_twice_changes_nothing() -> Result<()> {
    let mut shop = Shop::start(&["--without", "order", "--without", "email"]).await?;
    let ada = buy(&shop, "ada").await?;

    // Nobody has read it yet: to be told, but not to be sent again.
    let at_once = ["audit", "--settle", "0s"];
    let closing = ["audit", "--settle", "0s", "--fix"];
    eventually(LIMIT, "the payment is told", async || {
        read_topic(shop.brokers(), TOPICS[0]).is_ok_and(|letters| letters.len() == 1)
    })
    .await;
    let late = json_with(&shop, &closing, 3).await?;
    ensure!(gaps(&late) == [gap("order", &ada, false)], "{late}");
    ensure!(late["gaps"][0]["todo"] == "wait, and look again", "{late}");
    ensure!(read_topic(shop.brokers(), TOPICS[0])?.len() == 1, "nothing was sent");

    // Read, and whole. Only what is on its way is waited for.
    shop.dev.stop().await?;
    shop.dev.options.arguments.clear();
    shop.restart().await?;
    eventually(LIMIT, "everything has come", async || {
        shop.mails().await.is_ok_and(|mails| mails.len() == 1)
    })
    .await;
    let whole = json_of(&shop, &["audit"]).await?;
    ensure!(whole["paid"] == whole["orders"] && whole["paid"]["count"] == 1, "{whole}");
    ensure!(whole["mails"]["sent"] == 1 && whole["left"] == 0, "{whole}");
    ensure!(said(&shop, &["audit"], 0).await?.ends_with("no gap\n"));

    // Paid, but nobody brought the news: no webhook, and the shopper has closed the browser.
    let dropped = json!({"webhooks": "drop"});
    shop.http.put_json(shop.sandbox("/control/faults"), &dropped).await?.expect_status(200)?;
    let bob = shop.checkout("bob", "bob").await?;
    ok(&shop.act(&bob, "pay").await?)?;
    let found = json_with(&shop, &at_once, 3).await?;
    ensure!(gaps(&found) == [gap("payment", &bob, false)], "{found}");
    ensure!(found["gaps"][0]["why"] == "payment says that it is open", "{found}");
    let closed = json_of(&shop, &closing).await?;
    ensure!(gaps(&closed) == [gap("payment", &bob, true)], "{closed}");
    ensure!(closed["orders"]["count"] == 2, "its order is there before it is closed: {closed}");
    shop.http.put_json(shop.sandbox("/control/faults"), &json!({})).await?.expect_status(200)?;

    // Rows that are gone, though every inbox says that all was handled.
    let forgotten = "DELETE FROM payments WHERE session_id = $1 RETURNING id";
    ensure!(by_hand(&shop, ServiceId::Payment, forgotten, &[&bob]).await? == 1);
    let lost = "DELETE FROM orders WHERE session_id = $1 RETURNING order_id";
    ensure!(by_hand(&shop, ServiceId::Order, lost, &[&ada]).await? == 1);
    let found = json_with(&shop, &at_once, 3).await?;
    let both = [gap("payment", &bob, false), gap("order", &ada, false)];
    ensure!(gaps(&found) == both, "{found}");
    let closed = json_of(&shop, &closing).await?;
    ensure!(gaps(&closed) == both.map(|(sort, session, _)| (sort, session, true)), "{closed}");
    let end = shop.reckon(LIMIT).await?;
    ensure!(end.payments == 2 && end.mails == 0, "{end:?}");

    // Again: there is nothing to do, and nothing is done.
    let told = || {
        let mut told = read_topics(shop.brokers(), &TOPICS)?;
        // Partitions are read in any order.
        for letters in told.values_mut() {
            letters.sort_by_key(|letter| (letter.partition, letter.offset));
        }
        anyhow::Ok(told)
    };
    let counts = || told().map(|all| TOPICS.map(|topic| all[topic].len()));
    // Bob's payment once more; ada's for whoever has missed it, and for order, which told it once more.
    eventually(LIMIT, "all is sent that closes them", async || {
        counts().is_ok_and(|counts| counts == [5, 3, 2])
    })
    .await;
    let before = told()?;
    let again = json_of(&shop, &closing).await?;
    ensure!(again["gaps"] == json!([]) && told()? == before, "{again}");
    Ok(())
}

#[tokio::test]
async fn a_mail_that_nobody_knows_of_is_sent_and_an_order_that_nobody_paid_is_told() -> Result<()> {
    let mut shop = Shop::start(&["--without", "email"]).await?;
    let ada = buy(&shop, "ada").await?;
    eventually(LIMIT, "the order", async || {
        read_topic(shop.brokers(), TOPICS[1]).is_ok_and(|letters| letters.len() == 1)
    })
    .await;
    let blind = said(&shop, &["audit", "--settle", "0s"], 1).await?;
    ensure!(blind.contains("--no-mail"), "{blind}");
    ensure!(json_of(&shop, &["audit", "--no-mail"]).await?["left"] == 0);

    // Email believes that it has handled the payment, and has no mail of it.
    shop.dev.stop().await?;
    shop.dev.options.arguments.clear();
    shop.restart().await?;
    eventually(LIMIT, "its mail", async || shop.mails().await.is_ok_and(|mails| mails.len() == 1))
        .await;
    let bob = buy(&shop, "bob").await?;
    eventually(LIMIT, "both mails", async || {
        shop.mails().await.is_ok_and(|mails| mails.len() == 2)
    })
    .await;
    eventually(LIMIT, "both are told", async || {
        read_topic(shop.brokers(), TOPICS[2]).is_ok_and(|letters| letters.len() == 2)
    })
    .await;
    // A row that is gone is no gap while the mail's event says that it was sent.
    let lost = "DELETE FROM mails WHERE session_id = $1 RETURNING mail_id";
    ensure!(by_hand(&shop, ServiceId::Email, lost, &[&bob]).await? == 1);
    let told = json_of(&shop, &["audit", "--settle", "0s"]).await?;
    ensure!(told["mails"]["sent"] == 2 && told["left"] == 0, "{told}");

    // One that was never sent: its id stands in email's inbox before its event comes.
    let faults = json!({"smtp": {"at": "mail", "reply": "421 4.3.2 down for maintenance"}});
    shop.http.put_json(shop.sandbox("/control/faults"), &faults).await?.expect_status(200)?;
    let eve = buy(&shop, "eve").await?;
    eventually(LIMIT, "eve's mail waits", async || {
        let order = shop.verify(&eve).await.unwrap_or_default();
        let order = order["orderId"].as_str().unwrap_or_default().to_owned();
        let order = shop.http.get(shop.gateway(&format!("/orders/{order}"))).await;
        let order = order.and_then(|reply| ok(&reply)).unwrap_or_default();
        order["mail"]["state"] == "queued"
    })
    .await;
    let waiting = json_of(&shop, &["audit", "--settle", "0s"]).await?;
    ensure!(waiting["mails"]["waiting"] == 1, "what is on its way is no gap: {waiting}");
    ensure!(by_hand(&shop, ServiceId::Email, lost, &[&eve]).await? == 1);
    shop.http.put_json(shop.sandbox("/control/faults"), &json!({})).await?.expect_status(200)?;
    let found = json_with(&shop, &["audit", "--settle", "0s"], 3).await?;
    ensure!(gaps(&found) == [gap("mail", &eve, false)], "{found}");
    let closed = json_of(&shop, &["audit", "--settle", "0s", "--fix"]).await?;
    ensure!(gaps(&closed) == [gap("mail", &eve, true)], "{closed}");
    eventually(LIMIT, "eve's mail", async || {
        shop.mails().await.is_ok_and(|mails| mails.len() == 3)
    })
    .await;
    let end = shop.reckon(LIMIT).await?;
    ensure!(end.payments == 3 && end.mails == 0, "{end:?}");

    // Somebody who may write to the topic makes an order of nothing.
    let mut forged = about(&read_topic(shop.brokers(), TOPICS[0])?, &ada)?.value();
    forged["sessionId"] = json!("cs_test_forged");
    forged["orderId"] = json!("6f3c2b0e-5d0a-4c58-9a5e-3f0d7c41b2aa");
    produce(shop.brokers(), TOPICS[0], "mallory", forged.to_string().as_bytes()).await?;
    eventually(LIMIT, "the forged order is told", async || {
        read_topic(shop.brokers(), TOPICS[1]).is_ok_and(|it| about(&it, "cs_test_forged").is_ok())
    })
    .await;
    let found = json_with(&shop, &["audit", "--fix"], 3).await?;
    ensure!(gaps(&found) == [gap("unpaid", "cs_test_forged", false)], "{found}");
    let admin = shop.ready.services["payment"]["admin"].as_str().context("no admin port")?;
    let metrics = shop.http.get(format!("{admin}/metrics")).await?.text();
    for (sort, count) in [("mail", 2), ("unpaid", 1)] {
        let line = format!("storefront_audit_gaps_total{{gap=\"{sort}\"}} {count}\n");
        ensure!(metrics.contains(&line), "{line}{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn who_cannot_be_asked_is_named() -> Result<()> {
    let shop = Shop::start(&["--without", "payment"]).await?;
    for (arguments, expected) in [
        (&["audit"][..], "the shop that runs there has no payment service"),
        (&["audit", "--console", "http://127.0.0.1:1"], "start `storefront dev`"),
        (&["audit", "--payment", "http://127.0.0.1:1"], "http://127.0.0.1:1 cannot be reached"),
        (&["audit", "--since", "1h", "--until", "2h"], "nothing lies between them"),
        (&["audit", "--kafka", "127.0.0.1:1"], "no broker of 127.0.0.1:1 takes connections"),
    ] {
        let error = said(&shop, arguments, 1).await?;
        ensure!(error.contains(expected), "{arguments:?}: {error}");
    }
    let wrong = command(&shop, &["audit", "--since", "yesterday"]).await?;
    ensure!(wrong.status.code() == Some(2), "{wrong:?}");
    Ok(())
}
