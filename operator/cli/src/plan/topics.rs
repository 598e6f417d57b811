//! What would happen to the topics. Brokers are hardly ever reached from where this runs: what is there comes
//! from the status of the Storefront, and each fact says so. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use storefront_operator::{
    Storefront,
    api::TopicStatus,
    controller::observe::Live,
    names,
    plan::{BrokerTopic, Plan, TopicChange, TopicPlan, topic_changes},
};

/// What happens to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TopicAction {
    Create,
    Grow,
    Configure,
    /// Something else is wanted, and the topic stays as it is.
    Keep,
}

/// One topic to which something happens, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicLine {
    pub action: TopicAction,
    pub topic: String,
    /// What happens, and what it costs.
    pub message: String,
}

/// Everything about topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    pub lines: Vec<TopicLine>,
    /// Where the facts are from.
    pub source: String,
}

/// A shop before and after an edit.
pub struct Edit<'a> {
    pub before: Option<&'a Storefront>,
    /// Of the shop before, if it can be made.
    pub plan_before: Option<&'a Plan>,
    pub after: &'a Storefront,
    pub plan: &'a Plan,
}

impl Edit<'_> {
    /// The shop leaves its brokers for others.
    pub fn moves(&self) -> bool {
        self.before.is_some_and(|before| before.spec.brokers() != self.after.spec.brokers())
    }

    fn known(&self) -> &[TopicStatus] {
        let wanted = self.after.spec.brokers();
        match self.before.and_then(|before| before.status.as_ref()) {
            // Of a shop that has moved the status may still tell of the brokers that it has left.
            Some(status)
                if !self.moves() && status.brokers.as_ref().is_none_or(|of| *of == wanted) =>
            {
                &status.topics
            }
            _ => &[],
        }
    }
}

pub fn topics(edit: &Edit<'_>, live: &Live) -> Topics {
    let kafka = edit.after.spec.kafka.as_ref();
    if kafka.is_some_and(|kafka| kafka.strimzi.is_some()) {
        let source = "Strimzi makes the topics from the KafkaTopics above".to_owned();
        return Topics { lines: Vec::new(), source };
    }
    let known = edit.known();
    if known.is_empty() {
        return unknown(edit, live);
    }
    let there: Vec<_> = known
        .iter()
        .map(|it| BrokerTopic { name: it.name.clone(), partitions: it.partitions })
        .collect();
    let changes = topic_changes(&edit.plan.topics, &there, edit.plan.topic_policy);
    let mut lines: Vec<_> = changes.into_iter().map(line).collect();
    lines.extend(settings(edit, known));
    let source = "topics as the status of the Storefront has them; their settings are compared with \
                  the manifest in the cluster";
    Topics { lines, source: source.to_owned() }
}

/// Nobody says which topics are there.
fn unknown(edit: &Edit<'_>, live: &Live) -> Topics {
    let shop = edit.plan.shop.name();
    let is_external = edit.after.spec.kafka.as_ref().is_some_and(|kafka| kafka.external.is_some());
    let retained = live.find("Secret", &names::object(shop, names::KAFKA)).is_some();
    let (source, lines) = if is_external {
        let source = "the brokers were not asked: topics that are there already stay, and those of \
                      somebody else are a conflict unless kafka.topics.adopt is true";
        (source, true)
    } else if retained && edit.before.is_none() {
        ("the brokers' disks are there from before, with their topics on them", false)
    } else {
        ("nothing is known of topics yet: the brokers are new", true)
    };
    let create = edit.plan.topics.iter().filter(|_| lines).cloned();
    Topics {
        lines: create.map(|topic| line(TopicChange::Create(topic))).collect(),
        source: source.to_owned(),
    }
}

fn line(change: TopicChange) -> TopicLine {
    let (action, topic, message) = match change {
        TopicChange::Create(TopicPlan { name, partitions, replication_factor, .. }) => {
            let copies = if replication_factor == 1 { "copy" } else { "copies" };
            let message = format!("{partitions} partitions, {replication_factor} {copies} of each");
            (TopicAction::Create, name, message)
        }
        TopicChange::Grow { name, from, to } => {
            let message = format!(
                "{from} to {to} partitions: a shopper's events that are under way lose their order"
            );
            (TopicAction::Grow, name, message)
        }
        TopicChange::KeepFewer { name: topic, has, wanted } => {
            let message = format!(
                "{has} partitions stay, where {wanted} are asked for: write \
                 kafka.topics.allowPartitionGrowth: true to add them, or partitions: {has}; growth \
                 breaks the order of a shopper's events that are under way"
            );
            (TopicAction::Keep, topic, message)
        }
        TopicChange::KeepMore { name: topic, has, wanted } => {
            let message = format!(
                "{has} partitions stay, where {wanted} are asked for: partitions cannot be taken \
                 away, write kafka.topics.partitions: {has}"
            );
            (TopicAction::Keep, topic, message)
        }
    };
    TopicLine { action, topic, message }
}

/// What an edit changes about topics that are there.
fn settings(edit: &Edit<'_>, known: &[TopicStatus]) -> Vec<TopicLine> {
    let before = edit.plan_before.map_or(&[][..], |plan| &plan.topics);
    let mut lines = Vec::new();
    for topic in &edit.plan.topics {
        let old = before.iter().find(|old| old.name == topic.name);
        let (Some(old), Some(there)) = (old, known.iter().find(|it| it.name == topic.name)) else {
            continue;
        };
        for message in configured(&old.config, &topic.config) {
            let topic = topic.name.clone();
            lines.push(TopicLine { action: TopicAction::Configure, topic, message });
        }
        let wanted = topic.replication_factor;
        if old.replication_factor != wanted && there.replication_factor != wanted {
            let message = format!(
                "it keeps {} of the {wanted} copies that are asked for: copies are moved by Kafka's \
                 own kafka-reassign-partitions",
                there.replication_factor
            );
            lines.push(TopicLine { action: TopicAction::Keep, topic: topic.name.clone(), message });
        }
    }
    lines
}

fn configured(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let changed = new.iter().filter_map(|(key, value)| match old.get(key) {
        Some(before) if before == value => None,
        Some(before) => Some(format!("{key} {before} to {value}{}", cost(key, before, value))),
        None => Some(format!("{key} is {value} from now on")),
    });
    let left = old.keys().filter(|key| !new.contains_key(*key));
    changed.chain(left.map(|key| format!("{key} stays as it is and is not enforced"))).collect()
}

/// A shorter memory forgets what is older.
fn cost(key: &str, before: &str, after: &str) -> &'static str {
    let number = |text: &str| text.parse::<i64>().ok().map(|n| if n < 0 { i64::MAX } else { n });
    let shrinks = number(after) < number(before);
    match key {
        "retention.ms" | "retention.bytes" if shrinks => ": what is beyond that is deleted",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use storefront_operator::plan::{Placement, plan};

    use super::*;

    fn shop(kafka: &Value, topics: &[(&str, i32)]) -> Storefront {
        let status: Vec<_> = topics
            .iter()
            .map(|(name, partitions)| TopicStatus {
                name: (*name).to_owned(),
                partitions: *partitions,
                replication_factor: 1,
                ..TopicStatus::default()
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
            "metadata": {"name": "demo"},
            "spec": {"payment": {"sandbox": {}}, "kafka": kafka},
            "status": {"topics": status},
        }))
        .unwrap()
    }

    fn told(before: Option<&Storefront>, after: &Storefront) -> String {
        let plan_of =
            |shop: &Storefront| plan(shop, &Placement::cluster(shop, "shops").unwrap()).unwrap();
        let (plan_before, plan) = (before.map(plan_of), plan_of(after));
        let edit = Edit { before, plan_before: plan_before.as_ref(), after, plan: &plan };
        let found = topics(&edit, &Live::default());
        let lines = found.lines.iter().filter(|line| !line.topic.contains("-service."));
        let lines = lines.map(|it| format!("{:?} {}: {}\n", it.action, it.topic, it.message));
        format!("{}({})", lines.collect::<String>(), found.source)
    }

    #[test]
    fn topics_are_told_with_what_it_costs_and_where_it_is_known_from() {
        let three = [("payment-successful", 3), ("order-successful", 3), ("email-successful", 3)];
        let managed = json!({"managed": {}});
        let with = |topics: Value| json!({"managed": {}, "topics": topics});
        let before = shop(&with(json!({"config": {"retention.ms": 1000}})), &three);
        let external = json!({"external": {"bootstrapServers": "b:9092"}});
        let strimzi = json!({"strimzi": {"cluster": "main"}});
        let stories = [
            told(None, &shop(&managed, &[])),
            told(Some(&before), &before),
            told(
                Some(&before),
                &shop(
                    &with(
                        json!({"partitions": 6, "config": {"retention.ms": 10, "retention.bytes": 5}}),
                    ),
                    &[],
                ),
            ),
            told(
                Some(&before),
                &shop(&with(json!({"partitions": 6, "allowPartitionGrowth": true})), &[]),
            ),
            told(Some(&before), &shop(&external, &[])),
            told(Some(&before), &shop(&strimzi, &[])),
        ];
        insta::assert_snapshot!(stories.join("\n\n"));
    }
}
