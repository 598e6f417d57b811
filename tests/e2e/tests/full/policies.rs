//! The fence around each part, where something in the cluster keeps to `NetworkPolicies`.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use storefront_e2e_tests::{Load, demo, kubectl_with, pod, postgres};

const LIMIT: Duration = Duration::from_secs(120);
/// What a stranger may reach, and what not.
const OPEN: [(&str, u16); 1] = [("gateway", 8080)];
const CLOSED: [(&str, u16); 6] = [
    ("kafka", 9092),
    ("database", 5432),
    ("payment", 8000),
    ("order", 8001),
    ("analytics", 8003),
    ("sandbox", 12111),
];

#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn strangers_reach_the_gateway_and_nothing_else() -> Result<()> {
    // The operator reaches the brokers, too: without topics a shop is not ready.
    let (operator, place, shop) = demo("policies").await?;
    let load = Load::start(&operator, &shop).await?;
    load.goes_on(10).await;

    // In the shop's own namespace, which is nearer than most strangers get.
    let address = |(part, port): (&str, u16)| (part.to_owned(), shop.service(part), port);
    let places: Vec<_> = OPEN.into_iter().chain(CLOSED).map(address).collect();
    let containers: Vec<_> = places.iter().map(knock).collect::<Result<_>>()?;
    let stranger = pod("stranger", 999, &containers).to_string();
    kubectl_with(&format!("apply --namespace={} --filename=-", place.name), &stranger).await?;
    // No server understands what it says.
    shop.wait("jsonpath={.status.phase}=Failed", "pod/stranger", LIMIT).await?;
    for (part, _) in OPEN {
        let said = shop.kubectl(&format!("logs stranger --container={part}")).await?;
        ensure!(!is_shut(&said), "{part} is not reached: {said}");
    }
    for (part, _) in CLOSED {
        let said = shop.kubectl(&format!("logs stranger --container={part}")).await?;
        ensure!(
            is_shut(&said),
            "{part} is reached: {said}\nDoes anything here keep to NetworkPolicies?"
        );
    }

    load.goes_on(10).await;
    load.all_served().await?;
    shop.visit().await?;
    shop.settled().await?;
    place.leave()
}

/// A client that says whether it got through to somebody.
fn knock((name, host, port): &(String, String, u16)) -> Result<Value> {
    let target =
        format!("host={host} port={port} user=x dbname=x sslmode=disable connect_timeout=5");
    Ok(json!({"name": name, "image": postgres()?, "command": ["psql", target]}))
}

fn is_shut(said: &str) -> bool {
    ["timeout expired", "Connection refused", "No route to host", "unreachable"]
        .iter()
        .any(|words| said.contains(words))
}
