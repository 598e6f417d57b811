//! A namespace that is deleted with everything in it ends, whatever goes first.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use storefront_e2e_tests::{Load, Place, Shop, demo, kubectl};

const LIMIT: Duration = Duration::from_secs(180);
const GONE_LIMIT_S: u32 = 150;

#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn a_namespace_ends_while_people_buy() -> Result<()> {
    let (operator, place, shop) = demo("namespace").await?;
    let load = Load::start(&operator, &shop).await?;
    load.goes_on(5).await;
    delete(&place.name).await?;
    place.leave()
}

/// Topics that are to be deleted with their shop, on brokers that are gone for good: the finalizer gives up.
#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn a_namespace_ends_after_its_brokers() -> Result<()> {
    let (_, brokers, theirs) = demo("theirs").await?;
    // Only the brokers of this shop are used, over the fence that its owner takes down.
    theirs.patch(&json!({"spec": {"networkPolicy": {"enabled": false}}})).await?;
    let place = Place::new("namespace").await?;
    let kafka = json!({
        "managed": null,
        "external": {"bootstrapServers": format!("demo-kafka.{}:9092", brokers.name)},
        "prefix": "guest-",
        "topics": {"deletionPolicy": "Delete", "replicationFactor": 1},
    });
    let shop = Shop::apply_with(&place.name, "guest", &json!({"kafka": kafka})).await?;
    shop.ready().await?;
    shop.wait("jsonpath={.metadata.finalizers[0]}", "storefront/guest", LIMIT).await?;

    delete(&brokers.name).await?;
    delete(&place.name).await?;
    brokers.leave()?;
    place.leave()
}

async fn delete(namespace: &str) -> Result<()> {
    kubectl(&format!("delete namespace {namespace} --timeout={GONE_LIMIT_S}s")).await.map(drop)
}
