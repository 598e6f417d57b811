//! What services stand on goes away for a while.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use storefront_e2e_tests::{Load, Shop, demo};
use storefront_testkit::Http;

const LIMIT: Duration = Duration::from_secs(180);
const CHECKOUTS: u32 = 10;

/// Brokers that are not there cost no payment: what happened waits in the outbox.
#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn payments_go_on_without_brokers() -> Result<()> {
    let (operator, place, shop) = demo("brokers").await?;
    let load = Load::start(&operator, &shop).await?;
    load.goes_on(3).await;
    let before = load.all_served().await?;

    // An operator would start them again.
    shop.patch(&json!({"spec": {"paused": true}})).await?;
    shop.wait(
        "jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}=Paused",
        "storefront/demo",
        LIMIT,
    )
    .await?;
    shop.kubectl("scale statefulset/demo-kafka --replicas=0").await?;
    shop.wait("delete", "pod/demo-kafka-0", LIMIT).await?;
    for number in 0..CHECKOUTS {
        buy(&shop, number).await.with_context(|| format!("purchase {number}"))?;
    }
    let figures = shop.figures().await?;
    ensure!(figures["payments"] == before.payments, "there are brokers: {figures}");

    shop.patch(&json!({"spec": {"paused": false}})).await?;
    shop.wait("condition=Ready", "storefront/demo", LIMIT).await?;
    let ledger = shop.settled().await?;
    ensure!(ledger.paid == before.paid + u64::from(CHECKOUTS), "{before:?} became {ledger:?}");
    place.leave()
}

/// As far as a shopper waits: the shop knows that it was paid.
async fn buy(shop: &Shop, number: u32) -> Result<()> {
    let http = Http::default();
    let gateway = shop.forward("gateway", 8080).await?;
    let cart = json!({"userId": format!("ada-{number}"), "cart": [{"id": "chai", "quantity": 1}]});
    let session =
        http.post_json(gateway.url("/payment"), &cart).await?.expect_status(200)?.json()?;
    let session = session["id"].as_str().context("no session")?.to_owned();
    let sandbox = shop.forward("sandbox", 12111).await?;
    let pay = sandbox.url(&format!("/control/sessions/{session}/pay"));
    http.post(pay).await?.expect_status(200)?;
    let verify = gateway.url(&format!("/payment/verify?session_id={session}"));
    let verified = http.get(verify).await?.expect_status(200)?.json()?;
    ensure!(verified["status"] == "paid", "{verified}");
    Ok(())
}

/// Both are asked to stop, as by a node that is drained, one after the other.
#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn brokers_and_database_move_while_people_buy() -> Result<()> {
    let (operator, place, shop) = demo("moves").await?;
    let load = Load::start(&operator, &shop).await?;
    for (part, may_fail) in [("kafka", false), ("database", true)] {
        load.goes_on(10).await;
        let failed_before = load.sold().failed.len();
        let pod = format!("pod/{}-0", shop.service(part));
        shop.kubectl(&format!("delete {pod}")).await?;
        shop.wait("create", &pod, LIMIT).await?;
        shop.wait("condition=Ready", &pod, LIMIT).await?;
        shop.wait("condition=Ready", "storefront/demo", LIMIT).await?;
        load.goes_on(10).await;
        let sold = load.sold();
        let failed = &sold.failed[failed_before..];
        println!("{} purchases given up without {part}", failed.len());
        ensure!(may_fail || failed.is_empty(), "without {part}: {failed:?}");
    }
    load.all_paid_served().await?;
    place.leave()
}
