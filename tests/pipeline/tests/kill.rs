//! The whole shop is killed again and again under load and started again with the same data: nothing is lost, nothing is doubled. The
//! ledger is the sandbox's and the inbox's, which write before they answer.

use std::{collections::BTreeSet, env, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use storefront_pipeline_tests::{Shop, Shopper};
use storefront_testkit::{eventually, seed};

/// How often it is killed; `STOREFRONT_KILLS=200` for more.
const KILLS: usize = 20;
/// Carts between two kills, on average.
const CARTS_EACH: usize = 8;
const AT_ONCE: usize = 8;
/// Mails that are sent at once: each may come once more for each kill.
const MAILS_AT_ONCE: usize = 4;
const LIMIT: Duration = Duration::from_secs(120);
/// A kill comes up to so much after what it waits for, so that it may strike anywhere.
const LATER_MAX: Duration = Duration::from_millis(300);

/// Kills the shop when so many sessions are paid as the seed says, and a moment later, and starts it again.
async fn kill_again_and_again(
    mut shop: Shop,
    mut random: fastrand::Rng,
    at: Vec<usize>,
) -> Result<Shop> {
    for paid in at {
        eventually(LIMIT, "enough is paid for the next kill", async || {
            shop.paid().await.is_ok_and(|sessions| sessions.len() >= paid)
        })
        .await;
        tokio::time::sleep(LATER_MAX.mul_f64(random.f64())).await;
        shop.dev.kill()?;
        shop.restart().await?;
    }
    Ok(shop)
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_by_kills_under_load() -> Result<()> {
    let kills = match env::var_os("STOREFRONT_KILLS") {
        Some(text) => text.to_str().and_then(|text| text.parse().ok()).context("a number")?,
        None => KILLS,
    };
    let carts = kills * CARTS_EACH;
    let shop = Shop::start(&[]).await?;
    let mut random = fastrand::Rng::with_seed(seed());
    // Two may fall together: it is killed while it recovers.
    let mut at: Vec<usize> = (0..kills).map(|_| random.usize(1..carts * 9 / 10)).collect();
    at.sort_unstable();

    let site = shop.site.clone();
    let buyers = stream::iter(0..carts)
        .map(|number| Shopper::Returns.buy(&site, number, LIMIT))
        .buffer_unordered(AT_ONCE)
        .try_collect::<BTreeSet<String>>();
    let (bought, shop) = try_join(buyers, kill_again_and_again(shop, random, at)).await?;
    let paid: BTreeSet<String> = shop.paid().await?.into_iter().map(|(id, _)| id).collect();
    ensure!(paid == bought, "the ledger and the buyers disagree");
    let end = shop.reckon(LIMIT).await?;
    println!("{kills} kills: {end:?}");
    ensure!((end.payments, end.sessions) == (carts, carts), "{end:?} for {carts} carts");
    ensure!(end.mails <= kills * MAILS_AT_ONCE, "{} mails more", end.mails);
    let again: usize = end.wire.values().sum();
    ensure!(kills < KILLS || again > 0, "no kill struck while something was on its way");
    Ok(())
}
