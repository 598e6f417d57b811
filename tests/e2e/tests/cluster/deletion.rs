//! A shop that is deleted leaves its disks, and finds them again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use storefront_e2e_tests::{Load, Shop, demo, kubectl_json};

const GONE_LIMIT: Duration = Duration::from_secs(90);
const KINDS: &str = "deployments,statefulsets,pods,services,serviceaccounts,networkpolicies,\
                     poddisruptionbudgets,configmaps,secrets,persistentvolumeclaims";

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn a_deleted_shop_comes_back_with_its_orders() -> Result<()> {
    let (operator, place, shop) = demo("deletion").await?;
    let load = Load::start(&operator, &shop).await?;
    load.goes_on(3).await;
    let ledger = load.all_served().await?;

    shop.kubectl("delete storefront/demo --timeout=60s").await?;
    let selector = "--selector=app.kubernetes.io/instance=demo";
    let seconds = GONE_LIMIT.as_secs();
    shop.kubectl(&format!("wait --for=delete pod {selector} --timeout={seconds}s")).await?;
    let left = kubectl_json(&format!("get {KINDS} {selector} --namespace={}", place.name)).await?;
    let name = |object: &serde_json::Value| {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
    };
    let mut left: Vec<_> =
        left["items"].as_array().context("no objects")?.iter().map(name).collect();
    left.sort();
    let kept = [
        "PersistentVolumeClaim data-demo-database-0",
        "PersistentVolumeClaim data-demo-kafka-0",
        "Secret demo-database",
        "Secret demo-kafka",
    ];
    ensure!(left == kept, "what is left: {left:?}");

    let shop = Shop::apply(&place.name, "demo").await?;
    shop.ready().await?;
    let figures = shop.figures().await?;
    ensure!(figures["orders"] == ledger.orders, "{ledger:?} became {figures}");
    place.leave()
}
