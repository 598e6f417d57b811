//! The console of a real shop, by what its page asks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Request;
use serde_json::{Value, json};
use storefront_pipeline_tests::{Shop, ok};
use storefront_testkit::{Reply, eventually, eventually_some, produce};

const LIMIT: Duration = Duration::from_secs(60);

fn console(shop: &Shop, path: &str) -> String {
    format!("{}{path}", shop.ready.console)
}

async fn get(shop: &Shop, path: &str) -> Result<Value> {
    ok(&shop.http.get(console(shop, path)).await?)
}

/// Asks for letters to be sent back, as a page at `origin` would.
async fn replay(shop: &Shop, places: &[String], headers: &[(&str, &str)]) -> Result<Reply> {
    let request = Request::post(console(shop, "/api/dead-letters/replay"))
        .header("content-type", "application/json");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let body = json!({"places": places}).to_string();
    shop.http.send(request.body(body.into_bytes().into())?).await
}

#[tokio::test]
async fn the_page_is_told_of_topics_groups_sales_and_messages() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    let session = shop.checkout("ada", "cart").await?;
    ok(&shop.act(&session, "pay").await?)?;
    let overview = eventually_some(LIMIT, "the sale is counted", async || {
        let overview = get(&shop, "/api/overview").await.ok()?;
        (overview["sales"]["orders"] == 1 && overview["sales"]["mails"]["sent"] == 1)
            .then_some(overview)
    })
    .await;
    ensure!(overview["shop"] == "demo" && overview["missing"] == json!([]), "{overview}");
    ensure!(overview["topics"][0]["topic"] == "payment-successful", "{overview}");
    ensure!(overview["groups"].as_array().is_some_and(|groups| groups.len() == 3), "{overview}");
    ensure!(overview["sales"]["decimals"]["INR"] == 2, "{overview}");
    ensure!(overview["links"][0] == json!(["Shop", shop.ready.gateway]), "{overview}");
    let messages = get(&shop, "/api/topics/payment-successful/messages").await?;
    let message = &messages["messages"][0];
    ensure!(message["value"]["sessionId"] == *session && message["key"] == "ada", "{messages}");
    ensure!(message["traceId"].as_str().is_some_and(|id| id.len() == 32), "{messages}");
    ensure!(
        message["words"].as_str().is_some_and(|words| words.starts_with("paid ")),
        "{messages}"
    );
    // Brokers may have other topics: they are nobody's business here.
    let foreign = shop.http.get(console(&shop, "/api/topics/other/messages")).await?;
    foreign.expect_status(404)?;
    let page = shop.http.get(console(&shop, "/")).await?.expect_status(200)?;
    let policy = page.header("content-security-policy").context("no policy")?;
    ensure!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    Ok(())
}

#[tokio::test]
async fn a_letter_is_sent_back_by_the_page_and_by_no_other() -> Result<()> {
    let shop = Shop::start(&["--without", "email"]).await?;
    produce(shop.brokers(), "payment-successful", "bob", b"not a payment").await?;
    let letters = eventually_some(LIMIT, "two letters", async || {
        let found = get(&shop, "/api/dead-letters").await.ok()?;
        (found["open"] == 2).then_some(found)
    })
    .await;
    let places = letters["letters"].as_array().context("no letters")?.iter();
    let places: Vec<_> = places.filter_map(|it| it["place"].as_str().map(str::to_owned)).collect();
    let host = ("host", "console.evil.example");
    replay(&shop, &places, &[host]).await?.expect_status(421)?;
    for foreign in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")] {
        replay(&shop, &places, &[foreign]).await?.expect_status(403)?;
    }
    replay(&shop, &["here".into()], &[]).await?.expect_status(422)?;
    ensure!(get(&shop, "/api/dead-letters").await?["settled"] == 0, "nothing was sent");

    let own = [("origin", &*shop.ready.console), ("sec-fetch-site", "same-origin")];
    let sent = ok(&replay(&shop, &places[..1], &own).await?)?;
    ensure!(sent["sent"].as_array().is_some_and(|sent| sent.len() == 1), "{sent}");
    eventually(LIMIT, "it died again", async || {
        let found = get(&shop, "/api/dead-letters").await.unwrap_or_default();
        found["open"] == 2 && found["settled"] == 1
    })
    .await;
    // The old letter is left alone: it was sent back before.
    let again = ok(&replay(&shop, &places[..1], &own).await?)?;
    ensure!(again["sent"] == json!([]), "{again}");
    Ok(())
}
