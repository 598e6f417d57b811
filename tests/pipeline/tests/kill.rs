//! The whole shop is killed under load and started again with the same data: nothing is lost,
//! nothing is doubled. The ledger is the sandbox's and the inbox's, which write before they answer.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use storefront_pipeline_tests::{Shop, Site};
use storefront_testkit::{eventually, read_topic, seed};

const CARTS: usize = 150;
const KILLS: usize = 3;
const AT_ONCE: usize = 8;
const LIMIT: Duration = Duration::from_secs(120);

/// One cart, as a browser would push it through: each step is tried again until it works.
async fn buy(site: Site, n: usize) -> Result<String> {
    let (user, key) = (format!("user-{}", n % 20), format!("cart-{n}"));
    let deadline = Instant::now() + LIMIT;
    let mut open = None;
    while Instant::now() < deadline {
        let step = async {
            let session: String = match &open {
                Some(session) => String::clone(session),
                None => site.checkout(&user, &key).await?,
            };
            open = Some(session.clone());
            let paid = site.act(&session, "pay").await?;
            // A second payment of a session is refused: the first was heard before the crash.
            ensure!(matches!(paid.status, 200..300 | 409), "{}", paid.text());
            let verified = site.verify(&session).await?;
            ensure!(verified["status"] == "paid", "{verified}");
            anyhow::Ok(session)
        };
        match step.await {
            Ok(session) => return Ok(session),
            // Killed in the middle, or not up again yet.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    anyhow::bail!("cart {n} was not paid in {LIMIT:?}")
}

/// Kills the shop when so many sessions are paid as the seed says, and starts it again.
async fn kill_now_and_then(mut shop: Shop, at: &[usize]) -> Result<Shop> {
    for paid in at {
        eventually(LIMIT, "enough is paid for the next kill", async || {
            shop.paid().await.is_ok_and(|sessions| sessions.len() >= *paid)
        })
        .await;
        shop.dev.kill()?;
        shop.dev.restart().await?;
    }
    Ok(shop)
}

/// Sessions and ids on a topic, each once.
fn told(brokers: &str, topic: &str) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let records = read_topic(brokers, topic)?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let sessions = records.iter().map(|record| text(&record.value()["sessionId"])).collect();
    let ids = records.into_iter().filter_map(|mut record| record.headers.remove("ce_id"));
    Ok((sessions, ids.collect()))
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_by_a_kill_under_load() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    let mut random = fastrand::Rng::with_seed(seed());
    let mut kills: Vec<usize> = (0..KILLS).map(|_| random.usize(1..CARTS * 9 / 10)).collect();
    kills.sort_unstable();

    let site = shop.site.clone();
    let buyers = stream::iter(0..CARTS)
        .map(|n| buy(site.clone(), n))
        .buffer_unordered(AT_ONCE)
        .try_collect::<BTreeSet<String>>();
    let (bought, shop) = try_join(buyers, kill_now_and_then(shop, &kills)).await?;
    ensure!(bought.len() == CARTS, "{} sessions for {CARTS} carts", bought.len());

    for topic in ["order-successful", "email-successful"] {
        eventually(LIMIT, "every payment has its order and its mail", async || {
            told(shop.brokers(), topic).is_ok_and(|(sessions, _)| sessions.len() >= CARTS)
        })
        .await;
    }
    let paid: BTreeSet<String> = shop.paid().await?.into_iter().map(|(id, _)| id).collect();
    ensure!(paid == bought, "the ledger and the buyers disagree");
    for topic in ["payment-successful", "order-successful", "email-successful"] {
        // On the wire a message may stand twice after a kill; by its id it is one.
        let (sessions, ids) = told(shop.brokers(), topic)?;
        ensure!(sessions == paid, "{topic} is not about the sessions that were paid");
        ensure!(ids.len() == CARTS, "{topic} has {} ids", ids.len());
    }
    let mails: BTreeSet<String> = shop.mails().await?.into_iter().collect();
    ensure!(mails.len() == CARTS, "{} different mails for {CARTS} payments", mails.len());
    Ok(())
}
