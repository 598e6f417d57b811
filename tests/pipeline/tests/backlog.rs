//! A service that is switched off leaves a backlog that can be seen, and works it off afterwards.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use storefront_pipeline_tests::{Shop, ok};
use storefront_testkit::{built_program, eventually, read_topic};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(60);
const PAYMENTS: usize = 10;

/// Lag of a group over all its partitions, by `storefront groups`.
async fn lag(shop: &Shop, group: &str) -> Result<Option<i64>> {
    let output = Command::new(built_program()?)
        .args(["groups", "--kafka", shop.brokers(), "--output", "json"])
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let groups = report["groups"].as_array().context("no groups")?;
    Ok(groups.iter().find(|entry| entry["group"] == group).and_then(|entry| entry["lag"].as_i64()))
}

#[tokio::test]
async fn without_order_ten_payments_are_a_lag_of_ten_and_with_it_ten_orders() -> Result<()> {
    let mut shop = Shop::start(&["--without", "order"]).await?;
    for n in 0..PAYMENTS {
        let session = shop.checkout(&format!("user-{n}"), &format!("cart-{n}")).await?;
        ok(&shop.act(&session, "pay").await?)?;
    }
    eventually(LIMIT, "the group lags by ten", async || {
        matches!(lag(&shop, "order-service").await, Ok(Some(10)))
    })
    .await;
    ensure!(read_topic(shop.brokers(), "order-successful")?.is_empty(), "who made an order?");
    shop.dev.stop().await?;

    shop.dev.options.arguments.clear();
    shop.dev.restart().await?;
    eventually(LIMIT, "the backlog is worked off", async || {
        matches!(lag(&shop, "order-service").await, Ok(Some(0)))
    })
    .await;
    eventually(LIMIT, "ten orders stand on their topic", async || {
        read_topic(shop.brokers(), "order-successful").is_ok_and(|orders| orders.len() == PAYMENTS)
    })
    .await;
    Ok(())
}
