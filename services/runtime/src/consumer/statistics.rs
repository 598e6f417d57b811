//! The few numbers of librdkafka's statistics that we need. See STATISTICS.md of librdkafka. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What the statistics tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// At least one broker is connected.
    pub is_connected: bool,
    /// The group has it, with partitions or without.
    pub is_member: bool,
    /// Topic, partition, and the offset after the last record that may be read.
    pub ends: Vec<(String, i32, i64)>,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Broker>,
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
    cgrp: Option<Group>,
}

#[derive(Deserialize)]
struct Group {
    state: String,
    join_state: String,
}

#[derive(Deserialize)]
struct Broker {
    state: String,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: BTreeMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    partition: i32,
    /// Last stable offset; negative while unknown.
    ls_offset: i64,
}

pub(crate) fn read(json: &[u8]) -> Option<Seen> {
    let statistics: Statistics = serde_json::from_slice(json).ok()?;
    let is_connected = statistics.brokers.values().any(|broker| broker.state == "UP");
    let is_member =
        statistics.cgrp.is_some_and(|group| group.state == "up" && group.join_state == "steady");
    let ends = statistics
        .topics
        .into_iter()
        .flat_map(|(name, topic)| {
            topic.partitions.into_values().map(move |partition| (name.clone(), partition))
        })
        .filter(|(_, partition)| partition.partition >= 0 && partition.ls_offset >= 0)
        .map(|(name, partition)| (name, partition.partition, partition.ls_offset))
        .collect();
    Some(Seen { is_connected, is_member, ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_where_they_are_known() {
        let json = br#"{"name": "x", "cgrp": {"state": "up", "join_state": "steady"}, "brokers": {"a": {"state": "DOWN"}, "b": {"state": "UP"}},
            "topics": {"t": {"partitions": {
                "0": {"partition": 0, "ls_offset": 7, "hi_offset": 8},
                "1": {"partition": 1, "ls_offset": -1001},
                "-1": {"partition": -1, "ls_offset": 0}}}}}"#;
        let seen = read(json).unwrap();
        let ends = vec![("t".into(), 0, 7)];
        assert_eq!(seen, Seen { is_connected: true, is_member: true, ends });
        assert_eq!(read(b"nonsense"), None);
    }

    #[test]
    fn who_waits_to_join_is_no_member() {
        let is_member = |group: &str| read(group.as_bytes()).unwrap().is_member;
        assert!(!is_member(r#"{"cgrp": {"state": "up", "join_state": "wait-join"}}"#));
        assert!(!is_member(r#"{"cgrp": {"state": "wait-coord", "join_state": "steady"}}"#));
        assert!(!is_member("{}"));
    }
}
