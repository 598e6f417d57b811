//! Clients that nobody here wrote read the messages, and take a service's place.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use storefront_pipeline_tests::{Shop, ok};
use storefront_testkit::{eventually, read_topic};
use tokio::process::Command;

const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);
const PAYMENTS: usize = 3;

/// Runs a program; the JSON lines that it printed.
async fn json_lines(command: &mut Command) -> Result<Vec<Value>> {
    let output = tokio::time::timeout(LIMIT, command.kill_on_drop(true).output()).await??;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {errors}");
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

fn node(script: &str) -> Command {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../clients"));
    let mut command = Command::new("node");
    command.current_dir(folder).arg(script);
    command
}

async fn shop_with_payments() -> Result<Shop> {
    let shop = Shop::start(&[]).await?;
    for n in 0..PAYMENTS {
        let session = shop.checkout("ada", &format!("cart-{n}")).await?;
        ok(&shop.act(&session, "pay").await?)?;
        shop.verify(&session).await?;
    }
    eventually(LIMIT, "the mails have come", async || {
        shop.mails().await.is_ok_and(|mails| mails.len() == PAYMENTS)
    })
    .await;
    Ok(shop)
}

/// What every client must see of a payment.
fn is_a_payment(key: &str, headers: impl Fn(&str) -> Option<String>, value: &str) -> Result<()> {
    let value: Value = serde_json::from_str(value)?;
    ensure!(key == "ada" && value["userId"] == "ada" && value["currency"] == "INR", "{value}");
    for name in ["ce_id", "ce_source", "ce_time", "traceparent"] {
        ensure!(headers(name).is_some(), "no {name}");
    }
    ensure!(headers("ce_specversion").as_deref() == Some("1.0"), "no version");
    ensure!(headers("ce_type").as_deref() == Some("dev.storefront.payment-successful"), "no type");
    ensure!(headers("content-type").as_deref() == Some("application/json"), "no content type");
    Ok(())
}

#[tokio::test]
async fn kcat_and_kafkajs_read_the_messages_with_headers() -> Result<()> {
    let shop = shop_with_payments().await?;
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", shop.brokers(), "-C", "-t", "payment-successful", "-e", "-q", "-J"]);
    let seen = json_lines(&mut kcat).await?;
    ensure!(seen.len() == PAYMENTS, "kcat saw {}", seen.len());
    for record in &seen {
        // kcat prints headers as a flat list: name, value, name, value…
        let list = record["headers"].as_array().context("no headers")?;
        let header = |name: &str| {
            let at = list.iter().step_by(2).position(|entry| entry == name)?;
            list.get(2 * at + 1)?.as_str().map(Into::into)
        };
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        is_a_payment(&text("key"), header, &text("payload"))?;
    }

    let mut kafkajs = node("kafkajs.mjs");
    kafkajs.args([shop.brokers(), "payment-successful", &PAYMENTS.to_string()]);
    let seen = json_lines(&mut kafkajs).await?;
    ensure!(seen.len() == PAYMENTS, "kafkajs saw {}", seen.len());
    for record in &seen {
        let header = |name: &str| record["headers"][name].as_str().map(Into::into);
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        is_a_payment(&text("key"), header, &text("value"))?;
    }
    Ok(())
}

/// kafkajs is the order service: it takes payments from Rust, and Rust takes its orders.
#[tokio::test]
async fn a_service_in_another_language_stands_in_the_middle_of_the_flow() -> Result<()> {
    let shop = Shop::start(&["--without", "order"]).await?;
    let mut orders = node("order.mjs");
    orders.args([shop.brokers(), &PAYMENTS.to_string()]);
    let sell = async {
        for n in 0..PAYMENTS {
            let session = shop.checkout("ada", &format!("cart-{n}")).await?;
            ok(&shop.act(&session, "pay").await?)?;
            shop.verify(&session).await?;
        }
        anyhow::Ok(())
    };
    let (told, ()) = tokio::try_join!(json_lines(&mut orders), sell)?;
    let paid: BTreeSet<String> = shop.paid().await?.into_iter().map(|(id, _)| id).collect();
    let of: BTreeSet<String> =
        told.iter().filter_map(|order| Some(order["sessionId"].as_str()?.to_owned())).collect();
    ensure!(of == paid, "the orders are not about what was paid");
    // It sends each order twice; analytics counts it once, and nothing is a dead letter.
    let analytics = shop.ready.services["analytics"]["http"].as_str().context("no address")?;
    eventually(LIMIT, "analytics has counted them", async || {
        let report = shop.http.get(format!("{analytics}/analytics")).await;
        let report = report.and_then(|reply| reply.json()).unwrap_or_default();
        report["orders"] == PAYMENTS && report["mails"]["sent"] == PAYMENTS
    })
    .await;
    let records = read_topic(shop.brokers(), "order-successful")?;
    ensure!(records.len() == 2 * PAYMENTS, "{} records", records.len());
    let dead = read_topic(shop.brokers(), "order-successful.analytic-service.dlq")?;
    ensure!(dead.is_empty(), "{dead:?}");
    Ok(())
}
