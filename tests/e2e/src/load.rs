//! A steady load: shoppers in the cluster who buy one thing after the other, through the gateway's Service.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use storefront_testkit::eventually;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::{Ledger, Operator, Shop, kubectl::kubectl_with, pod};

const POD: &str = "shoppers";
/// At the same time.
const SHOPPERS: u32 = 2;
/// More than any test lets them.
const PURCHASES: u32 = 100_000;
const FIRST_LIMIT: Duration = Duration::from_secs(60);
const GOES_ON_LIMIT: Duration = Duration::from_secs(300);
/// A paid order may come late, when brokers have to start on a busy machine first; it must come.
const PURCHASE_LIMIT: &str = "240s";

/// What shoppers have told.
#[derive(Clone, Debug, Default)]
pub struct Sold {
    pub done: u32,
    pub failed: Vec<String>,
}

/// Shoppers who go on until they are told to stop.
pub struct Load<'a> {
    shop: &'a Shop,
    sold: watch::Receiver<Sold>,
    _logs: Child,
}

impl<'a> Load<'a> {
    /// Starts them, and waits for the first purchase.
    pub async fn start(operator: &Operator, shop: &'a Shop) -> Result<Self> {
        let namespace = &shop.namespace;
        let manifest = manifest(operator, shop).to_string();
        kubectl_with(&format!("apply --namespace={namespace} --filename=-"), &manifest).await?;
        shop.wait("condition=Ready", &format!("pod/{POD}"), FIRST_LIMIT).await?;
        let mut logs = Command::new("kubectl")
            .args(["logs", "--follow", POD, "--namespace", namespace])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (tell, sold) = watch::channel(Sold::default());
        let mut lines = BufReader::new(logs.stdout.take().context("no output")?).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                tell.send_modify(|sold| match line.split_whitespace().nth(1) {
                    Some("done") => sold.done += 1,
                    _ => sold.failed.push(line),
                });
            }
        });
        let load = Self { shop, sold, _logs: logs };
        load.goes_on(1).await;
        Ok(load)
    }

    /// Waits until so many more purchases have come to their end.
    pub async fn goes_on(&self, purchases: u32) {
        let wanted = self.sold.borrow().done + purchases;
        let what = format!("{purchases} more purchases");
        eventually(GOES_ON_LIMIT, &what, async || self.sold.borrow().done >= wanted).await;
    }

    /// What was sold until now.
    pub fn sold(&self) -> Sold {
        self.sold.borrow().clone()
    }

    /// Ends it. Nobody was turned away, and all that was paid is ordered and mailed, once each.
    pub async fn all_served(self) -> Result<Ledger> {
        let (sold, ledger) = self.end().await?;
        ensure!(sold.failed.is_empty(), "failed: {:?}", sold.failed);
        Ok(ledger)
    }

    /// Ends it where shoppers may have given up: what was paid is ordered and mailed all the same.
    pub async fn all_paid_served(self) -> Result<Ledger> {
        self.end().await.map(|(_, ledger)| ledger)
    }

    #[expect(clippy::print_stdout, reason = "how much was sold says what a test is worth")]
    async fn end(self) -> Result<(Sold, Ledger)> {
        self.shop.kubectl(&format!("delete pod {POD} --grace-period=1")).await?;
        let sold = self.sold();
        println!("{} purchases, {} given up by shoppers", sold.done, sold.failed.len());
        let ledger = self.shop.settled().await?;
        println!("{ledger:?}");
        ensure!(ledger.paid >= sold.done.into(), "{ledger:?}, {} sold", sold.done);
        Ok((sold, ledger))
    }
}

fn manifest(operator: &Operator, shop: &Shop) -> serde_json::Value {
    let gateway = format!("http://{}.{}:8080", shop.service("gateway"), shop.namespace);
    let container = json!({
        "name": "purchase",
        "image": format!("{}/storefront:{}", operator.registry, operator.tags[0]),
        "args": [
            "purchase", "--gateway", gateway, "--user", "load", "--no-mail", "--limit", PURCHASE_LIMIT,
            "--count", PURCHASES.to_string(), "--concurrency", SHOPPERS.to_string(),
        ],
    });
    pod(POD, 65532, &[container])
}
