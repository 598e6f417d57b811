//! From nothing to a paid order.

use anyhow::{Result, ensure};
use storefront_contract::CATALOG;
use storefront_e2e_tests::{Operator, Place, Shop};

const SERVICE_BYTES_MAX: u64 = 20_000_000;
const OPERATOR_BYTES_MAX: u64 = 40_000_000;

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn a_shop_is_installed_and_sells() -> Result<()> {
    let operator = Operator::installed().await?;
    let place = Place::new("install").await?;
    let shop = Shop::apply(&place.name, "demo").await?;
    println!("ready {:.1} s after kubectl apply", shop.ready().await?.as_secs_f64());
    let pods = shop.pods().await?;
    ensure!(pods.values().all(|restarts| *restarts == 0), "restarted on the way: {pods:?}");

    let memory = shop.memory().await?;
    let services = CATALOG.iter().map(|service| service.id.name());
    for service in services.filter(|service| memory.contains_key(*service)) {
        println!("{service}: {} kB at rest", memory[service] / 1000);
        ensure!(memory[service] < SERVICE_BYTES_MAX, "{service} is fat: {memory:?}");
    }
    let bytes = operator.memory().await?;
    println!("operator: {} kB at rest", bytes / 1000);
    ensure!(bytes < OPERATOR_BYTES_MAX, "the operator uses {bytes} bytes");

    shop.visit().await?;
    let ledger = shop.settled().await?;
    // Two flows that end in a payment, each on a wide and on a narrow screen.
    ensure!(ledger.paid == 4, "{ledger:?}");
    place.leave()
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn the_chart_tests_itself_by_a_purchase() -> Result<()> {
    let operator = Operator::installed().await?;
    let said = operator.test().await?;
    ensure!(said.contains("Phase:          Succeeded"), "{said}");
    Ok(())
}
