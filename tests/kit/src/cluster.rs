//! Three brokers of one cluster, and who of them has which partition: what tests that take brokers away look at.

use std::time::Duration;

use anyhow::Context as _;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};

use crate::{Kafka, eventually};

const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Three brokers, with a client of the tests' own.
pub struct Cluster {
    brokers: [Kafka; 3],
    bootstrap: String,
    client: BaseConsumer,
}

/// Who has a partition: brokers by their numbers, which begin with 1.
#[derive(Debug)]
pub struct Copies {
    /// Nobody is 0 or less.
    pub leader: usize,
    pub in_sync: usize,
}

impl Cluster {
    /// Of brokers that run.
    pub fn of(brokers: [Kafka; 3]) -> anyhow::Result<Self> {
        let bootstrap = brokers.each_ref().map(Kafka::bootstrap).join(",");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &bootstrap).set("group.id", "tests-watcher");
        Ok(Self { client: config.create()?, brokers, bootstrap })
    }

    /// All three, for clients' `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The broker of that number, from 1.
    pub fn broker(&self, number: usize) -> &Kafka {
        &self.brokers[number - 1]
    }

    /// Of each partition of a topic.
    pub fn copies(&self, topic: &str) -> anyhow::Result<Vec<Copies>> {
        let metadata = self.client.fetch_metadata(Some(topic), ASK_LIMIT)?;
        let partitions = metadata.topics().first().context("no metadata")?.partitions();
        let copies = partitions.iter().map(|partition| Copies {
            leader: usize::try_from(partition.leader()).unwrap_or_default(),
            in_sync: partition.isr().len(),
        });
        Ok(copies.collect())
    }

    /// Whether so many brokers have every partition of these topics.
    pub fn is_in_sync(&self, topics: &[&str], brokers: usize) -> bool {
        topics.iter().all(|topic| {
            self.copies(topic).is_ok_and(|copies| {
                copies.iter().all(|copies| copies.leader > 0 && copies.in_sync == brokers)
            })
        })
    }

    /// Waits until so many brokers have every partition of these topics.
    pub async fn in_sync(&self, topics: &[&str], brokers: usize, limit: Duration) {
        let what = format!("{brokers} copies of {}", topics.join(", "));
        eventually(limit, &what, async || self.is_in_sync(topics, brokers)).await;
    }
}
