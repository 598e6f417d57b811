//! From nothing to a paid order.

use anyhow::{Context, Result, ensure};
use storefront_contract::CATALOG;
use storefront_e2e_tests::{NAMESPACE, Operator, Place, Shop, starts};

const SERVICE_BYTES_MAX: u64 = 20_000_000;
const OPERATOR_BYTES_MAX: u64 = 40_000_000;

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

/// Memory at rest, which is bounded, and times to start where all that is needed is there, which are told.
async fn figures(operator: &Operator, shop: &Shop) -> Result<String> {
    let mut memory = shop.memory().await?;
    memory.insert("operator".to_owned(), operator.memory().await?);
    let services: Vec<_> = CATALOG.iter().map(|service| service.id.name()).collect();
    for service in &services {
        let (label, deployment) = ("app.kubernetes.io/component", shop.service(service));
        let pods = format!("--selector=app.kubernetes.io/instance={},{label}={service}", shop.name);
        shop.kubectl(&format!("delete pod {pods} --timeout=60s")).await?;
        shop.kubectl(&format!("rollout status deployment/{deployment} --timeout=60s")).await?;
    }
    shop.ready().await?;
    let mut took = starts(&shop.namespace).await?;
    took.extend(starts(NAMESPACE).await?.into_values().map(|it| ("operator".to_owned(), it)));

    let mut table = vec![format!("{:<10} {:>17} {:>15}", "", "start to ready", "memory at rest")];
    for part in services.into_iter().chain(["operator"]) {
        let bytes = *memory.get(part).with_context(|| format!("no memory of {part}"))?;
        let start = *took.get(part).with_context(|| format!("no start of {part}"))?;
        table.push(format!("{part:<10} {start:>15} s {:>12} kB", bytes / 1000));
        let most = if part == "operator" { OPERATOR_BYTES_MAX } else { SERVICE_BYTES_MAX };
        ensure!(bytes < most, "{part} uses {bytes} bytes at rest, more than {most}");
    }
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
