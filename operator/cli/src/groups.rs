//! `storefront groups`: members of consumer groups and how far behind they are, on any broker.

mod assignment;
mod lag;
mod table;

use std::{collections::BTreeSet, io, time::Duration};

use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    groups::GroupInfo,
    metadata::Metadata,
};
use serde::Serialize;
use storefront_contract::{CATALOG, Names, ServiceId, Topic};

use crate::{
    args::GroupsArguments,
    kafka::{self, TIMEOUT_MS},
    manifest,
    output::{self, Output},
};
use lag::Partitions;

const TIMEOUT: Duration = Duration::from_millis(TIMEOUT_MS);

/// Why groups cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum GroupsError {
    #[error("the brokers {brokers} do not answer: check --kafka")]
    NoBroker {
        brokers: String,
        #[source]
        source: KafkaError,
    },
    #[error("no broker of {brokers} takes connections: check --kafka")]
    Unreachable {
        brokers: String,
        #[source]
        source: io::Error,
    },
    #[error("the offsets of {group} cannot be read")]
    Offsets {
        group: String,
        #[source]
        source: KafkaError,
    },
}

impl GroupsError {
    /// A fixed word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoBroker { .. } | Self::Unreachable { .. } => "NoBroker",
            Self::Offsets { .. } => "NoOffsets",
        }
    }
}

/// Every group that is shown.
#[derive(Debug, Serialize)]
struct Groups {
    groups: Vec<Group>,
}

/// One consumer group.
#[derive(Debug, Serialize)]
struct Group {
    #[serde(rename = "group")]
    name: String,
    /// Kafka's own word, such as `Stable`; `Missing` when the broker does not know the group.
    state: String,
    members: Vec<Member>,
    partitions: Vec<Partition>,
    /// Messages that are not handled yet, over all partitions.
    lag: i64,
}

/// One member of a group.
#[derive(Debug, Serialize)]
struct Member {
    id: String,
    client: String,
    host: String,
}

/// How far a group is in one partition.
#[derive(Debug, Serialize)]
struct Partition {
    topic: String,
    #[serde(rename = "partition")]
    number: i32,
    /// Next offset to be read; `null` before the group has stored one.
    committed: Option<i64>,
    /// Offset that the next message will get.
    end: i64,
    lag: i64,
    /// Id of the member that reads it.
    member: Option<String>,
}

/// What is looked at of a shop.
struct Shop {
    names: Names,
    /// Topics whose events become mails.
    send_on: Vec<Topic>,
}

/// Prints the groups.
pub fn run(arguments: &GroupsArguments) -> anyhow::Result<()> {
    let shop = match &arguments.file {
        Some(file) => {
            let spec = manifest::load(file)?.storefront.spec;
            Shop { names: Names::new(spec.prefix()), send_on: spec.send_on() }
        }
        None => Shop { names: Names::default(), send_on: vec![Topic::PaymentSuccessful] },
    };
    let groups = read(arguments, &shop)?;
    let text = match arguments.output {
        Output::Text => table::text(&groups),
        Output::Json => serde_json::to_string(&groups)?,
    };
    output::print(&text)?;
    Ok(())
}

fn read(arguments: &GroupsArguments, shop: &Shop) -> Result<Groups, GroupsError> {
    let brokers = &arguments.kafka;
    kafka::check_reachable(brokers)
        .map_err(|source| GroupsError::Unreachable { brokers: brokers.clone(), source })?;
    let no_broker = |source| GroupsError::NoBroker { brokers: brokers.clone(), source };
    let consumer: BaseConsumer = kafka::client(brokers).create().map_err(no_broker)?;
    let metadata = consumer.fetch_metadata(None, TIMEOUT).map_err(no_broker)?;
    let known = consumer.fetch_group_list(None, TIMEOUT).map_err(no_broker)?;
    let ours: Vec<_> =
        CATALOG.iter().filter_map(|entry| Some((entry.id, shop.names.group(entry.id)?))).collect();
    let mut groups = Vec::new();
    for (id, name) in &ours {
        let info = known.groups().iter().find(|info| info.name() == name);
        let expected = expected_topics(*id, shop);
        let topics = topics_of(CATALOG[*id as usize].consumes, shop);
        groups.push(group(
            &consumer,
            arguments,
            name,
            info,
            Some((&topics, &expected)),
            &metadata,
        )?);
    }
    if arguments.all {
        let names: BTreeSet<_> = ours.iter().map(|(_, name)| name.as_str()).collect();
        for info in known.groups().iter().filter(|info| !names.contains(info.name())) {
            groups.push(group(&consumer, arguments, info.name(), Some(info), None, &metadata)?);
        }
    }
    Ok(Groups { groups })
}

fn topics_of(topics: &[Topic], shop: &Shop) -> BTreeSet<String> {
    topics.iter().map(|topic| shop.names.topic(*topic)).collect()
}

/// Topics that a service reads for certain: email takes only those that are mailed on, and what
/// lies in another is no lag of its.
fn expected_topics(id: ServiceId, shop: &Shop) -> BTreeSet<String> {
    match id {
        ServiceId::Email => topics_of(&shop.send_on, shop),
        _ => topics_of(storefront_contract::service(id).consumes, shop),
    }
}

/// Reads one group. `ours` are the topics that it may read, and those that it surely reads.
fn group(
    consumer: &BaseConsumer,
    arguments: &GroupsArguments,
    name: &str,
    info: Option<&GroupInfo>,
    ours: Option<(&BTreeSet<String>, &BTreeSet<String>)>,
    metadata: &Metadata,
) -> Result<Group, GroupsError> {
    let mut members = Vec::new();
    let mut partitions = Partitions::default();
    for member in info.map(GroupInfo::members).unwrap_or_default() {
        for (topic, partition) in assignment::parse(member.assignment().unwrap_or_default()) {
            partitions.assigned(topic, partition, member.id());
        }
        members.push(Member {
            id: member.id().to_owned(),
            client: member.client_id().to_owned(),
            host: member.client_host().to_owned(),
        });
    }
    for topic in metadata.topics() {
        let (may, must) = match ours {
            Some((may, must)) => (may.contains(topic.name()), must.contains(topic.name())),
            None => (true, false),
        };
        for partition in topic.partitions().iter().filter(|_| may) {
            partitions.candidate(topic.name(), partition.id(), must);
        }
    }
    let failed = |source| GroupsError::Offsets { group: name.to_owned(), source };
    let partitions = partitions.read(consumer, &arguments.kafka, name).map_err(failed)?;
    Ok(Group {
        name: name.to_owned(),
        state: info.map_or("Missing", GroupInfo::state).to_owned(),
        lag: partitions.iter().map(|partition| partition.lag).sum(),
        members,
        partitions,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    #[test]
    fn a_broker_that_is_not_there_is_named() {
        let line = ["storefront", "groups", "--kafka", "127.0.0.1:1"];
        let Command::Groups(arguments) = Arguments::try_parse_from(line).unwrap().command else {
            panic!("groups")
        };
        let shop = Shop { names: Names::default(), send_on: Vec::new() };
        let error = read(&arguments, &shop).unwrap_err();
        assert_eq!(error.reason(), "NoBroker");
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    }

    #[test]
    fn email_lags_only_behind_what_it_mails_on() {
        let shop = Shop { names: Names::new("blue."), send_on: vec![Topic::PaymentSuccessful] };
        let topics = expected_topics(ServiceId::Email, &shop);
        assert_eq!(topics, BTreeSet::from(["blue.payment-successful".to_owned()]));
        assert_eq!(expected_topics(ServiceId::Analytics, &shop).len(), 3);
    }
}
