//! Pods that are gone from one moment to the next, while people buy.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use storefront_e2e_tests::{Load, demo};

const BACK_LIMIT: Duration = Duration::from_secs(180);
/// Services first, then what they stand on.
const PARTS: [&str; 7] = ["email", "order", "analytics", "payment", "gateway", "database", "kafka"];

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn nothing_that_was_paid_is_lost_or_doubled() -> Result<()> {
    let (operator, place, shop) = demo("kills").await?;
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
    // In the middle of something to do.
    shop.patch(&json!({"spec": {"services": {"order": {"replicas": 2}}}})).await?;
    operator.kill().await?;
    shop.wait("jsonpath={.status.readyReplicas}=2", "deployment/demo-order", BACK_LIMIT).await?;
    load.goes_on(10).await;
    load.all_paid_served().await?;
    place.leave()
}
