//! The brokers: how to reach them, what to change so that the topics are as planned, and doing it.
//! Calls are batched, and made only for what differs. Clients live for one look.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions,
        NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use storefront_inspect::{Cluster, Connection, InspectError, Scope, Session};

use crate::{
    api::{GroupStatus, TopicStatus},
    plan::{BrokerTopic, Plan, TopicChange, TopicPlan, topic_changes},
    status::{BrokerFacts, TopicTrouble},
};

/// Longest wait for an answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// How long brokers may need until topics that were just made can be used: a busy machine took seconds.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(300);

type Admin = AdminClient<DefaultClientContext>;

/// What to do, and what people are told.
#[derive(Debug, Default)]
pub struct Decision {
    pub create: Vec<TopicPlan>,
    /// Topic, and its new number of partitions.
    pub grow: Vec<(String, i32)>,
    pub troubles: Vec<TopicTrouble>,
    /// Topics of the plan that are there and ours.
    pub kept: Vec<TopicPlan>,
}

/// Whose the topics are.
#[derive(Clone, Copy, Debug)]
pub struct Ownership<'a> {
    /// Names that were written down before they were created.
    pub ledger: &'a BTreeSet<String>,
    /// Nobody else uses these brokers.
    pub all_ours: bool,
}

/// What to change. Pure.
pub fn decide(plan: &Plan, cluster: &Cluster, ownership: Ownership<'_>) -> Decision {
    let adopt = plan.topic_policy.adopt || ownership.all_ours;
    let mut decision = Decision::default();
    let mut planned = Vec::new();
    for topic in &plan.topics {
        let there = cluster.topic(&topic.name).is_some();
        if there && !adopt && !ownership.ledger.contains(&topic.name) {
            decision.troubles.push(TopicTrouble::Foreign { topic: topic.name.clone() });
        } else {
            planned.push(topic.clone());
        }
    }
    let there: Vec<_> = cluster
        .topics
        .iter()
        .map(|topic| BrokerTopic {
            name: topic.name.clone(),
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        })
        .collect();
    for change in topic_changes(&planned, &there, plan.topic_policy) {
        match change {
            TopicChange::Create(topic) => decision.create.push(topic),
            TopicChange::Grow { name, to, .. } => decision.grow.push((name, to)),
            TopicChange::KeepFewer { name: topic, has, wanted } => {
                decision.troubles.push(TopicTrouble::FewerPartitions { topic, has, wanted });
            }
            TopicChange::KeepMore { name: topic, has, wanted } => {
                decision.troubles.push(TopicTrouble::MorePartitions { topic, has, wanted });
            }
        }
    }
    let brokers = cluster.brokers.len();
    let wanted = decision.create.iter().map(|topic| topic.replication_factor).max();
    if let Some(wanted) = wanted.filter(|n| usize::try_from(*n).is_ok_and(|n| n > brokers)) {
        decision.troubles.push(TopicTrouble::TooFewBrokers { wanted, brokers });
        decision.create.clear();
    }
    decision.kept =
        planned.into_iter().filter(|topic| cluster.topic(&topic.name).is_some()).collect();
    decision
}

/// A connection for one look. Blocks; so do the calls on it.
pub fn open(properties: &BTreeMap<String, String>) -> Result<Session, InspectError> {
    let brokers = properties.get("bootstrap.servers").map(String::as_str).unwrap_or_default();
    Connection::new(brokers).with(properties).open()
}

/// Topics and groups as they are now. One that was `made` just before is not known for a moment, or has no
/// leader. Blocks.
pub fn facts(
    session: &Session,
    plan: &Plan,
    scope: &Scope,
    made: bool,
) -> Result<BrokerFacts, InspectError> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    loop {
        let found = look(session, plan, scope);
        let settled = found.as_ref().is_ok_and(|facts| !made || facts.is_whole(plan));
        if settled || Instant::now() + LOOK_AGAIN >= deadline {
            return found;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn look(session: &Session, plan: &Plan, scope: &Scope) -> Result<BrokerFacts, InspectError> {
    let cluster = session.cluster()?;
    // The topics are known all the same; the groups will be, the next time.
    let groups = session.groups(scope, &cluster, false);
    let groups = groups.inspect_err(|error| tracing::debug!(%error, "groups are not known yet"));
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let topics = plan.topics.iter().filter_map(|topic| cluster.topic(&topic.name));
    let topics = topics.map(|topic| TopicStatus {
        name: topic.name.clone(),
        partitions: count(topic.partitions.len()),
        replication_factor: topic.partitions.first().map_or(0, |p| count(p.replicas.len())),
        under_replicated: count(topic.under_replicated),
        leaderless: count(topic.offline),
    });
    let status = |group: storefront_inspect::Group| GroupStatus {
        members: count(group.members.len()),
        lag: group.lag,
        name: group.name,
    };
    Ok(BrokerFacts {
        brokers: cluster.brokers.len(),
        cluster_id: session.cluster_id(TIMEOUT),
        topics: topics.collect(),
        groups: groups.ok().map(|groups| groups.into_iter().map(status).collect()),
    })
}

/// Does what was decided, and enforces the planned settings of topics that are there. Returns how many
/// calls changed something, with what the brokers have refused.
pub async fn change(
    session: &Session,
    decision: &Decision,
) -> Result<(usize, Vec<TopicTrouble>), KafkaError> {
    let admin = session.connection().config().create()?;
    let result = change_with(&admin, decision).await;
    let_go(admin);
    result
}

/// A client waits for its threads when it is dropped, and for brokers that may not answer: not here.
fn let_go(admin: Admin) {
    tokio::task::spawn_blocking(move || drop(admin));
}

async fn change_with(
    admin: &Admin,
    decision: &Decision,
) -> Result<(usize, Vec<TopicTrouble>), KafkaError> {
    let mut refused = Vec::new();
    let mut calls = 0;
    let mut note = |results: Vec<Result<String, (String, RDKafkaErrorCode)>>| {
        for (topic, code) in results.into_iter().filter_map(Result::err) {
            // Somebody was faster, which is all that is wanted.
            if code != RDKafkaErrorCode::TopicAlreadyExists {
                refused.push(TopicTrouble::Refused { topic, message: code.to_string() });
            }
        }
    };
    if !decision.create.is_empty() {
        calls += 1;
        let new: Vec<_> = decision.create.iter().map(new_topic).collect();
        note(admin.create_topics(&new, &options()).await?);
    }
    if !decision.grow.is_empty() {
        calls += 1;
        let more = decision
            .grow
            .iter()
            .map(|(name, to)| NewPartitions::new(name, usize::try_from(*to).unwrap_or_default()));
        note(admin.create_partitions(&more.collect::<Vec<_>>(), &options()).await?);
    }
    calls += configure(admin, &decision.kept, &mut refused).await?;
    Ok((calls, refused))
}

/// Deletes topics. Those that are gone are gone.
pub async fn delete(session: &Session, names: &BTreeSet<String>) -> Result<(), KafkaError> {
    let admin: Admin = session.connection().config().create()?;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let deleted = admin.delete_topics(&names, &options()).await;
    let_go(admin);
    for (topic, code) in deleted?.into_iter().filter_map(Result::err) {
        if code != RDKafkaErrorCode::UnknownTopicOrPartition {
            tracing::warn!(topic, %code, "the topic could not be deleted");
        }
    }
    Ok(())
}

fn new_topic(topic: &TopicPlan) -> NewTopic<'_> {
    let replication = TopicReplication::Fixed(topic.replication_factor);
    let new = NewTopic::new(&topic.name, topic.partitions, replication);
    topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
}

/// The call replaces every setting of a topic: those that others have set go along unchanged.
async fn configure(
    admin: &Admin,
    topics: &[TopicPlan],
    refused: &mut Vec<TopicTrouble>,
) -> Result<usize, KafkaError> {
    if topics.is_empty() {
        return Ok(0);
    }
    let names: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let described = admin.describe_configs(&names, &options()).await?;
    let mut wanted = Vec::new();
    for (topic, resource) in topics.iter().zip(described) {
        match resource {
            Ok(resource) => wanted.extend(new_config(topic, &resource).map(|c| (topic, c))),
            Err(code) => refused.push(TopicTrouble::Refused {
                topic: topic.name.clone(),
                message: code.to_string(),
            }),
        }
    }
    if wanted.is_empty() {
        return Ok(0);
    }
    let alter = wanted.iter().map(|(topic, config)| {
        let alter = AlterConfig::new(ResourceSpecifier::Topic(&topic.name));
        config.iter().fold(alter, |alter, (key, value)| alter.set(key, value))
    });
    let results = admin.alter_configs(&alter.collect::<Vec<_>>(), &options()).await?;
    for ((topic, _), result) in wanted.iter().zip(results) {
        if let Err((_, code)) = result {
            refused.push(TopicTrouble::Refused {
                topic: topic.name.clone(),
                message: code.to_string(),
            });
        }
    }
    Ok(1)
}

/// The settings of a topic with the planned ones in them, unless they are there already.
fn new_config(topic: &TopicPlan, there: &ConfigResource) -> Option<BTreeMap<String, String>> {
    let differs = |key: &str, value: &str| {
        there.get(key).and_then(|entry| entry.value.as_deref()) != Some(value)
    };
    if !topic.config.iter().any(|(key, value)| differs(key, value)) {
        return None;
    }
    let of_topic = there.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
    let kept = of_topic.filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)));
    let mut config: BTreeMap<_, _> = kept.collect();
    config.extend(topic.config.clone());
    Some(config)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use storefront_inspect::{Broker, Topic, TopicPartition};

    use super::*;
    use crate::plan::{Placement, plan};

    fn planned(kafka: &Value) -> Plan {
        let storefront = serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {"name": "demo"},
            "spec": {"payment": {"sandbox": {}}, "kafka": kafka},
        }))
        .unwrap();
        plan(&storefront, &Placement::cluster(&storefront, "shops").unwrap()).unwrap()
    }

    fn external(topics: &Value) -> Plan {
        planned(&json!({"external": {"bootstrapServers": "b:9092"}, "topics": topics}))
    }

    fn brokers(count: i32, topics: &[(&str, i32)]) -> Cluster {
        let partition = |number| TopicPartition {
            number,
            leader: Some(0),
            replicas: vec![0],
            in_sync: vec![0],
            start: 0,
            end: 0,
        };
        Cluster {
            brokers: (0..count).map(|id| Broker { id, address: "b:9092".into() }).collect(),
            topics: topics
                .iter()
                .map(|(name, partitions)| Topic {
                    name: (*name).to_owned(),
                    partitions: (0..*partitions).map(partition).collect(),
                    messages: 0,
                    under_replicated: 0,
                    offline: 0,
                })
                .collect(),
        }
    }

    fn decision(plan: &Plan, cluster: &Cluster, ledger: &[&str]) -> Decision {
        let ledger = ledger.iter().map(|name| (*name).to_owned()).collect();
        decide(plan, cluster, Ownership { ledger: &ledger, all_ours: false })
    }

    #[test]
    fn what_is_missing_is_created() {
        let decision = decision(&external(&json!({})), &brokers(3, &[("other", 1)]), &[]);
        assert_eq!(decision.create.len(), 9);
        assert_eq!((decision.troubles.len(), decision.kept.len()), (0, 0));
    }

    #[test]
    fn a_topic_of_somebody_else_is_left_alone() {
        let there = brokers(3, &[("payment-successful", 1)]);
        let foreign = decision(&external(&json!({})), &there, &[]);
        let conflict = TopicTrouble::Foreign { topic: "payment-successful".into() };
        assert_eq!(foreign.troubles, [conflict]);
        assert_eq!((foreign.create.len(), foreign.kept.len()), (8, 0));
        // Written down before it was made, it is ours after a crash; and so it is when it is adopted.
        let ours = decision(&external(&json!({"partitions": 1})), &there, &["payment-successful"]);
        assert_eq!((ours.troubles.len(), ours.kept.len()), (0, 1));
        let plan = external(&json!({"adopt": true, "partitions": 1}));
        assert_eq!(decision(&plan, &there, &[]).kept.len(), 1);
    }

    #[test]
    fn more_copies_than_brokers_are_not_tried() {
        let decision = decision(&external(&json!({})), &brokers(1, &[]), &[]);
        assert_eq!(decision.troubles, [TopicTrouble::TooFewBrokers { wanted: 3, brokers: 1 }]);
        assert!(decision.create.is_empty());
    }

    #[test]
    fn partitions_grow_only_when_allowed_and_never_shrink() {
        let there = brokers(3, &[("payment-successful", 1), ("order-successful", 12)]);
        let ledger = ["payment-successful", "order-successful"];
        let kept = decision(&external(&json!({})), &there, &ledger);
        let reasons: Vec<_> = kept.troubles.iter().map(TopicTrouble::reason).collect();
        assert_eq!(reasons, ["FewerPartitions", "MorePartitions"]);
        let grown = decision(&external(&json!({"allowPartitionGrowth": true})), &there, &ledger);
        assert_eq!(grown.grow, [("payment-successful".to_owned(), 3)]);
    }
}
