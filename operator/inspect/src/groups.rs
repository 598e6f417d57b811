//! Consumer groups: who is in them, and how far behind they are in each partition.

use std::{collections::BTreeMap, thread};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
    groups::{GroupInfo, GroupList},
};
use serde::Serialize;
use storefront_contract::ServiceId;

use crate::{Cluster, InspectError, Scope, Session, assignment, connection::LIMIT, session::Key};

/// Most groups that are asked about at the same time: each has a client of its own.
const GROUPS_AT_ONCE: usize = 8;

/// One consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    #[serde(rename = "group")]
    pub name: String,
    /// The service of the shop that it belongs to.
    pub service: Option<ServiceId>,
    /// Kafka's own word, such as `Stable`; `Missing` when the broker does not know the group.
    pub state: String,
    pub members: Vec<Member>,
    pub partitions: Vec<GroupPartition>,
    /// Messages that are not handled yet, over all partitions.
    pub lag: i64,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    pub id: String,
    pub client: String,
    pub host: String,
}

/// How far a group is in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupPartition {
    pub topic: String,
    #[serde(rename = "partition")]
    pub number: i32,
    /// Next offset to be read; `null` before the group has stored one.
    pub committed: Option<i64>,
    /// Offset that the next message will get.
    pub end: i64,
    pub lag: i64,
    /// Id of the member that reads it.
    pub member: Option<String>,
}

/// What is known of a partition before offsets are asked.
#[derive(Debug, Default)]
struct Known {
    member: Option<String>,
    /// Shown though the group has neither stored an offset nor an owner.
    must: bool,
}

/// A group before its offsets are asked.
struct Asked {
    name: String,
    service: Option<ServiceId>,
    state: String,
    members: Vec<Member>,
    known: BTreeMap<Key, Known>,
}

impl Session {
    /// The shop's groups in the order of the catalog; with `all` every other group after them.
    /// `cluster` may be a little older: its ends then are too.
    pub fn groups(
        &self,
        scope: &Scope,
        cluster: &Cluster,
        all: bool,
    ) -> Result<Vec<Group>, InspectError> {
        let known = self.client().fetch_group_list(None, LIMIT);
        let known = known.map_err(|error| self.no_answer(error))?;
        let asked = asked(scope, cluster, &known, all);
        let mut groups = Vec::with_capacity(asked.len());
        let mut waiting = asked.into_iter();
        loop {
            let some: Vec<_> = waiting.by_ref().take(GROUPS_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(groups);
            }
            thread::scope(|scope| {
                let ask = |asked| scope.spawn(move || self.group(asked, cluster));
                let threads: Vec<_> = some.into_iter().map(ask).collect();
                for thread in threads {
                    match thread.join() {
                        Ok(group) => groups.push(group?),
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                }
                Ok::<_, InspectError>(())
            })?;
        }
    }

    fn group(&self, asked: Asked, cluster: &Cluster) -> Result<Group, InspectError> {
        let Asked { name, service, state, members, known } = asked;
        let failed = |source| InspectError::Offsets { group: name.clone(), source };
        let committed = self.committed(&name, known.keys()).map_err(failed)?;
        let mut partitions = Vec::new();
        for ((topic, number), known) in known {
            let key = (topic, number);
            let committed = committed.get(&key).copied();
            if committed.is_none() && known.member.is_none() && !known.must {
                continue;
            }
            let found = cluster.topic(&key.0);
            let found = found.and_then(|it| it.partitions.iter().find(|p| p.number == number));
            let (start, end) = found.map_or((0, 0), |partition| (partition.start, partition.end));
            partitions.push(GroupPartition {
                topic: key.0,
                number,
                committed,
                end,
                lag: lag(committed, start, end),
                member: known.member,
            });
        }
        let lag = partitions.iter().map(|partition| partition.lag).sum();
        Ok(Group { name, service, state, members, partitions, lag })
    }

    /// Next offsets that a group has stored, in one request.
    pub(crate) fn committed<'a>(
        &self,
        group: &str,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<BTreeMap<Key, i64>, KafkaError> {
        let mut list = TopicPartitionList::new();
        for (topic, partition) in keys {
            list.add_partition(topic, *partition);
        }
        if list.count() == 0 {
            return Ok(BTreeMap::new());
        }
        let stored = match self.client_of(group)?.committed_offsets(list, LIMIT) {
            // Kafka answers with no offsets, other brokers with this.
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupIdNotFound) => {
                TopicPartitionList::new()
            }
            stored => stored?,
        };
        let offset = |found: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match found
            .offset()
        {
            Offset::Offset(offset) => Some(((found.topic().to_owned(), found.partition()), offset)),
            _ => None,
        };
        Ok(stored.elements().into_iter().filter_map(offset).collect())
    }
}

/// The groups to ask about, with the partitions that each may read.
fn asked(scope: &Scope, cluster: &Cluster, known: &GroupList, all: bool) -> Vec<Asked> {
    let ours = scope.groups();
    let info = |name: &str| known.groups().iter().find(|info| info.name() == name);
    let mut asked: Vec<_> = ours
        .iter()
        .map(|(id, name)| {
            let (may, must) = (scope.may_read(*id), scope.surely_reads(*id));
            let fits = |topic: &str| may.contains(topic).then(|| must.contains(topic));
            describe(name, Some(*id), info(name), cluster, &fits)
        })
        .collect();
    if all {
        let is_ours = |info: &&GroupInfo| ours.iter().any(|(_, name)| name == info.name());
        let mut others: Vec<_> = known.groups().iter().filter(|info| !is_ours(info)).collect();
        others.sort_by_key(|info| info.name());
        for info in others {
            asked.push(describe(info.name(), None, Some(info), cluster, &|_| Some(false)));
        }
    }
    asked
}

/// `fits` says of a topic whether the group may read it, and then whether it surely does.
fn describe(
    name: &str,
    service: Option<ServiceId>,
    info: Option<&GroupInfo>,
    cluster: &Cluster,
    fits: &dyn Fn(&str) -> Option<bool>,
) -> Asked {
    let mut known: BTreeMap<Key, Known> = BTreeMap::new();
    let mut members = Vec::new();
    for member in info.map(GroupInfo::members).unwrap_or_default() {
        for key in assignment::parse(member.assignment().unwrap_or_default()) {
            known.entry(key).or_default().member = Some(member.id().to_owned());
        }
        members.push(Member {
            id: member.id().to_owned(),
            client: member.client_id().to_owned(),
            host: member.client_host().to_owned(),
        });
    }
    for topic in &cluster.topics {
        let Some(must) = fits(&topic.name) else { continue };
        for partition in &topic.partitions {
            known.entry((topic.name.clone(), partition.number)).or_default().must |= must;
        }
    }
    let state = info.map_or("Missing", GroupInfo::state).to_owned();
    Asked { name: name.to_owned(), service, state, members, known }
}

/// Messages still to be read. What retention has removed cannot be read any more, and a group without
/// a stored offset begins at the start.
fn lag(committed: Option<i64>, start: i64, end: i64) -> i64 {
    (end - committed.unwrap_or(start).max(start)).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_what_can_still_be_read() {
        assert_eq!(lag(Some(4), 0, 10), 6);
        assert_eq!(lag(None, 3, 10), 7);
        assert_eq!(lag(Some(2), 5, 10), 5, "removed by retention");
        assert_eq!(lag(Some(12), 0, 10), 0, "the topic was made anew");
    }
}
