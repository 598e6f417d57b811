//! Pods that are gone from one moment to the next, while people buy.

use std::time::Duration;

use anyhow::{Result, ensure};
use storefront_e2e_tests::{Load, Operator, Place, Shop};

const BACK_LIMIT: Duration = Duration::from_secs(180);
/// Services first, then what they stand on.
const PARTS: [&str; 7] = ["email", "order", "analytics", "payment", "gateway", "database", "kafka"];

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn nothing_that_was_paid_is_lost_or_doubled() -> Result<()> {
    let operator = Operator::installed().await?;
    let place = Place::new("kills").await?;
    let shop = Shop::apply(&place.name, "demo").await?;
    shop.ready().await?;
    let load = Load::start(&operator, &shop).await?;
    for part in PARTS {
        load.goes_on(10).await;
        let selector = format!(
            "--selector=app.kubernetes.io/instance=demo,app.kubernetes.io/component={part}"
        );
        shop.kubectl(&format!("delete pod {selector} --force --grace-period=0 --wait=false"))
            .await?;
        let kind = if ["database", "kafka"].contains(&part) { "statefulset" } else { "deployment" };
        let object = format!("{kind}/{}", shop.service(part));
        shop.kubectl(&format!("rollout status {object} --timeout=180s")).await?;
        shop.wait("condition=Ready", "storefront/demo", BACK_LIMIT).await?;
    }
    load.goes_on(10).await;
    let sold = load.stop().await?;
    println!("{} purchases, {} given up by shoppers", sold.done, sold.failed.len());
    let ledger = shop.settled().await?;
    println!("{ledger:?}");
    ensure!(ledger.paid >= sold.done.into(), "{ledger:?}, {} sold", sold.done);
    place.leave()
}
