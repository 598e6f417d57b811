//! More of each service, and fewer again, while people buy.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Map, Value, json};
use storefront_e2e_tests::{Load, demo};

const LIMIT: Duration = Duration::from_secs(180);
const SERVICES: [&str; 4] = ["gateway", "payment", "order", "email"];

#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn nobody_notices_that_services_are_scaled() -> Result<()> {
    let (operator, place, shop) = demo("scale").await?;
    let load = Load::start(&operator, &shop).await?;
    for replicas in [3, 1] {
        load.goes_on(10).await;
        let replicas_of = |service: &&str| ((*service).to_owned(), json!({"replicas": replicas}));
        let services: Map<String, Value> = SERVICES.iter().map(replicas_of).collect();
        shop.patch(&json!({"spec": {"services": services}})).await?;
        for service in SERVICES {
            let deployment = format!("deployment/{}", shop.service(service));
            let count = format!("jsonpath={{.status.readyReplicas}}={replicas}");
            shop.wait(&count, &deployment, LIMIT).await?;
            // Those that are too many have gone, not only been told to.
            let count = format!("jsonpath={{.status.replicas}}={replicas}");
            shop.wait(&count, &deployment, LIMIT).await?;
        }
        shop.wait("condition=Ready", "storefront/demo", LIMIT).await?;
    }
    load.goes_on(20).await;
    load.all_served().await?;
    place.leave()
}
