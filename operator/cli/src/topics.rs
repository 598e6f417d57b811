//! `storefront topics`: what stands on the brokers, and whether it stands safely.

use serde::Serialize;
use storefront_inspect::{Broker, Cluster, InspectError, Topic, is_for_dead_letters};

use crate::{
    Exit,
    args::TopicsArguments,
    table::{Cell, Column, Table},
    terminal::{Terminal, Tone},
    watch, words,
};

/// Brokers and the topics that are shown.
#[derive(Debug, Serialize)]
struct Shown {
    brokers: Vec<Broker>,
    topics: Vec<Topic>,
    /// Topics of the shop that are not there.
    missing: Vec<String>,
    /// A line for each partition.
    #[serde(skip)]
    whole: bool,
}

/// Prints the topics.
pub fn run(arguments: &TopicsArguments) -> anyhow::Result<Exit> {
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    let ours = brokers.scope.topics();
    let look = || {
        let cluster = session.cluster()?;
        Ok(choose(cluster, arguments, &ours, brokers.scope.names.prefix())?)
    };
    let shown = watch::show(arguments.watch.watch, arguments.output.output, look, text)?;
    let wrong = !shown.missing.is_empty() || shown.topics.iter().any(is_wrong);
    Ok(if arguments.check && wrong { Exit::Found } else { Exit::Done })
}

fn choose(
    cluster: Cluster,
    arguments: &TopicsArguments,
    ours: &[String],
    prefix: &str,
) -> Result<Shown, InspectError> {
    let whole = !arguments.topics.is_empty();
    let (mut topics, mut missing) = (Vec::new(), Vec::new());
    for name in &arguments.topics {
        let known = cluster.topic(name).or_else(|| cluster.topic(&format!("{prefix}{name}")));
        topics.push(known.cloned().ok_or_else(|| cluster.no_topic(name))?);
    }
    if arguments.all {
        topics.clone_from(&cluster.topics);
    } else if !whole {
        for name in ours {
            match cluster.topic(name) {
                Some(topic) => topics.push(topic.clone()),
                None => missing.push(name.clone()),
            }
        }
    }
    Ok(Shown { brokers: cluster.brokers, topics, missing, whole })
}

fn is_wrong(topic: &Topic) -> bool {
    topic.offline > 0 || topic.under_replicated > 0
}

fn text(shown: &Shown, terminal: Terminal) -> String {
    let brokers: Vec<_> = shown.brokers.iter().map(|broker| broker.address.as_str()).collect();
    let head = format!("{}: {}", words::count(brokers.len(), "broker"), brokers.join(", "));
    let table = if shown.whole { partitions(&shown.topics) } else { summary(shown) };
    format!("{}\n\n{}", terminal.paint(Tone::Dim, &head), table.text(terminal))
}

fn summary(shown: &Shown) -> Table {
    let mut table = Table::new(&[
        Column::text("TOPIC"),
        Column::number("PARTITIONS"),
        Column::number("REPLICAS"),
        Column::number("MESSAGES"),
        Column::text("STATE"),
    ]);
    for topic in &shown.topics {
        let replicas = topic.partitions.iter().map(|it| it.replicas.len()).min();
        let is_letters = is_for_dead_letters(&topic.name);
        let messages = topic.messages.to_string();
        let tone = if is_letters && topic.messages > 0 { Tone::Warning } else { Tone::Plain };
        table.row([
            topic.name.as_str().into(),
            topic.partitions.len().to_string().into(),
            replicas.unwrap_or_default().to_string().into(),
            Cell::toned(tone, messages),
            state(topic),
        ]);
    }
    for name in &shown.missing {
        let dash = || Cell::toned(Tone::Dim, "-");
        let missing = Cell::toned(Tone::Bad, "missing");
        table.row([name.as_str().into(), dash(), dash(), dash(), missing]);
    }
    table
}

fn state(topic: &Topic) -> Cell {
    let of = topic.partitions.len();
    if topic.offline > 0 {
        Cell::toned(Tone::Bad, format!("{} of {of} without a leader", topic.offline))
    } else if topic.under_replicated > 0 {
        Cell::toned(Tone::Warning, format!("{} of {of} under-replicated", topic.under_replicated))
    } else {
        Cell::toned(Tone::Good, "in step")
    }
}

fn partitions(topics: &[Topic]) -> Table {
    let mut table = Table::new(&[
        Column::text("TOPIC"),
        Column::number("PARTITION"),
        Column::number("LEADER"),
        Column::text("REPLICAS"),
        Column::text("IN STEP"),
        Column::number("START"),
        Column::number("END"),
        Column::number("MESSAGES"),
    ]);
    let ids = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    for topic in topics {
        for partition in &topic.partitions {
            let leader = match partition.leader {
                Some(leader) => leader.to_string().into(),
                None => Cell::toned(Tone::Bad, "none"),
            };
            let tone = if partition.is_under_replicated() { Tone::Warning } else { Tone::Plain };
            table.row([
                topic.name.as_str().into(),
                partition.number.to_string().into(),
                leader,
                ids(&partition.replicas).into(),
                Cell::toned(tone, ids(&partition.in_sync)),
                partition.start.to_string().into(),
                partition.end.to_string().into(),
                (partition.end - partition.start).to_string().into(),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use storefront_inspect::TopicPartition;

    use super::*;

    fn topic(name: &str, partitions: Vec<TopicPartition>) -> Topic {
        Topic {
            name: name.into(),
            messages: partitions.iter().map(|it| it.end - it.start).sum(),
            under_replicated: partitions.iter().filter(|it| it.is_under_replicated()).count(),
            offline: partitions.iter().filter(|it| it.leader.is_none()).count(),
            partitions,
        }
    }

    fn shown(whole: bool) -> Shown {
        let partition = |number, leader, in_sync: &[i32]| TopicPartition {
            number,
            leader,
            replicas: vec![0, 1, 2],
            in_sync: in_sync.to_vec(),
            start: 10,
            end: 52,
        };
        Shown {
            brokers: [0, 1].map(|id| Broker { id, address: format!("b{id}:9092") }).to_vec(),
            topics: vec![
                topic("payment-successful", vec![partition(0, Some(0), &[0, 1, 2])]),
                topic("order-successful", vec![partition(0, Some(0), &[0, 2])]),
                topic("a.order-service.dlq", vec![partition(0, None, &[])]),
            ],
            missing: vec!["email-successful".into()],
            whole,
        }
    }

    #[test]
    fn what_is_wrong_is_seen_at_a_glance() {
        insta::assert_snapshot!(text(&shown(false), Terminal::default()));
        insta::assert_snapshot!(text(&shown(true), Terminal::default()));
        assert!(is_wrong(&shown(false).topics[1]) && !is_wrong(&shown(false).topics[0]));
    }
}
