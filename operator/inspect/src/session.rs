//! Clients of the brokers for as long as somebody looks, and the questions that every part asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    Cause, Cluster, Connection, InspectError, Topic,
    connection::{LIMIT, Listening},
    topics,
};

/// How long the first question may take, and each that follows without an answer: 10 s, all together.
const TRIES_S: [u64; 4] = [1, 2, 3, 4];
/// Events that a client may have kept.
const EVENTS_MAX: usize = 100;
/// Between two questions about a partition whose leader has moved.
const MOVE_PAUSE: Duration = Duration::from_millis(100);

/// A partition: topic and number.
pub(crate) type Key = (String, i32);
/// First and next offset of partitions.
pub(crate) type Ends = BTreeMap<Key, (i64, i64)>;

/// A client of consumers' questions.
pub(crate) type Client = BaseConsumer<Listening>;

/// An open way to the brokers. Dropping it closes every connection.
pub struct Session {
    pub(crate) connection: Connection,
    listening: Listening,
    client: Client,
    /// One for each group that was asked about: librdkafka ties a client to its group.
    by_group: Mutex<BTreeMap<String, Arc<Client>>>,
}

/// Whether a partition's leader is not who it was said to be.
pub(crate) fn is_moving(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable)
    )
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn open(connection: &Connection) -> Result<Self, InspectError> {
        connection.check_reachable().map_err(|source| InspectError::Unreachable {
            brokers: connection.brokers().to_owned(),
            source,
        })?;
        let listening = Listening::default();
        let client = connection
            .consumer_config()
            .create_with_context(listening.clone())
            .map_err(crate::ConnectionError::Client)?;
        Ok(Self { connection: connection.clone(), listening, client, by_group: Mutex::default() })
    }

    /// The connection that it was opened with.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Brokers and every topic, with offsets.
    pub fn cluster(&self) -> Result<Cluster, InspectError> {
        let mut cluster = self.layout()?;
        let all = |topic: &Topic| {
            let name = topic.name.clone();
            let readable = topic.partitions.iter().filter(|it| it.leader.is_some());
            readable.map(|it| (name.clone(), it.number)).collect::<Vec<_>>()
        };
        let ends = self.ends(cluster.topics.iter().flat_map(all))?;
        for topic in &mut cluster.topics {
            for partition in &mut topic.partitions {
                let key = (topic.name.clone(), partition.number);
                (partition.start, partition.end) = ends.get(&key).copied().unwrap_or_default();
                topic.messages += partition.end - partition.start;
            }
        }
        Ok(cluster)
    }

    /// The name that the brokers have given to their cluster: it tells one cluster from another, whatever
    /// their addresses are.
    pub fn cluster_id(&self, limit: Duration) -> Option<String> {
        self.client.client().fetch_cluster_id(limit)
    }

    /// The same, or why they do not say it.
    pub fn ask_cluster_id(&self, limit: Duration) -> Result<String, InspectError> {
        let silent = || KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        self.cluster_id(limit).ok_or_else(|| self.no_answer(silent()))
    }

    /// Brokers and every topic, without offsets.
    pub(crate) fn layout(&self) -> Result<Cluster, InspectError> {
        let mut tries = TRIES_S.iter().map(|seconds| Duration::from_secs(*seconds));
        let first = tries.next().unwrap_or(LIMIT);
        let mut answer = self.client.fetch_metadata(None, first);
        for limit in tries {
            let Err(error) = answer else { break };
            // A client tries again for ever what will never be: a password that is wrong.
            let error = self.no_answer(error);
            if error.cause().is_some_and(Cause::lasts) {
                return Err(error);
            }
            answer = self.client.fetch_metadata(None, limit);
        }
        Ok(topics::cluster(&answer.map_err(|error| self.no_answer(error))?))
    }

    /// One topic's partitions without offsets; an error that names similar ones when it is not there.
    pub(crate) fn topic_layout(&self, name: &str) -> Result<Topic, InspectError> {
        let cluster = self.layout()?;
        cluster.topic(name).cloned().ok_or_else(|| cluster.no_topic(name))
    }

    /// First and next offsets, in two requests to each leader.
    pub(crate) fn ends(&self, keys: impl IntoIterator<Item = Key>) -> Result<Ends, InspectError> {
        let keys: BTreeSet<Key> = keys.into_iter().collect();
        // The protocol's two special times are the two special offsets of librdkafka.
        let starts = self.offsets_at(&keys, Offset::Beginning)?;
        let ends = self.offsets_at(&keys, Offset::End)?;
        let pair = |key: &Key| Some((starts.get(key)?, ends.get(key)?));
        Ok(keys
            .iter()
            .filter_map(|key| pair(key).map(|(s, e)| (key.clone(), (*s, (*e).max(*s)))))
            .collect())
    }

    /// The first offset at or after a time (milliseconds since 1970); none where nothing came since.
    pub(crate) fn offsets_since(
        &self,
        keys: &BTreeSet<Key>,
        since_ms: i64,
    ) -> Result<BTreeMap<Key, i64>, InspectError> {
        self.offsets_at(keys, Offset::Offset(since_ms.max(0)))
    }

    fn offsets_at(
        &self,
        keys: &BTreeSet<Key>,
        time: Offset,
    ) -> Result<BTreeMap<Key, i64>, InspectError> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut list = TopicPartitionList::with_capacity(keys.len());
        for (topic, partition) in keys {
            list.add_partition_offset(topic, *partition, time).map_err(|e| self.no_answer(e))?;
        }
        let deadline = Instant::now() + LIMIT;
        let found = loop {
            match self.client.offsets_for_times(list.clone(), LIMIT) {
                // A topic that is new, or whose broker has just gone: who leads is asked anew.
                Err(error) if is_moving(&error) && Instant::now() + MOVE_PAUSE < deadline => {
                    thread::sleep(MOVE_PAUSE);
                }
                result => break result.map_err(|error| self.no_answer(error))?,
            }
        };
        let offset = |found: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match (
            found.error(),
            found.offset(),
        ) {
            (Ok(()), Offset::Offset(offset)) => {
                Some(((found.topic().to_owned(), found.partition()), offset))
            }
            _ => None,
        };
        Ok(found.elements().into_iter().filter_map(offset).collect())
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A client that asks in a group's name, and is no member of it.
    pub(crate) fn client_of(&self, group: &str) -> Result<Arc<Client>, KafkaError> {
        let mut by_group = self.by_group.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = by_group.get(group) {
            return Ok(Arc::clone(client));
        }
        let mut config = self.connection.consumer_config();
        config.set("group.id", group);
        let client = Arc::new(config.create_with_context(self.listening.clone())?);
        by_group.insert(group.to_owned(), Arc::clone(&client));
        Ok(client)
    }

    pub(crate) fn no_answer(&self, source: KafkaError) -> InspectError {
        // What the client has met waits in its queue until somebody asks.
        for _ in 0..EVENTS_MAX {
            drop(self.client.poll(Duration::ZERO));
        }
        let brokers = self.connection.brokers().to_owned();
        InspectError::NoAnswer { brokers, said: self.listening.last(), source: Box::new(source) }
    }
}
