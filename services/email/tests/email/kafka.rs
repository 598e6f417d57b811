//! Records put on topics and read back, by clients of the tests' own.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::Value;
use storefront_contract::{Event, Names, ServiceId, Topic, settings::KafkaSettings};

/// A record, as it was read.
#[derive(Debug)]
pub struct Letter {
    pub key: Vec<u8>,
    pub payload: Vec<u8>,
    pub partition: i32,
    pub headers: Vec<(String, String)>,
}

/// Topics under a prefix of one test's own, on the shared broker.
pub struct Topics {
    pub settings: KafkaSettings,
    names: Names,
    brokers: String,
    producer: FutureProducer,
}

impl Topics {
    /// With those that `service` reads, their dead letters, and those that it writes.
    pub async fn of(service: ServiceId) -> Self {
        let brokers = storefront_testkit::kafka().await.unwrap().bootstrap().to_owned();
        let prefix = storefront_testkit::prefix();
        let names = Names::new(&prefix);
        let topics = Topic::ALL.map(|topic| names.topic(topic));
        let dead = Topic::ALL.map(|topic| names.dead_letter(topic, service).unwrap());
        let all: Vec<&str> = topics.iter().chain(&dead).map(String::as_str).collect();
        storefront_testkit::create_topics(&brokers, &all, 3).await.unwrap();
        let settings = KafkaSettings {
            brokers: vec![brokers.clone()],
            prefix,
            security: storefront_contract::settings::KafkaSecurity::default(),
        };
        let producer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
        Self { settings, names, brokers, producer }
    }

    /// Puts an event on its topic under a `ce_id`.
    pub async fn put<E: Event>(&self, event: &E, id: &str) {
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new()
            .insert(header("ce_specversion", "1.0"))
            .insert(header("ce_id", id))
            .insert(header("ce_source", "/shops/default/demo/test"))
            .insert(header("ce_type", E::TYPE))
            .insert(header("ce_time", "2026-11-14T10:31:07Z"));
        let (topic, payload) = (self.names.topic(E::TOPIC), serde_json::to_vec(event).unwrap());
        let record = FutureRecord::to(&topic).key(event.key()).payload(&payload).headers(headers);
        self.producer.send(record, Duration::from_secs(20)).await.unwrap();
    }

    /// All values that stand on a topic now.
    pub fn values(&self, topic: Topic) -> Vec<Value> {
        let letters = self.read(&self.names.topic(topic));
        letters.iter().map(|letter| serde_json::from_slice(&letter.payload).unwrap()).collect()
    }

    /// The dead letters of the email service.
    pub fn dead(&self, source: Topic) -> Vec<Letter> {
        self.read(&self.names.dead_letter(source, ServiceId::Email).unwrap())
    }

    /// Sends a dead letter to its source again, for the email service only.
    pub async fn replay(&self, source: Topic, letter: &Letter) {
        let group = self.names.group(ServiceId::Email).unwrap();
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
        self.producer.send(record, Duration::from_secs(20)).await.unwrap();
    }

    fn read(&self, name: &str) -> Vec<Letter> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", "reader")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let (mut list, mut left) = (TopicPartitionList::new(), 0);
        for partition in 0..3 {
            let limit = Duration::from_secs(10);
            let (low, high) = consumer.fetch_watermarks(name, partition, limit).unwrap();
            left += high - low;
            list.add_partition_offset(name, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut letters = Vec::new();
        while left > 0 {
            let record = consumer.poll(Duration::from_secs(10)).unwrap().unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            letters.push(Letter {
                key: record.key().unwrap().to_vec(),
                payload: record.payload().unwrap().to_vec(),
                partition: record.partition(),
                headers: record
                    .headers()
                    .unwrap()
                    .iter()
                    .map(|header| (header.key.to_owned(), text(header.value.unwrap())))
                    .collect(),
            });
            left -= 1;
        }
        letters
    }
}

impl Letter {
    pub fn header(&self, name: &str) -> String {
        let header = self.headers.iter().find(|(key, _)| key == name);
        header.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}
