//! How soon a shop is back when its database is: what a shopper waits at most, and how long until everything has come.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use storefront_testkit::{Postgres, PostgresOptions, Wire, eventually, seed};

use crate::{
    flow::{Crowd, LIMIT, Shopper},
    servers::all_ready,
};

const CARTS: usize = 16;
const CUTS: usize = 2;
/// The longest that a shopper waits for a session, however often they are asked to come again, and that services take after
/// their database is back: ten seconds, and what a busy machine adds. On one that is not, it is half of that.
const BACK: Duration = Duration::from_secs(15);

/// Waits until so many of the shop's sessions were made, among those that may still come.
async fn sessions(crowd: &Crowd, count: u64) -> impl Future<Output = ()> + use<> {
    let site = crowd.shop.site.clone();
    let url = site.sandbox("/control/sessions?limit=1");
    let made = async move || {
        let told = site.http.get(&url).await.ok()?.json().ok()?;
        Some(
            told["counts"].as_object()?.values().filter_map(serde_json::Value::as_u64).sum::<u64>(),
        )
    };
    let before = made().await.unwrap_or_default();
    async move {
        eventually(LIMIT, "sessions are made", async || made().await >= Some(before + count)).await;
    }
}

/// A node dies, or a firewall forgets: every connection to the database is dead, and nobody is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_connections_die_without_a_word_a_checkout_waits_ten_seconds_at_most() -> Result<()>
{
    let mut random = fastrand::Rng::with_seed(seed());
    let direct = storefront_testkit::postgres().await?.database().await?;
    let server = direct.split(['@', '/']).nth(3).context("no server")?;
    let wire = Wire::start(vec![server.to_owned()]).await?;
    let url = direct.replace(server, &wire.address().to_string());
    let mut crowd = Crowd::open(&["--database", &url]).await?;
    for cut in 0..CUTS {
        let some = sessions(&crowd, random.u64(1..8)).await;
        let cutting = async {
            some.await;
            wire.half_open();
            Ok(Instant::now())
        };
        let what = "connections to the database die";
        let (asked, cut_at) = crowd.through(what, CARTS, Shopper::Returns, cutting).await?;
        let longest = crowd.patience.longest();
        println!(
            "cut {cut}: the longest wait for a session is {longest:?}, {asked} were asked to come again"
        );
        ensure!(longest < BACK, "cut {cut}: a shopper waited {longest:?}");
        let again = crowd.settled().await.context(what)?;
        println!("cut {cut}: all orders and mails are there after {:?}", cut_at.elapsed());
        ensure!(again == 0, "{again} mails came more than once");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_under_load_is_used_within_ten_seconds_of_its_return()
-> Result<()> {
    let postgres = Postgres::private(&PostgresOptions::default()).await?;
    let mut crowd = Crowd::open(&["--database", &postgres.database().await?]).await?;
    let site = crowd.shop.site.clone();
    for kill in 0..CUTS {
        let some = sessions(&crowd, 4).await;
        let killing = async {
            some.await;
            postgres.kill()?;
            eventually(LIMIT, "who needs it says so", async || !all_ready(&site).await).await;
            postgres.start().await?;
            let back = Instant::now();
            eventually(LIMIT, "every service is ready again", async || all_ready(&site).await)
                .await;
            println!("kill {kill}: every service is ready {:?} after the database", back.elapsed());
            ensure!(back.elapsed() < BACK, "ready after {:?}", back.elapsed());
            Ok(back)
        };
        let (asked, back) =
            crowd.through("the database is killed", CARTS, Shopper::Returns, killing).await?;
        let took = back.elapsed();
        println!(
            "kill {kill}: {CARTS} carts are paid {took:?} after its return, {asked} were asked to come again"
        );
        ensure!(took < BACK, "kill {kill}: the last cart was paid after {took:?}");
        let again = crowd.settled().await?;
        println!("kill {kill}: all orders and mails are there after {:?}", back.elapsed());
        ensure!(again == 0, "{again} mails came more than once");
    }
    Ok(())
}
