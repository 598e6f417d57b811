//! More of each service, and fewer again, while people buy.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};
use storefront_e2e_tests::{Load, Operator, Place, Shop};

const LIMIT: Duration = Duration::from_secs(180);
const SERVICES: [&str; 4] = ["gateway", "payment", "order", "email"];

#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn nobody_notices_that_services_are_scaled() -> Result<()> {
    let operator = Operator::installed().await?;
    let place = Place::new("scale").await?;
    let shop = Shop::apply(&place.name, "demo").await?;
    shop.ready().await?;
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
    let sold = load.stop().await?;
    println!("{} purchases while services were scaled", sold.done);
    ensure!(sold.failed.is_empty(), "failed: {:?}", sold.failed);
    let ledger = shop.settled().await?;
    ensure!(ledger.paid >= sold.done.into(), "{ledger:?}, {} sold", sold.done);
    place.leave()
}
