//! Reads records of some topics from a place on, to their end as it is now or for as long as wanted. In
//! no group's name: nobody's offsets move.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    InspectError, Record, Session,
    connection::Listening,
    session::{Client, Ends, Key, is_moving},
};

/// How long a bounded read may stand still before it is given up.
const STALLED_LIMIT: Duration = Duration::from_secs(15);
/// Longest wait in librdkafka.
const POLL: Duration = Duration::from_millis(100);

/// Where reading begins, in each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Beginning,
    /// With what comes from now on.
    End,
    Offset(i64),
    /// So many before the end.
    Last(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

/// Until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// What stands there now.
    Now,
    /// And what comes.
    Follow,
}

/// Gives records one by one: in order within a partition, and as they come over all of them.
pub struct Reader {
    client: Client,
    /// Partitions of a bounded read that are not at their end, with that end.
    left: BTreeMap<Key, i64>,
    span: Span,
    moved: Instant,
    name: String,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Session {
    /// Reads topics by their names on the broker; `partition` narrows it to one.
    pub fn read(
        &self,
        topics: &[String],
        partition: Option<i32>,
        from: Start,
        span: Span,
    ) -> Result<Reader, InspectError> {
        let mut keys = BTreeSet::new();
        for name in topics {
            let layout = self.topic_layout(name)?;
            let numbers: Vec<i32> = layout.partitions.iter().map(|it| it.number).collect();
            if let Some(partition) = partition.filter(|number| !numbers.contains(number)) {
                let (topic, count) = (name.clone(), numbers.len());
                return Err(InspectError::NoPartition { topic, partition, count });
            }
            let wanted = numbers.into_iter().filter(|it| partition.is_none_or(|one| one == *it));
            keys.extend(wanted.map(|number| (name.clone(), number)));
        }
        self.read_partitions(&keys, from, span)
    }

    /// Everything that stands in some topics now. Those that are not there are as good as empty.
    pub(crate) fn read_partitions(
        &self,
        keys: &BTreeSet<Key>,
        from: Start,
        span: Span,
    ) -> Result<Reader, InspectError> {
        let ends = self.ends(keys.iter().cloned())?;
        let starts = self.starts(keys, from, &ends)?;
        Reader::open(self, &starts, &ends, span)
    }

    fn starts(
        &self,
        keys: &BTreeSet<Key>,
        from: Start,
        ends: &Ends,
    ) -> Result<BTreeMap<Key, i64>, InspectError> {
        let since = match from {
            Start::Time(ms) => self.offsets_since(keys, ms)?,
            _ => BTreeMap::new(),
        };
        let start = |key: &Key, (start, end): (i64, i64)| match from {
            Start::Beginning => start,
            Start::End => end,
            Start::Offset(offset) => offset.clamp(start, end),
            Start::Last(count) => (end - count).max(start),
            Start::Time(_) => since.get(key).copied().unwrap_or(end),
        };
        Ok(ends.iter().map(|(key, span)| (key.clone(), start(key, *span))).collect())
    }
}

impl Reader {
    fn open(
        session: &Session,
        starts: &BTreeMap<Key, i64>,
        ends: &Ends,
        span: Span,
    ) -> Result<Self, InspectError> {
        let names: BTreeSet<&str> = starts.keys().map(|(topic, _)| topic.as_str()).collect();
        let name = names.into_iter().collect::<Vec<_>>().join(", ");
        let failed = |source| InspectError::Read { topic: name.clone(), source };
        let mut config = session.connection.consumer_config();
        for (key, value) in [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("enable.partition.eof", "true"),
            ("queued.max.messages.kbytes", "16384"),
            ("fetch.wait.max.ms", "250"),
            ("fetch.error.backoff.ms", "100"),
        ] {
            config.set(key, value);
        }
        let client: Client = config.create_with_context(Listening::default()).map_err(failed)?;
        let mut list = TopicPartitionList::with_capacity(starts.len());
        let mut left = BTreeMap::new();
        for (key, start) in starts {
            let end = ends.get(key).map_or(*start, |(_, end)| *end);
            if span == Span::Now && *start >= end {
                continue;
            }
            left.insert(key.clone(), end);
            list.add_partition_offset(&key.0, key.1, Offset::Offset(*start)).map_err(failed)?;
        }
        if !left.is_empty() {
            client.assign(&list).map_err(failed)?;
        }
        Ok(Self { client, left, span, moved: Instant::now(), name })
    }

    /// The next record; `None` at the end of a bounded read, or when nothing came within `limit`:
    /// [`Reader::is_at_end`] tells which.
    pub fn next(&mut self, limit: Duration) -> Result<Option<Record>, InspectError> {
        let deadline = Instant::now() + limit;
        while !self.is_at_end() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.client.poll(left.min(POLL)) {
                Some(Ok(message)) => {
                    let record = Record::from_message(&message);
                    drop(message);
                    self.moved = Instant::now();
                    if self.passed(&record) {
                        return Ok(Some(record));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.moved = Instant::now();
                    self.ended(partition);
                }
                Some(Err(error)) if passes(&error) => {}
                Some(Err(source)) => {
                    return Err(InspectError::Read { topic: self.name.clone(), source });
                }
                None if left.is_zero() => return Ok(None),
                None => {}
            }
            if self.span == Span::Now && self.moved.elapsed() > STALLED_LIMIT {
                let limit_s = STALLED_LIMIT.as_secs();
                return Err(InspectError::Stalled { topic: self.name.clone(), limit_s });
            }
        }
        Ok(None)
    }

    /// The rest of a bounded read.
    pub fn rest(mut self, mut take: impl FnMut(Record)) -> Result<(), InspectError> {
        while !self.is_at_end() {
            if let Some(record) = self.next(STALLED_LIMIT)? {
                take(record);
            }
        }
        Ok(())
    }

    /// Whether a bounded read is over.
    pub fn is_at_end(&self) -> bool {
        self.span == Span::Now && self.left.is_empty()
    }

    /// Whether a record belongs to what was asked for; its partition may be over with it.
    fn passed(&mut self, record: &Record) -> bool {
        if self.span == Span::Follow {
            return true;
        }
        let key = (record.topic.clone(), record.partition);
        let Some(end) = self.left.get(&key).copied() else { return false };
        if record.offset + 1 >= end {
            self.left.remove(&key);
        }
        record.offset < end
    }

    /// At the end of a partition that ends with marks of a transaction, no record says so.
    fn ended(&mut self, partition: i32) {
        if self.span == Span::Follow {
            return;
        }
        // librdkafka names the partition only; with several topics the positions tell which.
        let Ok(positions) = self.client.position() else { return };
        self.left.retain(|(topic, number), end| {
            if *number != partition {
                return true;
            }
            match positions.find_partition(topic, *number).map(|found| found.offset()) {
                Some(Offset::Offset(position)) => position < *end,
                _ => true,
            }
        });
    }
}

/// Trouble that librdkafka mends by itself.
fn passes(error: &KafkaError) -> bool {
    is_moving(error)
        || matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut
            )
        )
}
