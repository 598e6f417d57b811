//! Topics get more partitions, and a service is switched off and on, while people buy.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use storefront_e2e_tests::{Load, demo, kubectl_json};

const LIMIT: Duration = Duration::from_secs(180);
const PARTITIONS: u64 = 12;

#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn topics_grow_and_a_service_catches_up() -> Result<()> {
    let (operator, place, shop) = demo("topics").await?;
    let load = Load::start(&operator, &shop).await?;
    load.goes_on(10).await;

    let topics = json!({"partitions": PARTITIONS, "allowPartitionGrowth": true});
    shop.patch(&json!({"spec": {"kafka": {"topics": topics}}})).await?;
    let grown = format!(
        "jsonpath={{.status.topics[?(@.name==\"payment-successful\")].partitions}}={PARTITIONS}"
    );
    shop.wait(&grown, "storefront/demo", LIMIT).await?;
    let found = kubectl_json(&format!("get storefront/demo --namespace={}", place.name)).await?;
    let topics = found["status"]["topics"].as_array().cloned().unwrap_or_default();
    ensure!(topics.iter().all(|topic| topic["partitions"] == PARTITIONS), "{topics:?}");
    load.goes_on(20).await;

    // Nobody waits for the mail: what it missed is sent when it is back.
    shop.patch(&json!({"spec": {"services": {"email": {"enabled": false}}}})).await?;
    shop.wait("delete", "deployment/demo-email", LIMIT).await?;
    load.goes_on(20).await;
    shop.patch(&json!({"spec": {"services": {"email": {"enabled": true}}}})).await?;
    shop.wait("create", "deployment/demo-email", LIMIT).await?;
    shop.wait("condition=Ready", "storefront/demo", LIMIT).await?;
    load.goes_on(5).await;

    load.all_served().await?;
    place.leave()
}
