//! New versions of services and operator while people buy.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use storefront_e2e_tests::{Load, demo};

const ROLLOUT_LIMIT: Duration = Duration::from_secs(240);
const SERVICES: [&str; 5] = ["gateway", "payment", "order", "email", "analytics"];

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn nobody_notices_an_upgrade() -> Result<()> {
    let (operator, place, shop) = demo("upgrade").await?;
    let load = Load::start(&operator, &shop).await?;

    // Not the stand-in for Stripe: what it knows of payments goes with its pod.
    let before = shop.pods().await?;
    let next = &operator.tags[1];
    let image = |service: &str| format!("{}/storefront-{service}:{next}", operator.registry);
    let services: serde_json::Map<_, _> =
        SERVICES.iter().map(|it| ((*it).to_owned(), json!({"image": image(it)}))).collect();
    let patch = json!({"spec": {"services": services}});
    shop.kubectl(&format!("patch storefront/demo --type=merge --patch={patch}")).await?;
    for service in SERVICES {
        let path = "{.spec.template.spec.containers[0].image}";
        let deployment = format!("deployment/{}", shop.service(service));
        let rolled = format!("jsonpath={path}={}", image(service));
        shop.wait(&rolled, &deployment, ROLLOUT_LIMIT).await?;
        shop.kubectl(&format!("rollout status {deployment} --timeout=240s")).await?;
    }
    for pod in
        before.keys().filter(|pod| SERVICES.iter().any(|it| pod.contains(&format!("-{it}-"))))
    {
        shop.wait("delete", &format!("pod/{pod}"), ROLLOUT_LIMIT).await?;
    }
    let rolled = shop.pods().await?;
    ensure!(rolled.len() == before.len(), "{before:?} became {rolled:?}");
    load.goes_on(20).await;

    // The operator alone: the shop's pods are none of its business.
    operator.install(next).await?;
    load.goes_on(20).await;
    shop.ready().await?;
    ensure!(shop.pods().await? == rolled, "{rolled:?} became {:?}", shop.pods().await?);

    load.all_served().await?;
    operator.install(&operator.tags[0]).await?;
    place.leave()
}
