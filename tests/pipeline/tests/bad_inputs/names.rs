//! Names that are code, markup or a mail's end to somebody. They are shown as they are written.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use storefront_pipeline_tests::{Shop, Site, ok};
use storefront_testkit::{Dev, DevOptions, Http, eventually_some};

const LIMIT: Duration = Duration::from_secs(60);
const NAMES: [&str; 5] = [
    "{{7*7}} ${7*7}",
    "<script>alert(1)</script>",
    "{% include \"/etc/passwd\" %}",
    "</textarea><img src=x onerror=alert(1)>",
    ".\u{2028}. =?utf-8?q?x?=",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_shown_as_they_are_written() -> Result<()> {
    let products: Vec<Value> = NAMES
        .iter()
        .enumerate()
        .map(|(number, name)| json!({"id": format!("p{number}"), "name": name, "price": 10_000}))
        .collect();
    let manifest = format!(
        "apiVersion: storefront.dev/v1alpha1\nkind: Storefront\nmetadata: {{name: demo}}\nspec: {}\n",
        json!({"currency": "INR", "payment": {"sandbox": {}}, "catalog": {"products": products}})
    );
    let dev = Dev::start(DevOptions::new(manifest)).await?;
    let site = Site { ready: dev.ready().clone(), http: Http::default() };
    let shop = Shop { dev, site };
    let page = shop.http.get(shop.gateway("/")).await?.expect_status(200)?.text();
    is_harmless("the cart page", &page)?;

    let lines: Vec<Value> =
        (0..NAMES.len()).map(|number| json!({"id": format!("p{number}"), "quantity": 1})).collect();
    let cart = json!({"userId": "<b>ada</b>", "email": "ada@example.com", "cart": lines});
    let session = ok(&shop.http.post_json(shop.gateway("/payment"), &cart).await?)?;
    let session = session["id"].as_str().context("no id")?;
    let checkout = shop.http.get(shop.sandbox(&format!("/sandbox/checkout/{session}"))).await?;
    is_harmless("the checkout page", &checkout.expect_status(200)?.text())?;
    ok(&shop.act(session, "pay").await?)?;
    let success = shop.http.get(shop.gateway(&format!("/success?session_id={session}"))).await?;
    is_harmless("the success page", &success.expect_status(200)?.text())?;

    let mail = eventually_some(LIMIT, "the mail", async || {
        let url = format!("{}/api/v1/message/latest", shop.ready.inbox);
        shop.http.get(url).await.ok()?.expect_status(200).ok()?.json().ok()
    })
    .await;
    let (html, text) =
        (mail["HTML"].as_str().context("no HTML")?, mail["Text"].as_str().context("no text")?);
    is_harmless("the mail", html)?;
    for name in NAMES {
        // Line separators are blanks in a mail; all else stands as it was written.
        let name = name.replace('\u{2028}', " ");
        ensure!(text.replace('\u{2028}', " ").contains(&name), "{name} is not in {text}");
    }
    ensure!(shop.mails().await?.len() == 1, "one mail became more");
    Ok(())
}

/// What would be done if a name were taken for what it looks like.
fn is_harmless(what: &str, page: &str) -> Result<()> {
    for done in ["<script>alert(1)", "<img src=x", "root:x:0", "49 $", "{{49", "<b>ada"] {
        ensure!(!page.contains(done), "{what} has {done}");
    }
    ensure!(
        page.contains("{{7*7}}") || page.contains("&#123;&#123;7*7"),
        "{what} does not show the name"
    );
    Ok(())
}
