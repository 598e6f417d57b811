//! `status`: how the shop is, as the operator last saw it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::kubernetes;
use crate::status::reasons::{KAFKA_READY, TOPICS_READY};

/// How the shop is, as the operator last saw it. Nobody else writes here.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StorefrontStatus {
    /// What is so and what is not: `Ready`, `Progressing`, `Degraded`, `SecretsReady`, `KafkaReady`,
    /// `TopicsReady`, `DatabaseReady`, and one for each part that runs, such as `PaymentReady`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::status::<Vec<Condition>>")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// Generation of the `spec` that all this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Where the shop is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub url: Option<String>,

    /// Which brokers `lag`, `topics` and `groups` are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2100))]
    pub brokers: Option<String>,

    /// Id that these brokers have given to their cluster: it is the same whatever address they are reached by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub cluster_id: Option<String>,

    /// Events that consumers have not taken yet, all groups together, rounded down to 1, 2 or 5 and
    /// zeros behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,

    /// The topics, with their dead-letter topics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub topics: Vec<TopicStatus>,

    /// The consumer groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub groups: Vec<GroupStatus>,
}

impl StorefrontStatus {
    /// What it says about one thing.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether it says that: `True`, `False`, or `Unknown`. What it says nothing about is neither.
    pub fn says(&self, type_: &str, status: &str) -> bool {
        self.condition(type_).is_some_and(|condition| condition.status == status)
    }

    /// Without what other brokers than these have said.
    pub(crate) fn of_brokers(mut self, brokers: &str) -> Self {
        if self.brokers.as_deref().is_some_and(|known| known != brokers) {
            self.conditions
                .retain(|known| known.type_ != KAFKA_READY && known.type_ != TOPICS_READY);
            self.brokers = None;
            self.cluster_id = None;
            self.lag = None;
            self.topics.clear();
            self.groups.clear();
        }
        self
    }
}

/// One topic as the brokers have it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TopicStatus {
    /// Its name on the brokers.
    #[schemars(length(max = 249))]
    pub name: String,

    /// Number of partitions.
    pub partitions: i32,

    /// Copies of each partition.
    pub replication_factor: i32,

    /// Partitions of which not every copy is up to date.
    pub under_replicated: i32,

    /// Partitions that nobody leads: nothing can be written to them or read.
    pub leaderless: i32,
}

/// One consumer group as the brokers have it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    /// Its name on the brokers.
    #[schemars(length(max = 249))]
    pub name: String,

    /// Instances that share its work.
    pub members: i32,

    /// Events not taken yet, rounded down to 1, 2 or 5 and zeros behind it.
    pub lag: i64,
}
