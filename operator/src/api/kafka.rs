//! `spec.kafka`.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PodPlacement, Resources, Scalar, SecretKeyRef, SecretRef, Storage, rules};

/// Where events are kept. Write at most one of `managed`, `external` and `strimzi`; default:
/// `managed`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::KAFKA_ONE, validation = rules::REPLICATION_FITS)]
pub struct Kafka {
    /// Brokers that the operator runs for this shop alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedKafka>,

    /// Brokers that exist already: Amazon MSK, Confluent Cloud, your own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalKafka>,

    /// A cluster of the Strimzi operator, in the same namespace. Topics and the user become its
    /// `KafkaTopic` and `KafkaUser` objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strimzi: Option<StrimziKafka>,

    /// Goes before the name of every topic and consumer group, so that two shops can share brokers.
    /// At most 100 characters; it cannot change. Default: empty.
    ///
    /// Example: `blue.` makes `blue.payment-successful`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(validation = rules::PREFIX)]
    pub prefix: Option<String>,

    /// How the topics are made and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Topics>,
}

/// Brokers that the operator runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ManagedKafka {
    /// Number of brokers: 1 for development, 3 to survive the loss of one. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::KAFKA_REPLICAS)]
    pub replicas: Option<i32>,

    /// Disk of each broker. Default: 10Gi of the cluster's default storage class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,

    /// CPU and memory of each broker. Default: 200m and 512Mi requested, at most 768Mi; half of the
    /// limit is Java's heap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Release of Apache Kafka 4 to run. It never goes down. Default: the operator's choice.
    ///
    /// Example: `4.1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::KAFKA_VERSION, validation = rules::KAFKA_NO_DOWNGRADE)]
    pub version: Option<String>,

    /// Image to run instead of `apache/kafka` at `version`: Java in its `PATH` and Kafka's jars in
    /// `/opt/kafka/libs`.
    ///
    /// Example: `registry.example.com/apache/kafka:4.1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::IMAGE)]
    pub image: Option<String>,

    /// Where the brokers run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PodPlacement>,
}

/// Brokers that exist already.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalKafka {
    /// Addresses to begin with, `host:port`, several separated by commas.
    ///
    /// Example: `broker-1.example.com:9092,broker-2.example.com:9092`.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = rules::BOOTSTRAP_SERVERS)]
    pub bootstrap_servers: String,

    /// Encrypts the connection. Write `{}` to trust the usual certificate authorities. Default: not
    /// encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,

    /// Name and password for the brokers. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<KafkaSasl>,
}

/// How the brokers' certificates are checked.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTls {
    /// Certificates (PEM) to trust instead of the usual authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
}

/// Name and password for the brokers.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSasl {
    /// SASL mechanism. PLAIN sends the password as it is: use it with `tls` only.
    pub mechanism: SaslMechanism,

    /// Secret with the keys `username` and `password`.
    pub secret_ref: SecretRef,
}

/// SASL mechanisms that brokers commonly offer.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub enum SaslMechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// A cluster of the Strimzi operator.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StrimziKafka {
    /// Name of the `Kafka` object.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    pub cluster: String,
}

/// How the topics are made and kept.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// Partitions of each topic, 1 to 200: as many instances of one service can share its work.
    /// Never reduced, and grown only with `allowPartitionGrowth`. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::PARTITIONS)]
    pub partitions: Option<i32>,

    /// Copies of each partition, 1 to 9. Default: 1 on a single managed broker, else 3, of which 2
    /// must have a message before it counts as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::REPLICATION_FACTOR)]
    pub replication_factor: Option<i32>,

    /// Kafka's settings of the topics, at most 32. A key written here is enforced; any other is left
    /// as it is. Dead-letter topics keep their own.
    ///
    /// Example: `{retention.ms: 1209600000}` keeps events for two weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = rules::NO_COMPACTION)]
    pub config: Option<BTreeMap<String, Scalar>>,

    /// What becomes of the topics when the Storefront is deleted. Default: `Retain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Whether topics of these names that somebody else made are taken over. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopt: Option<bool>,

    /// Whether partitions may be added. A shopper's later events then may overtake earlier ones that
    /// are still in the old partition. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_partition_growth: Option<bool>,
}

/// What becomes of the topics when the Storefront is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(inline)]
pub enum DeletionPolicy {
    #[default]
    Retain,
    Delete,
}
