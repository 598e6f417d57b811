//! The floor for `order`: librdkafka's own consumer and producer, and nothing between them. No parsing, no
//! database, no guarantee but the idempotent producer's.

use std::time::Duration;

use anyhow::Result;
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord},
};

const WAIT: Duration = Duration::from_millis(100);

/// Goes on until it is killed.
pub fn run(brokers: &str, group: &str, from: &str, to: &str) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .create()?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .create()?;
    consumer.subscribe(&[from])?;
    loop {
        let Some(message) = consumer.poll(WAIT) else { continue };
        let message = message?;
        let mut record = BaseRecord::to(to)
            .key(message.key().unwrap_or_default())
            .payload(message.payload().unwrap_or_default());
        while let Err((error, again)) = producer.send(record) {
            anyhow::ensure!(
                error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull),
                error
            );
            producer.poll(WAIT);
            record = again;
        }
        producer.poll(Duration::ZERO);
    }
}
