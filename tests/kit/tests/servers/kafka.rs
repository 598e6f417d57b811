//! A real Apache Kafka.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{FutureProducer, FutureRecord},
};
use storefront_testkit::{Kafka, create_topics, kafka, prefix};

const LIMIT: Duration = Duration::from_secs(30);

async fn send(bootstrap: &str, topic: &str, value: &str, limit_ms: u32) -> Result<(), String> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("message.timeout.ms", limit_ms.to_string())
        .create()
        .unwrap();
    let record = FutureRecord::to(topic).key("user").payload(value);
    producer.send(record, LIMIT).await.map(drop).map_err(|(error, _)| error.to_string())
}

fn first_value(bootstrap: &str, topic: &str) -> String {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&all).unwrap();
    let message = consumer.poll(LIMIT).expect("a record in time").unwrap();
    String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn the_shared_broker_is_kept_apart_by_prefix_and_makes_no_topics_by_itself() {
    let kafka = kafka().await.unwrap();
    assert_eq!(kafka.bootstrap(), storefront_testkit::kafka().await.unwrap().bootstrap());
    let topic = format!("{}orders", prefix());
    send(kafka.bootstrap(), &topic, "lost", 2000).await.unwrap_err();
    create_topics(kafka.bootstrap(), &[&topic], 1).await.unwrap();
    send(kafka.bootstrap(), &topic, "a", 30_000).await.unwrap();
    assert_eq!(first_value(kafka.bootstrap(), &topic), "a");
}

#[tokio::test]
async fn a_private_broker_can_be_killed_started_paused() {
    let kafka = Kafka::private().await.unwrap();
    let broker = kafka.bootstrap();
    create_topics(broker, &["orders"], 1).await.unwrap();
    send(broker, "orders", "kept", 30_000).await.unwrap();

    kafka.kill().unwrap();
    send(broker, "orders", "lost", 500).await.unwrap_err();
    assert!(kafka.kill().is_err(), "it is dead already");
    kafka.start().await.unwrap();
    assert_eq!(first_value(broker, "orders"), "kept");

    kafka.pause().unwrap();
    send(broker, "orders", "lost", 500).await.unwrap_err();
    kafka.resume().unwrap();
    send(broker, "orders", "more", 30_000).await.unwrap();
}
