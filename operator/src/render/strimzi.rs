//! Topics and the user as objects of the Strimzi operator, in the version of its API that is served.

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use storefront_contract::{CATALOG, service};

use super::{Context, Object};
use crate::{
    api::{DeletionPolicy, StrimziKafka},
    names,
    plan::TopicPlan,
};

const GROUP: &str = "kafka.strimzi.io";
const CLUSTER_LABEL: &str = "strimzi.io/cluster";

/// Nothing where Strimzi is not installed: a condition says so.
pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    let (Some(strimzi), Some(version)) = (context.spec.strimzi(), &context.input.apis.strimzi)
    else {
        return Vec::new();
    };
    let topics = context.input.plan.topics.iter().map(|topic| kafka_topic(context, strimzi, topic));
    let mut objects = vec![user(context, strimzi)];
    objects.extend(topics);
    objects.into_iter().map(|object| object.of(version)).collect()
}

/// An object before the version of its API is known.
struct Unversioned {
    kind: &'static str,
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    spec: Value,
}

impl Unversioned {
    fn of(self, version: &str) -> Object {
        let kind = GroupVersionKind::gvk(GROUP, version, self.kind);
        let mut object =
            DynamicObject::new("", &ApiResource::from_gvk(&kind)).data(json!({"spec": self.spec}));
        object.metadata = self.metadata;
        object.into()
    }
}

/// The object of a topic. Deleting it deletes the topic: with `Retain` it stays when its Storefront
/// goes, and is never pruned.
fn kafka_topic(context: &Context<'_>, strimzi: &StrimziKafka, topic: &TopicPlan) -> Unversioned {
    let part = object_name(topic);
    let mut metadata = match context.input.plan.topic_policy.deletion {
        DeletionPolicy::Retain => context.retained_meta(&part, names::TOPICS),
        DeletionPolicy::Delete => context.meta(&part, names::TOPICS),
    };
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(CLUSTER_LABEL.into(), strimzi.cluster.clone());
    Unversioned {
        kind: "KafkaTopic",
        metadata,
        spec: json!({
            "topicName": topic.name,
            "partitions": topic.partitions,
            "replicas": topic.replication_factor,
            "config": topic.config,
        }),
    }
}

/// Without the prefix, which may hold what names of objects may not.
fn object_name(topic: &TopicPlan) -> String {
    match topic.dead_letter_of.and_then(|id| service(id).group) {
        Some(group) => format!("{}.{group}.dlq", topic.source),
        None => topic.source.name().to_owned(),
    }
}

fn user(context: &Context<'_>, strimzi: &StrimziKafka) -> Unversioned {
    let mut metadata = context.meta(names::KAFKA_USER, names::KAFKA_USER);
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(CLUSTER_LABEL.into(), strimzi.cluster.clone());
    let mut spec = json!({"authentication": {"type": "scram-sha-512"}});
    if context.input.apis.strimzi_authorization {
        spec["authorization"] = json!({"type": "simple", "acls": rights(context)});
    }
    Unversioned { kind: "KafkaUser", metadata, spec }
}

/// Our topics and groups by name, and nothing else.
fn rights(context: &Context<'_>) -> Vec<Value> {
    let right = |kind: &str, name: &str, operations: &[&str]| {
        json!({
            "resource": {"type": kind, "name": name, "patternType": "literal"},
            "operations": operations,
        })
    };
    let plan = context.input.plan;
    let topics = plan.topics.iter();
    let topics = topics.map(|t| right("topic", &t.name, &["Describe", "Read", "Write"]));
    let groups = CATALOG.iter().filter_map(|entry| plan.names.group(entry.id));
    let groups = groups.map(|group| right("group", &group, &["Describe", "Read"]));
    topics.chain(groups).collect()
}
