//! What was paid, by the stand-ins' own ledger, beside what came of it, seen from outside: topics, orders, mails, sales.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use storefront_testkit::{Letter, read_topics};

use crate::{Site, ok};

/// Everything that tells of a purchase, in the order in which it does.
pub const TOPICS: [&str; 3] = ["payment-successful", "order-successful", "email-successful"];
const DEAD_LETTERS: [&str; 5] = [
    "payment-successful.order-service.dlq",
    "payment-successful.email-service.dlq",
    "payment-successful.analytic-service.dlq",
    "order-successful.analytic-service.dlq",
    "email-successful.analytic-service.dlq",
];
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Everything that was paid has come of it, once. What may be there more than once all the same:
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reckoning {
    /// Payments, and so orders, and so different mails.
    pub payments: usize,
    /// Sessions that Stripe ever made for the shop, paid or not.
    pub sessions: usize,
    /// Records of a topic beyond one for each id.
    pub wire: BTreeMap<&'static str, usize>,
    /// Mails beyond one for each `Message-ID`.
    pub mails: usize,
}

impl Site {
    /// Waits until everything that the ledger says was paid has come of it, and compares.
    pub async fn reckon(&self, limit: Duration) -> Result<Reckoning> {
        let paid: BTreeMap<String, i64> = self.paid().await?.into_iter().collect();
        let payments = paid.len();
        // It hears of everything, and of mails last.
        self.sales_are(&paid, limit).await?;
        let brokers = self.brokers().to_owned();
        let all = [&TOPICS[..], &DEAD_LETTERS[..]].concat();
        let letters = tokio::task::spawn_blocking(move || read_topics(&brokers, &all)).await??;
        for topic in DEAD_LETTERS {
            let dead = &letters[topic];
            ensure!(dead.is_empty(), "{} events are dead on {topic}: {:?}", dead.len(), dead[0]);
        }
        let mut wire = BTreeMap::new();
        for topic in TOPICS {
            let told = told(&letters[topic]);
            let of: BTreeSet<&str> = told.values().map(|event| text(&event["sessionId"])).collect();
            let all: BTreeSet<&str> = paid.keys().map(String::as_str).collect();
            ensure!(of == all, "{topic} is not about the sessions that were paid");
            // On the wire a message may stand twice; by its id it is one.
            ensure!(told.len() == payments, "{topic} has {} ids for {payments}", told.len());
            for event in told.values().filter(|event| event.get("amount").is_some()) {
                let amount = paid.get(text(&event["sessionId"]));
                ensure!(event["amount"].as_i64() == amount.copied(), "{amount:?} paid: {event}");
            }
            wire.insert(topic, letters[topic].len() - payments);
        }
        self.orders_are_there(told(&letters[TOPICS[1]]).values(), &paid).await?;
        let mails = self.mails().await?;
        let different = mails.iter().collect::<BTreeSet<_>>().len();
        ensure!(different == payments, "{different} different mails for {payments} payments");
        let sessions = self.sessions().await?;
        Ok(Reckoning { payments, sessions, wire, mails: mails.len() - different })
    }

    /// How many sessions the ledger has.
    async fn sessions(&self) -> Result<usize> {
        let told = ok(&self.http.get(self.sandbox("/control/sessions?limit=1")).await?)?;
        let counts = told["counts"].as_object().context("no counts")?;
        Ok(usize::try_from(counts.values().filter_map(Value::as_u64).sum::<u64>())?)
    }

    /// Each session's order, as its shopper sees it.
    async fn orders_are_there(
        &self,
        events: impl Iterator<Item = &Value>,
        paid: &BTreeMap<String, i64>,
    ) -> Result<()> {
        for event in events {
            let path = format!("/orders/{}", text(&event["orderId"]));
            let order = ok(&self.http.get(self.gateway(&path)).await?)?;
            let amount = paid.get(text(&order["sessionId"])).copied();
            ensure!(order["sessionId"] == event["sessionId"], "{order} for {event}");
            ensure!(amount.is_some() && order["amount"].as_i64() == amount, "{amount:?}: {order}");
        }
        Ok(())
    }

    /// What analytics has counted: a sum tells what was counted twice.
    async fn sales_are(&self, paid: &BTreeMap<String, i64>, limit: Duration) -> Result<()> {
        let analytics = self.ready.services["analytics"]["http"].as_str().context("no address")?;
        let deadline = Instant::now() + limit;
        let report = loop {
            let report = self.http.get(format!("{analytics}/analytics")).await;
            let report = report.and_then(|reply| ok(&reply)).unwrap_or_default();
            let counts = counts(&report).map(Option::unwrap_or_default);
            if counts.iter().all(|count| *count >= paid.len()) {
                break report;
            }
            ensure!(Instant::now() < deadline, "{} paid after {limit:?}: {report}", paid.len());
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let exact = counts(&report) == [Some(paid.len()); 3];
        ensure!(exact, "{} were paid, but analytics has {report}", paid.len());
        let sales = report["revenue"].as_object().context("no revenue")?;
        let sales: i64 = sales.values().filter_map(Value::as_i64).sum();
        ensure!(sales == paid.values().sum::<i64>(), "what was paid is not {report}");
        Ok(())
    }
}

/// Payments, orders and mails.
fn counts(report: &Value) -> [Option<usize>; 3] {
    [&report["payments"], &report["orders"], &report["mails"]["sent"]]
        .map(|count| usize::try_from(count.as_u64()?).ok())
}

/// The values on a topic, each id once.
fn told(letters: &[Letter]) -> BTreeMap<String, Value> {
    letters.iter().map(|letter| (letter.header("ce_id").to_owned(), letter.value())).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
