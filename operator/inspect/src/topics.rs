//! Brokers and topics, as one answer of the brokers tells them.

use rdkafka::metadata::{Metadata, MetadataPartition, MetadataTopic};
use serde::Serialize;

use crate::InspectError;

/// Most names in one message.
const SIMILAR_MAX: usize = 3;
/// Most letters that differ between a name and what was meant.
const TYPOS_MAX: usize = 3;

/// The brokers with every topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    pub brokers: Vec<Broker>,
    pub topics: Vec<Topic>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broker {
    pub id: i32,
    /// `host:port`, as clients are told.
    pub address: String,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    #[serde(rename = "topic")]
    pub name: String,
    pub partitions: Vec<TopicPartition>,
    /// Messages that can be read, over all partitions. Fewer when records were removed or are marks of
    /// transactions in between: Kafka counts offsets, not messages.
    pub messages: i64,
    /// Partitions with fewer replicas in step than they should have.
    pub under_replicated: usize,
    /// Partitions that nobody can read or write now.
    pub offline: usize,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicPartition {
    #[serde(rename = "partition")]
    pub number: i32,
    /// Broker that serves it; `null` when there is none.
    pub leader: Option<i32>,
    pub replicas: Vec<i32>,
    /// Replicas that are in step.
    pub in_sync: Vec<i32>,
    /// Offset of the oldest message that can be read.
    pub start: i64,
    /// Offset that the next message will get.
    pub end: i64,
}

impl Cluster {
    /// The topic of that name on the brokers.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// The error that there is no such topic; it names similar ones.
    pub fn no_topic(&self, name: &str) -> InspectError {
        let mut known: Vec<_> = self.topics.iter().map(|topic| topic.name.as_str()).collect();
        known.sort_by_key(|other| strsim::damerau_levenshtein(other, name));
        let similar = |other: &&str| {
            let distance = strsim::damerau_levenshtein(other, name);
            distance <= TYPOS_MAX || other.contains(name)
        };
        let similar = known.into_iter().filter(similar).map(str::to_owned);
        InspectError::NoTopic {
            topic: name.to_owned(),
            similar: similar.take(SIMILAR_MAX).collect(),
        }
    }
}

impl TopicPartition {
    pub fn is_under_replicated(&self) -> bool {
        self.in_sync.len() < self.replicas.len()
    }
}

/// What the metadata tells; offsets are asked afterwards.
pub(crate) fn cluster(metadata: &Metadata) -> Cluster {
    let mut brokers: Vec<_> = metadata
        .brokers()
        .iter()
        .map(|broker| Broker {
            id: broker.id(),
            address: format!("{}:{}", broker.host(), broker.port()),
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    let mut topics: Vec<_> = metadata.topics().iter().map(topic).collect();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    Cluster { brokers, topics }
}

fn topic(topic: &MetadataTopic) -> Topic {
    let mut partitions: Vec<_> = topic.partitions().iter().map(partition).collect();
    partitions.sort_by_key(|partition| partition.number);
    Topic {
        name: topic.name().to_owned(),
        messages: 0,
        under_replicated: partitions.iter().filter(|it| it.is_under_replicated()).count(),
        offline: partitions.iter().filter(|it| it.leader.is_none()).count(),
        partitions,
    }
}

fn partition(partition: &MetadataPartition) -> TopicPartition {
    let sorted = |ids: &[i32]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    TopicPartition {
        number: partition.id(),
        leader: Some(partition.leader()).filter(|leader| *leader >= 0),
        replicas: sorted(partition.replicas()),
        in_sync: sorted(partition.isr()),
        start: 0,
        end: 0,
    }
}
