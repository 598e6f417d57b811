//! How far a group is behind in each partition.

use std::collections::BTreeMap;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{Partition, TIMEOUT};
use crate::kafka;

/// What is known of a partition before the brokers are asked.
#[derive(Debug, Default)]
struct Known {
    member: Option<String>,
    /// Shown though the group has neither stored an offset nor an owner.
    must: bool,
}

/// Partitions that a group may read.
#[derive(Debug, Default)]
pub struct Partitions {
    known: BTreeMap<(String, i32), Known>,
}

impl Partitions {
    /// A member reads this partition.
    pub fn assigned(&mut self, topic: String, partition: i32, member: &str) {
        self.known.entry((topic, partition)).or_default().member = Some(member.to_owned());
    }

    /// The group may read this partition, or surely reads it.
    pub fn candidate(&mut self, topic: &str, partition: i32, must: bool) {
        self.known.entry((topic.to_owned(), partition)).or_default().must |= must;
    }

    /// Asks for offsets. A partition without owner, stored offset or certainty is left out.
    pub fn read(
        self,
        consumer: &BaseConsumer,
        brokers: &str,
        group: &str,
    ) -> Result<Vec<Partition>, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(self.known.len());
        for (topic, partition) in self.known.keys() {
            list.add_partition(topic, *partition);
        }
        // Never subscribes: it only asks in the group's name, and is no member of it.
        let asking: BaseConsumer = kafka::client(brokers).set("group.id", group).create()?;
        let stored = match asking.committed_offsets(list, TIMEOUT) {
            // Kafka answers with no offsets, other brokers with this.
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupIdNotFound) => {
                TopicPartitionList::new()
            }
            stored => stored?,
        };
        let mut partitions = Vec::new();
        for ((topic, partition), known) in self.known {
            let stored = stored.find_partition(&topic, partition).map(|found| found.offset());
            let committed = match stored {
                Some(Offset::Offset(offset)) => Some(offset),
                _ => None,
            };
            if committed.is_none() && known.member.is_none() && !known.must {
                continue;
            }
            let (start, end) = consumer.fetch_watermarks(&topic, partition, TIMEOUT)?;
            let lag = lag(committed, start, end);
            partitions.push(Partition {
                topic,
                number: partition,
                committed,
                end,
                lag,
                member: known.member,
            });
        }
        Ok(partitions)
    }
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
