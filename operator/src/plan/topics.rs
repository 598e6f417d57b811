//! The topics a shop needs, and what to change on the brokers to have them.

use std::collections::BTreeMap;

use storefront_contract::{Names, ServiceId, Topic};

use super::{Fault, Placement, TopicPolicy};
use crate::api::{StorefrontSpec, rules};

/// Kafka's own default for `max.message.bytes`.
const MESSAGE_MAX_BYTES: i64 = 1_048_588;
/// Room for the headers that a dead letter adds to the message it holds.
const DEAD_LETTER_EXTRA_BYTES: i64 = 1 << 20;
/// Dead letters wait for people: 30 days, where Kafka's default is 7.
const DEAD_LETTER_RETENTION_MS: i64 = 30 * 24 * 60 * 60 * 1000;
const MIN_INSYNC: &str = "min.insync.replicas";
const MAX_BYTES: &str = "max.message.bytes";

/// One topic to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Name on the broker, with the prefix.
    pub name: String,
    pub source: Topic,
    /// The service whose dead letters it holds.
    pub dead_letter_of: Option<ServiceId>,
    pub partitions: i32,
    pub replication_factor: i32,
    /// Kafka's settings to enforce; others are left as they are.
    pub config: BTreeMap<String, String>,
}

/// The topics of a spec, source topics first. Reports what cannot work to `fault`.
pub(super) fn plan(
    spec: &StorefrontSpec,
    placement: &Placement,
    mut fault: impl FnMut(String, Fault),
) -> Vec<TopicPlan> {
    let partitions = spec.partitions();
    if !(1..=200).contains(&partitions) {
        fault("spec.kafka.topics.partitions".into(), Fault::Rule(rules::PARTITIONS));
    }
    let wanted = spec.replication_factor();
    let field = "spec.kafka.topics.replicationFactor";
    if !(1..=9).contains(&wanted) {
        fault(field.into(), Fault::Rule(rules::REPLICATION_FACTOR));
    }
    if let Some(available) = spec.managed_brokers()
        && wanted > available
    {
        fault("spec.kafka".into(), Fault::Rule(rules::REPLICATION_FITS));
    }
    let replication_factor = placement.replication_max.map_or(wanted, |max| wanted.min(max));
    let config = source_config(spec, replication_factor, &mut fault);
    let dead_letter_config = dead_letter_config(&config);
    let names = Names::new(spec.prefix());
    let topic = |name, source, dead_letter_of, config: &BTreeMap<_, _>| TopicPlan {
        name,
        source,
        dead_letter_of,
        partitions,
        replication_factor,
        config: config.clone(),
    };
    let mut topics: Vec<_> = Topic::ALL
        .into_iter()
        .map(|source| topic(names.topic(source), source, None, &config))
        .collect();
    topics.extend(
        names
            .dead_letters()
            .into_iter()
            .map(|(source, id, name)| topic(name, source, Some(id), &dead_letter_config)),
    );
    topics
}

/// What the spec enforces, and how many copies must be written: all but one of three.
fn source_config(
    spec: &StorefrontSpec,
    replication_factor: i32,
    fault: &mut impl FnMut(String, Fault),
) -> BTreeMap<String, String> {
    let written = spec.topics().and_then(|topics| topics.config.as_ref());
    let mut config: BTreeMap<_, _> = written
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.to_string()))
        .collect();
    let field = |key: &str| format!("spec.kafka.topics.config.{key}");
    if config.get("cleanup.policy").is_some_and(|policy| policy != "delete") {
        fault("spec.kafka.topics.config".into(), Fault::Rule(rules::NO_COMPACTION));
    }
    for key in [MIN_INSYNC, MAX_BYTES, "retention.ms", "retention.bytes"] {
        if let Some(value) = config.get(key)
            && value.parse::<i64>().is_err()
        {
            fault(field(key), Fault::NotANumber { value: value.clone() });
        }
    }
    if let Some(bytes) = number(&config, MAX_BYTES)
        && !(1 << 16..=1 << 26).contains(&bytes)
    {
        fault(field(MAX_BYTES), Fault::MaxMessageBytes { bytes });
    }
    // Against the wish, not against what a laptop makes of it.
    if let Some(min_insync) = number(&config, MIN_INSYNC)
        && !(1..=i64::from(spec.replication_factor())).contains(&min_insync)
    {
        let replication_factor = spec.replication_factor().into();
        fault(field(MIN_INSYNC), Fault::MinInsyncReplicas { min_insync, replication_factor });
    }
    let default = if replication_factor >= 3 { 2 } else { 1 };
    let min_insync = number(&config, MIN_INSYNC).unwrap_or(default);
    let possible = min_insync.min(replication_factor.into());
    config.insert(MIN_INSYNC.into(), possible.to_string());
    config
}

/// A dead letter is the message with more headers, and is kept until somebody has looked at it.
fn dead_letter_config(source: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let bytes = number(source, MAX_BYTES).unwrap_or(MESSAGE_MAX_BYTES);
    let retention_ms = match number(source, "retention.ms") {
        Some(-1) => -1,
        kept => kept.unwrap_or_default().max(DEAD_LETTER_RETENTION_MS),
    };
    let mut config = BTreeMap::from([
        (MAX_BYTES.to_owned(), (bytes + DEAD_LETTER_EXTRA_BYTES).to_string()),
        ("retention.ms".to_owned(), retention_ms.to_string()),
    ]);
    if let Some(min_insync) = source.get(MIN_INSYNC) {
        config.insert(MIN_INSYNC.into(), min_insync.clone());
    }
    config
}

fn number(config: &BTreeMap<String, String>, key: &str) -> Option<i64> {
    config.get(key)?.parse().ok()
}

/// What a broker says about a topic that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTopic {
    pub name: String,
    pub partitions: i32,
}

/// One thing to do, or to tell people, about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicChange {
    Create(TopicPlan),
    /// Add partitions up to this number.
    Grow {
        name: String,
        from: i32,
        to: i32,
    },
    /// More partitions are wanted, but adding them was not allowed: it breaks the order of a key.
    KeepFewer {
        name: String,
        has: i32,
        wanted: i32,
    },
    /// Partitions are never taken away.
    KeepMore {
        name: String,
        has: i32,
        wanted: i32,
    },
}

/// What to change so that the planned topics are there.
pub fn topic_changes(
    planned: &[TopicPlan],
    there: &[BrokerTopic],
    policy: TopicPolicy,
) -> Vec<TopicChange> {
    planned.iter().filter_map(|topic| change(topic, there, policy)).collect()
}

fn change(topic: &TopicPlan, there: &[BrokerTopic], policy: TopicPolicy) -> Option<TopicChange> {
    let Some(found) = there.iter().find(|found| found.name == topic.name) else {
        return Some(TopicChange::Create(topic.clone()));
    };
    let (name, has, wanted) = (topic.name.clone(), found.partitions, topic.partitions);
    match has.cmp(&wanted) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(TopicChange::KeepMore { name, has, wanted }),
        std::cmp::Ordering::Less if policy.allow_partition_growth => {
            Some(TopicChange::Grow { name, from: has, to: wanted })
        }
        std::cmp::Ordering::Less => Some(TopicChange::KeepFewer { name, has, wanted }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_created_and_never_shrunk_and_grown_only_when_allowed() {
        let planned = |name: &str, partitions| TopicPlan {
            name: name.into(),
            source: Topic::PaymentSuccessful,
            dead_letter_of: None,
            partitions,
            replication_factor: 1,
            config: BTreeMap::new(),
        };
        let there = |name: &str, partitions| BrokerTopic { name: name.into(), partitions };
        let wanted = [planned("new", 3), planned("same", 3), planned("few", 6), planned("many", 3)];
        let found = [there("same", 3), there("few", 3), there("many", 12), there("other", 1)];
        let policy = |allow_partition_growth| TopicPolicy {
            deletion: crate::api::DeletionPolicy::Retain,
            adopt: false,
            allow_partition_growth,
        };
        let create = TopicChange::Create(planned("new", 3));
        let keep_more = TopicChange::KeepMore { name: "many".into(), has: 12, wanted: 3 };
        assert_eq!(
            topic_changes(&wanted, &found, policy(false)),
            [
                create.clone(),
                TopicChange::KeepFewer { name: "few".into(), has: 3, wanted: 6 },
                keep_more.clone()
            ]
        );
        assert_eq!(
            topic_changes(&wanted, &found, policy(true)),
            [create, TopicChange::Grow { name: "few".into(), from: 3, to: 6 }, keep_more]
        );
    }
}
