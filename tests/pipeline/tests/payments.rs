//! 1,000 payments whose news the success page, webhooks and the sweeper bring at once, with Apache Kafka and PostgreSQL,
//! become 1,000 orders, mails and sales of the same amounts, and nothing else.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use storefront_pipeline_tests::{Shop, Site, TOPICS, ok};
use storefront_testkit::{Kafka, eventually_some, postgres, read_topic, seed};

const PAYMENTS: usize = 1_000;
const AT_ONCE: usize = 32;
/// Of everything that may take its time on two busy cores.
const LIMIT: Duration = Duration::from_secs(150);

/// What happens to a session, all of them shuffled together.
#[derive(Clone, Copy)]
enum Step {
    /// The shopper pays and comes back: two tabs ask at once.
    PaysAndReturns,
    /// The shopper pays and closes the browser.
    PaysAndLeaves,
    /// Somebody looks, before or after.
    Looks,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_payments_whose_news_all_messengers_bring_at_once() -> Result<()> {
    let (kafka, postgres) = tokio::try_join!(Kafka::private(), postgres())?;
    let database = postgres.database().await?;
    // As often as it can be: it is to be faster than the others now and then.
    let sweeper = ["--sweep-interval-ms", "100"];
    let outside = ["--kafka", kafka.bootstrap(), "--database", &database];
    let shop = Shop::start(&[outside.as_slice(), &sweeper].concat()).await?;
    let site = &shop.site;
    let mut random = fastrand::Rng::with_seed(seed());
    // Each event is sent twice, some time within the next seconds.
    let faults =
        json!({"seed": random.u32(..), "webhooks": "duplicate", "webhook_jitter_ms": 3_000});
    ok(&site.http.put_json(site.sandbox("/control/faults"), &faults).await?)?;

    let sessions: Vec<String> = stream::iter(0..PAYMENTS)
        .map(async |n| {
            let (user, key) = (format!("user-{}", n % 50), format!("cart-{n}"));
            patiently(async || site.checkout_of(&user, &key, 1 + n % 3).await).await
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    ensure!(BTreeSet::from_iter(&sessions).len() == PAYMENTS, "two carts got the same session");

    let mut steps: Vec<(&str, Step)> = Vec::new();
    for (n, session) in sessions.iter().enumerate() {
        let pays = if n % 2 == 0 { Step::PaysAndReturns } else { Step::PaysAndLeaves };
        steps.extend([pays, Step::Looks].map(|step| (session.as_str(), step)));
    }
    random.shuffle(&mut steps);
    let () = stream::iter(steps)
        .map(|(session, step)| happens(site, session, step))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;

    // Money and all, by the stand-ins' ledger.
    let end = site.reckon(LIMIT).await?;
    ensure!((end.payments, end.sessions, end.mails) == (PAYMENTS, PAYMENTS, 0), "{end:?}");
    for topic in TOPICS {
        let records = read_topic(site.brokers(), topic)?;
        ensure!(records.iter().all(|it| it.value()["userId"] == it.key()), "a key is no user");
    }
    let struck = ok(&site.http.get(site.sandbox("/control/faults/strikes")).await?)?;
    ensure!(struck["strikes"].as_u64() >= Some(PAYMENTS as u64), "not doubled: {struck}");
    let mut won = Vec::new();
    for messenger in ["verify", "webhook", "sweeper"] {
        let name = format!("storefront_payments_news_total{{messenger=\"{messenger}\"}}");
        won.push((messenger, site.metric("payment", &name).await?));
    }
    println!("first with the news: {won:?}");
    ensure!(won.iter().all(|(_, payments)| *payments > 0), "not all of them were there: {won:?}");
    let all: u64 = won.iter().map(|(_, payments)| payments).sum();
    ensure!(all == PAYMENTS as u64, "{all} were first with the news of {PAYMENTS}");
    Ok(())
}

async fn happens(site: &Site, session: &str, step: Step) -> Result<()> {
    let look = || patiently(async || site.verify(session).await);
    if !matches!(step, Step::Looks) {
        ok(&site.act(session, "pay").await?)?;
    }
    match step {
        Step::PaysAndReturns => {
            tokio::try_join!(look(), look())?;
        }
        Step::Looks => drop::<Value>(look().await?),
        Step::PaysAndLeaves => {}
    }
    Ok(())
}

/// As a shopper who comes again while the shop has too much to do.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    let come_again = ["answered 409", "answered 503", "answered 504"];
    let answer = eventually_some(LIMIT, "an answer", async || match ask().await {
        Err(error) if come_again.iter().any(|it| error.to_string().contains(it)) => None,
        answer => Some(answer),
    });
    answer.await
}
