//! From nothing to a paid order.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use storefront_contract::CATALOG;
use storefront_e2e_tests::{Operator, Place, Shop, start_anew};

const SERVICE_BYTES_MAX: u64 = 20_000_000;
const OPERATOR_BYTES_MAX: u64 = 40_000_000;
/// Each takes under 2 s from its program's start where nothing else runs: this is for busy machines.
const START_MAX: Duration = Duration::from_secs(8);

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn a_shop_is_installed_and_sells() -> Result<()> {
    let operator = Operator::installed().await?;
    let place = Place::new("install").await?;
    let shop = Shop::apply(&place.name, "demo").await?;
    println!("ready {:.1} s after kubectl apply:", shop.ready().await?.as_secs_f64());
    for (seconds, condition) in shop.milestones().await? {
        println!("  {seconds:>3} s  {condition}");
    }
    let pods = shop.pods().await?;
    ensure!(pods.values().all(|restarts| *restarts == 0), "restarted on the way: {pods:?}");
    println!("{}", figures(&operator, &shop).await?);

    shop.visit().await?;
    let ledger = shop.settled().await?;
    // Two flows that end in a payment, each on a wide and on a narrow screen.
    ensure!(ledger.paid == 4, "{ledger:?}");
    place.leave()
}

/// Memory at rest and times to start where all that is needed is there, as a table. Both are bounded.
async fn figures(operator: &Operator, shop: &Shop) -> Result<String> {
    let mut memory = shop.memory().await?;
    memory.insert("operator".to_owned(), operator.memory().await?);
    let component = "app.kubernetes.io/component";
    let selector = |part| format!("app.kubernetes.io/instance={},{component}={part}", shop.name);
    let mut table = vec![format!(
        "{:<10} {:>14} {:>14} {:>15}",
        "ready after", "pod", "program", "memory at rest"
    )];
    let services = CATALOG.iter().map(|service| service.id.name());
    for part in services.chain(["operator"]) {
        let (start, most) = match part {
            "operator" => (operator.start_anew().await?, OPERATOR_BYTES_MAX),
            _ => (start_anew(&shop.namespace, &selector(part)).await?, SERVICE_BYTES_MAX),
        };
        let bytes = *memory.get(part).with_context(|| format!("no memory of {part}"))?;
        let ms = |it: Duration| it.as_millis();
        table.push(format!(
            "{part:<11} {:>11} ms {:>11} ms {:>12} kB",
            ms(start.of_pod),
            ms(start.of_program),
            bytes / 1000
        ));
        ensure!(bytes < most, "{part} uses {bytes} bytes at rest, more than {most}");
        ensure!(start.of_pod < START_MAX, "{part} was ready after {:?}", start.of_pod);
    }
    shop.ready().await?;
    Ok(table.join("\n"))
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn the_chart_tests_itself_by_a_purchase() -> Result<()> {
    let operator = Operator::installed().await?;
    let said = operator.test().await?;
    ensure!(said.contains("Phase:          Succeeded"), "{said}");
    Ok(())
}
