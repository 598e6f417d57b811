//! The few numbers of librdkafka's statistics that we need. See STATISTICS.md of librdkafka. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What the statistics tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// At least one broker is connected.
    pub is_connected: bool,
    /// Topic, partition, and the offset after the last record that may be read.
    pub ends: Vec<(String, i32, i64)>,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Broker>,
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
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
    let ends = statistics
        .topics
        .into_iter()
        .flat_map(|(name, topic)| {
            topic.partitions.into_values().map(move |partition| (name.clone(), partition))
        })
        .filter(|(_, partition)| partition.partition >= 0 && partition.ls_offset >= 0)
        .map(|(name, partition)| (name, partition.partition, partition.ls_offset))
        .collect();
    Some(Seen { is_connected, ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_where_they_are_known() {
        let json = br#"{"name": "x", "brokers": {"a": {"state": "DOWN"}, "b": {"state": "UP"}},
            "topics": {"t": {"partitions": {
                "0": {"partition": 0, "ls_offset": 7, "hi_offset": 8},
                "1": {"partition": 1, "ls_offset": -1001},
                "-1": {"partition": -1, "ls_offset": 0}}}}}"#;
        let seen = read(json).unwrap();
        assert_eq!(seen, Seen { is_connected: true, ends: vec![("t".into(), 0, 7)] });
        assert_eq!(read(b"nonsense"), None);
    }
}
