//! What stands on topics, and what is put there, by clients of the tests' own.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, Headers as _, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::Value;
use storefront_contract::{
    Event, Names, ServiceId, Topic,
    settings::{KafkaSecurity, KafkaSettings},
};

use crate::topics::{create_topics, prefix};

const LIMIT: Duration = Duration::from_secs(30);
/// Of each topic that a test makes.
const PARTITIONS: i32 = 3;

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub partition: i32,
    pub offset: i64,
    pub key: Vec<u8>,
    pub payload: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

impl Letter {
    /// A header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The key, when it is a text.
    pub fn key(&self) -> &str {
        std::str::from_utf8(&self.key).unwrap_or_default()
    }

    /// The payload as JSON; null when it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }

    fn read(message: &impl Message) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = message.headers().map_or_else(BTreeMap::new, |headers| {
            let value = |value: Option<&[u8]>| text(value.unwrap_or_default());
            headers.iter().map(|header| (header.key.to_owned(), value(header.value))).collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().unwrap_or_default().to_vec(),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers,
        }
    }
}

/// Every record from the start of each partition to its end.
pub fn read_topic(brokers: &str, topic: &str) -> anyhow::Result<Vec<Letter>> {
    Ok(read_topics(brokers, &[topic])?.remove(topic).unwrap_or_default())
}

/// The same of several topics, by one client.
pub fn read_topics(
    brokers: &str,
    topics: &[&str],
) -> anyhow::Result<BTreeMap<String, Vec<Letter>>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "tests-reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .create()?;
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
        for partition in metadata.topics().first().context("no metadata")?.partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
    }
    consumer.assign(&list)?;
    let mut letters: BTreeMap<String, Vec<Letter>> =
        topics.iter().map(|topic| ((*topic).to_owned(), Vec::new())).collect();
    let mut ended = 0;
    let mut deadline = Instant::now() + LIMIT;
    while ended < list.count() {
        anyhow::ensure!(Instant::now() < deadline, "{topics:?}: nothing comes for {LIMIT:?}");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                deadline = Instant::now() + LIMIT;
                letters.entry(message.topic().to_owned()).or_default().push(Letter::read(&message));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            // One of several brokers is away: the others have copies. While there is a connection to no other yet, it
            // is "all" that are away.
            Some(Err(error))
                if matches!(
                    error.rdkafka_error_code(),
                    Some(
                        RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown
                    )
                ) => {}
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    Ok(letters)
}

/// Puts a record without any header on a topic, as a foreign program might.
pub async fn produce(brokers: &str, topic: &str, key: &str, value: &[u8]) -> anyhow::Result<()> {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let record = FutureRecord::to(topic).key(key).payload(value);
    producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
    Ok(())
}

/// The topics of one service under a prefix of one test's own, on the shared broker.
pub struct Topics {
    pub settings: KafkaSettings,
    service: ServiceId,
    names: Names,
    producer: FutureProducer,
}

impl Topics {
    /// Makes all source topics, and those for the service's dead letters.
    pub async fn of(service: ServiceId) -> anyhow::Result<Self> {
        let brokers = crate::kafka().await?.bootstrap().to_owned();
        let prefix = prefix();
        let names = Names::new(&prefix);
        let dead = Topic::ALL.into_iter().filter_map(|topic| names.dead_letter(topic, service));
        let all: Vec<String> =
            Topic::ALL.into_iter().map(|topic| names.topic(topic)).chain(dead).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        create_topics(&brokers, &all, PARTITIONS).await?;
        let producer = ClientConfig::new().set("bootstrap.servers", &brokers).create()?;
        let security = KafkaSecurity::default();
        let settings = KafkaSettings { brokers: vec![brokers], prefix, security };
        Ok(Self { settings, service, names, producer })
    }

    /// Puts an event on its topic under a `ce_id`.
    pub async fn put<E: Event>(&self, event: &E, id: &str) -> anyhow::Result<()> {
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new()
            .insert(header("ce_specversion", "1.0"))
            .insert(header("ce_id", id))
            .insert(header("ce_source", "/shops/default/demo/test"))
            .insert(header("ce_type", E::TYPE))
            .insert(header("ce_time", "2026-11-14T10:31:07Z"));
        let (topic, payload) = (self.names.topic(E::TOPIC), serde_json::to_vec(event)?);
        let record = FutureRecord::to(&topic).key(event.key()).payload(&payload).headers(headers);
        self.producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
        Ok(())
    }

    /// All values that stand on a topic now.
    pub fn values(&self, topic: Topic) -> anyhow::Result<Vec<Value>> {
        let letters = self.read(&self.names.topic(topic))?;
        Ok(letters.iter().map(Letter::value).collect())
    }

    /// The service's dead letters of a topic.
    pub fn dead(&self, source: Topic) -> anyhow::Result<Vec<Letter>> {
        let name =
            self.names.dead_letter(source, self.service).context("it reads no such topic")?;
        self.read(&name)
    }

    /// Sends a dead letter to its source again, for this service only.
    pub async fn replay(&self, source: Topic, letter: &Letter) -> anyhow::Result<()> {
        let group = self.names.group(self.service).context("the service has no group")?;
        let mut headers =
            OwnedHeaders::new().insert(Header { key: "replay-group", value: Some(group.as_str()) });
        for (key, value) in &letter.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let topic = self.names.topic(source);
        let record = FutureRecord::to(&topic)
            .key(&letter.key)
            .payload(&letter.payload)
            .partition(letter.partition)
            .headers(headers);
        self.producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
        Ok(())
    }

    fn read(&self, name: &str) -> anyhow::Result<Vec<Letter>> {
        read_topic(&self.settings.brokers.join(","), name)
    }
}
