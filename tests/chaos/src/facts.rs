//! Everything that is compared at the end, read once all is quiet.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;
use storefront_contract::{Names, ServiceId, Topic};
use storefront_testkit::{Letter, read_topics};

use crate::{
    ledger::Session,
    load::Bought,
    poison::Place,
    quiet::WAITING,
    scenario::Excuses,
    world::{World, topics},
};

/// An event, as it stands on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub id: String,
    pub key: String,
    pub session: String,
    /// In minor units; a mail has none.
    pub amount: Option<i64>,
    /// Of a mail.
    pub message_id: String,
    /// Where its first record stands.
    pub place: Place,
}

/// What a topic says.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    /// Each event once, in the order of first records within a partition.
    pub events: Vec<Told>,
    /// Records beyond one for each event.
    pub again: usize,
}

/// What analytics has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sales {
    pub payments: i64,
    pub orders: i64,
    pub mails: i64,
    pub revenue: i64,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Facts {
    pub bought: Bought,
    pub sessions: BTreeMap<String, Session>,
    /// By `Message-ID`.
    pub mails: BTreeMap<String, usize>,
    /// Session and amount of each order.
    pub orders: Vec<(String, i64)>,
    /// In the order of the flow: payments, orders, mails.
    pub topics: [Wire; 3],
    pub poison: BTreeSet<Place>,
    /// By topic: where each dead letter comes from.
    pub dead: BTreeMap<String, Vec<Place>>,
    pub sales: Sales,
    /// What is not done, by service.
    pub waiting: BTreeMap<String, u64>,
    /// Mails of which email says that they may have been sent without its knowledge, and how often.
    pub unclear: BTreeMap<String, usize>,
    /// How often leases have passed to another instance.
    pub takeovers: u64,
    /// What is to be forgiven.
    pub excuses: Excuses,
}

impl World {
    pub async fn facts(
        &self,
        bought: Bought,
        poison: BTreeSet<Place>,
        excuses: Excuses,
    ) -> Result<Facts> {
        let brokers = self.kafka.bootstrap().to_owned();
        let read = move || {
            let names = topics();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            read_topics(&brokers, &names)
        };
        let mut letters = tokio::task::spawn_blocking(read).await??;
        let topics = Topic::ALL.map(|topic| {
            let records = letters.remove(&Names::new("").topic(topic)).unwrap_or_default();
            let none = BTreeSet::new();
            wire(&records, if topic == Topic::PaymentSuccessful { &poison } else { &none })
        });
        let dead = letters
            .iter()
            .map(|(topic, letters)| (topic.clone(), letters.iter().map(origin).collect()))
            .collect();
        let mut waiting = BTreeMap::new();
        for service in self.databases.keys() {
            waiting.insert(service.to_string(), self.number(*service, WAITING).await?);
        }
        let held = "SELECT count(*) FROM payments WHERE state = 'held'";
        waiting.insert("payments held".into(), self.number(ServiceId::Payment, held).await?);
        let mut takeovers = 0;
        for service in self.databases.keys() {
            let passed = "SELECT coalesce(sum(fence - 1), 0) FROM leases";
            takeovers += self.number(*service, passed).await?;
        }
        Ok(Facts {
            bought,
            sessions: self.sessions().await?,
            mails: self.mails().await?,
            orders: self.pairs(ServiceId::Order, "SELECT session_id, amount FROM orders").await?,
            topics,
            poison,
            dead,
            sales: self.sales().await?,
            waiting,
            unclear: self.unclear().await?,
            takeovers,
            excuses,
        })
    }

    /// Rows of a text and a number.
    pub async fn pairs(&self, service: ServiceId, query: &str) -> Result<Vec<(String, i64)>> {
        let text = self.ask(service, query).await?;
        let pair = |line: &str| {
            let (name, number) = line.rsplit_once('|').context("no pair")?;
            Ok((name.to_owned(), number.parse()?))
        };
        text.lines().filter(|line| !line.is_empty()).map(pair).collect()
    }

    /// Where the payments stand of which there is no order, and what order's inbox says of them (`inbox::State`), for
    /// whoever looks for the cause.
    pub async fn traces(&self, facts: &Facts) -> Result<Vec<String>> {
        let ordered: BTreeSet<&str> = facts.orders.iter().map(|(id, _)| id.as_str()).collect();
        let lost = |told: &&Told| !ordered.contains(told.session.as_str());
        let lost: Vec<&Told> = facts.topics[0].events.iter().filter(lost).collect();
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let inbox = self.pairs(ServiceId::Order, "SELECT id, state FROM inbox").await?;
        let inbox: BTreeMap<String, i64> = inbox.into_iter().collect();
        let trace = |told: &Told| {
            let Told { id, key, session, place: (partition, offset), .. } = told;
            let state = inbox.get(id);
            format!("no order of {session}: {id} of {key} at {partition}/{offset}, inbox {state:?}")
        };
        Ok(lost.into_iter().map(trace).collect())
    }

    async fn unclear(&self) -> Result<BTreeMap<String, usize>> {
        let query = "SELECT message_id, unclear FROM mails WHERE unclear > 0";
        let rows = self.pairs(ServiceId::Email, query).await?;
        let row = |(id, times)| (id, usize::try_from(times).unwrap_or_default());
        Ok(rows.into_iter().map(row).collect())
    }

    async fn sales(&self) -> Result<Sales> {
        let analytics = self.member(ServiceId::Analytics, 1)?.instance.address();
        let report = self.http.get(format!("http://{analytics}/analytics")).await?.json()?;
        let count = |value: &Value| value.as_i64().unwrap_or_default();
        let revenue = report["revenue"].as_object().into_iter().flatten();
        Ok(Sales {
            payments: count(&report["payments"]),
            orders: count(&report["orders"]),
            mails: count(&report["mails"]["sent"]),
            revenue: revenue.map(|(_, amount)| count(amount)).sum(),
        })
    }
}

/// What a topic's records say, without the garbage that was put there.
fn wire(letters: &[Letter], poison: &BTreeSet<Place>) -> Wire {
    let mut wire = Wire::default();
    let mut seen = BTreeSet::new();
    let mut letters: Vec<&Letter> = letters
        .iter()
        .filter(|letter| {
            let has_id = !letter.header("ce_id").is_empty();
            has_id || !poison.contains(&(letter.partition, letter.offset))
        })
        .collect();
    letters.sort_by_key(|letter| (letter.partition, letter.offset));
    for letter in letters {
        if !seen.insert(letter.header("ce_id").to_owned()) {
            wire.again += 1;
            continue;
        }
        let value = letter.value();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        wire.events.push(Told {
            id: letter.header("ce_id").to_owned(),
            key: letter.key().to_owned(),
            session: text(&value["sessionId"]),
            amount: value["amount"].as_i64(),
            message_id: text(&value["messageId"]),
            place: (letter.partition, letter.offset),
        });
    }
    wire
}

/// Where a dead letter comes from, by its headers.
fn origin(letter: &Letter) -> Place {
    let number = |name: &str| letter.header(name).parse::<i64>().unwrap_or(-1);
    (i32::try_from(number("dlq-partition")).unwrap_or(-1), number("dlq-offset"))
}
