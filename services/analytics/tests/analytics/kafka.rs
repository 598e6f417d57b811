//! Records put on topics, by a client of the tests' own.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use storefront_contract::{Event, Names, ServiceId, Topic, settings::KafkaSettings};

/// Topics under a prefix of one test's own, on the shared broker.
pub struct Topics {
    pub settings: KafkaSettings,
    names: Names,
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
        Self { settings, names, producer }
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
}
