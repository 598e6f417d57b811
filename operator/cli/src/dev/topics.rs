//! Makes the plan's topics on the brokers, in one request, and says where they are not as planned.

use std::collections::BTreeMap;

use rdkafka::{
    admin::{
        AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
        TopicResult,
    },
    error::RDKafkaErrorCode,
};
use storefront_operator::plan::{BrokerTopic, Plan, TopicChange, TopicPlan, topic_changes};

use super::{
    DevError, TIMEOUT,
    broker::{Admin, Broker},
};

/// Makes what is missing; never takes partitions away.
pub async fn prepare(broker: &Broker, admin: &Admin, plan: &Plan) -> Result<(), DevError> {
    let there: Vec<_> = broker
        .topics()
        .iter()
        .map(|(name, partitions)| BrokerTopic { name: name.clone(), partitions: *partitions })
        .collect();
    let changes = topic_changes(&plan.topics, &there, plan.topic_policy);
    create(admin, &changes).await?;
    grow(admin, &changes).await?;
    for difference in differences(&changes) {
        tracing::warn!("{difference}");
    }
    let kept: Vec<_> =
        plan.topics.iter().filter(|topic| there.iter().any(|t| t.name == topic.name)).collect();
    configure(broker, admin, &kept).await
}

/// What stays otherwise than planned: one sentence for all topics with the same counts.
fn differences(changes: &[TopicChange]) -> Vec<String> {
    let mut topics: BTreeMap<(i32, i32), Vec<&str>> = BTreeMap::new();
    for change in changes {
        if let TopicChange::KeepFewer { name, has, wanted }
        | TopicChange::KeepMore { name, has, wanted } = change
        {
            topics.entry((*has, *wanted)).or_default().push(name);
        }
    }
    let sentence = |((has, wanted), names): ((i32, i32), Vec<&str>)| {
        let why = if has < wanted {
            "kafka.topics.allowPartitionGrowth adds the others"
        } else {
            "partitions are never taken away"
        };
        format!("{has} partitions, not {wanted}, have the topics {}: {why}", names.join(", "))
    };
    topics.into_iter().map(sentence).collect()
}

fn options() -> AdminOptions {
    let timeout = Some(TIMEOUT);
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}

async fn create(admin: &Admin, changes: &[TopicChange]) -> Result<(), DevError> {
    let new = changes.iter().filter_map(|change| match change {
        TopicChange::Create(topic) => Some(topic),
        _ => None,
    });
    let new: Vec<_> = new.map(new_topic).collect();
    if new.is_empty() {
        return Ok(());
    }
    let results = admin.client().create_topics(&new, &options()).await;
    check(results.map_err(DevError::Topics)?)
}

fn new_topic(topic: &TopicPlan) -> NewTopic<'_> {
    let replication = TopicReplication::Fixed(topic.replication_factor);
    let new = NewTopic::new(&topic.name, topic.partitions, replication);
    topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
}

async fn grow(admin: &Admin, changes: &[TopicChange]) -> Result<(), DevError> {
    let more: Vec<_> = changes
        .iter()
        .filter_map(|change| match change {
            TopicChange::Grow { name, to, .. } => {
                Some(NewPartitions::new(name, usize::try_from(*to).unwrap_or_default()))
            }
            _ => None,
        })
        .collect();
    if more.is_empty() {
        return Ok(());
    }
    let results = admin.client().create_partitions(&more, &options()).await;
    check(results.map_err(DevError::Topics)?)
}

/// A topic that somebody else made in the meantime is there, which is all that is wanted.
fn check(results: Vec<TopicResult>) -> Result<(), DevError> {
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(DevError::Topic { topic, code }),
        }
    }
    Ok(())
}

/// Enforces the planned settings of topics that were there: on the embedded broker only, as the call
/// that librdkafka offers resets every other setting of a topic.
async fn configure(broker: &Broker, admin: &Admin, topics: &[&TopicPlan]) -> Result<(), DevError> {
    if topics.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let described = admin.client().describe_configs(&names, &options()).await;
    let described = described.map_err(DevError::Topics)?;
    let mut altered = Vec::new();
    for (topic, resource) in topics.iter().zip(described) {
        let resource =
            resource.map_err(|code| DevError::Topic { topic: topic.name.clone(), code })?;
        let differs = |key: &str, value: &str| {
            resource.get(key).and_then(|entry| entry.value.as_deref()) != Some(value)
        };
        let wrong: Vec<_> =
            topic.config.iter().filter(|(key, value)| differs(key, value)).collect();
        if wrong.is_empty() {
            continue;
        }
        if broker.is_embedded() {
            let alter = AlterConfig::new(ResourceSpecifier::Topic(&topic.name));
            altered.push(topic.config.iter().fold(alter, |alter, (k, v)| alter.set(k, v)));
        } else {
            let keys: Vec<_> = wrong.iter().map(|(key, value)| format!("{key}={value}")).collect();
            tracing::warn!(
                topic = topic.name,
                "the topic was made with other settings; wanted are {}",
                keys.join(", ")
            );
        }
    }
    if altered.is_empty() {
        return Ok(());
    }
    let results = admin.client().alter_configs(&altered, &options()).await;
    for result in results.map_err(DevError::Topics)? {
        if let Err((specifier, code)) = result {
            return Err(DevError::Topic { topic: format!("{specifier:?}"), code });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_that_stay_are_told_in_one_sentence() {
        let fewer = |name: &str| TopicChange::KeepFewer { name: name.into(), has: 3, wanted: 6 };
        let more = TopicChange::KeepMore { name: "c".into(), has: 9, wanted: 6 };
        let grow = TopicChange::Grow { name: "d".into(), from: 3, to: 6 };
        assert_eq!(
            differences(&[fewer("a"), more, fewer("b"), grow]),
            [
                "3 partitions, not 6, have the topics a, b: kafka.topics.allowPartitionGrowth adds the others",
                "9 partitions, not 6, have the topics c: partitions are never taken away",
            ]
        );
    }
}
