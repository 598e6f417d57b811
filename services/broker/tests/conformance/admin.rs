//! Topics and their settings, as the operator and the tools manage them.

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication},
    consumer::Consumer as _,
    error::RDKafkaErrorCode,
};

use crate::subject::{LIMIT, Subject, on_both};

on_both! {
    a_topic_is_made_once_with_its_settings
    a_creation_that_is_only_tried_makes_nothing
    twenty_topics_are_made_at_once
    a_topic_without_numbers_gets_the_brokers_own
    partitions_are_added
    the_settings_of_a_broker_are_told
    settings_are_changed
    a_deleted_topic_is_gone_and_its_name_is_free
    records_are_deleted_up_to_an_offset
    a_topic_that_nobody_made_is_not_made_by_a_record
}

async fn setting(subject: &Subject, topic: &str, name: &str) -> Option<String> {
    let resources = [ResourceSpecifier::Topic(topic)];
    let described = subject.admin().describe_configs(&resources, &Subject::options()).await;
    described.unwrap().remove(0).unwrap().get(name)?.value.clone()
}

/// Checks 1, 2 and 7: `CreateTopics`, a second time, and `DescribeConfigs`.
async fn a_topic_is_made_once_with_its_settings(subject: &Subject) {
    let topic = subject.name("orders");
    let settings = [("retention.ms", "123456000"), ("cleanup.policy", "delete")];
    subject.try_create(&topic, 3, &settings).await.unwrap();
    subject.eventually("three partitions", || subject.partitions(&topic) == 3);
    assert_eq!(setting(subject, &topic, "retention.ms").await.as_deref(), Some("123456000"));
    let again = subject.try_create(&topic, 3, &settings).await;
    assert_eq!(again, Err(RDKafkaErrorCode::TopicAlreadyExists));
}

async fn a_creation_that_is_only_tried_makes_nothing(subject: &Subject) {
    let topic = subject.name("tried");
    let new = NewTopic::new(&topic, 3, TopicReplication::Fixed(1));
    // The client must live as long as its call: what it is asked for it answers from a thread of its own.
    let (admin, options) = (subject.admin(), Subject::options().validate_only(true));
    admin.create_topics([&new], &options).await.unwrap().remove(0).unwrap();
    assert_eq!(subject.partitions(&topic), 0);
}

async fn twenty_topics_are_made_at_once(subject: &Subject) {
    let names: Vec<String> = (0..20).map(|number| subject.name(&format!("many{number}"))).collect();
    let new =
        |name| NewTopic::new(name, 3, TopicReplication::Fixed(1)).set("retention.ms", "86400000");
    let new: Vec<NewTopic<'_>> = names.iter().map(|name| new(name)).collect();
    for made in subject.admin().create_topics(&new, &Subject::options()).await.unwrap() {
        made.unwrap();
    }
    subject.eventually("all of them", || names.iter().all(|name| subject.partitions(name) == 3));
}

/// `-1` for both numbers (KIP-464).
async fn a_topic_without_numbers_gets_the_brokers_own(subject: &Subject) {
    let topic = subject.name("plain");
    let new = NewTopic::new(&topic, -1, TopicReplication::Fixed(-1));
    let made = subject.admin().create_topics([&new], &Subject::options()).await;
    made.unwrap().remove(0).unwrap();
    subject.eventually("a partition", || subject.partitions(&topic) > 0);
}

async fn partitions_are_added(subject: &Subject) {
    let topic = subject.topic("grown", 3).await;
    let added = [NewPartitions::new(&topic, 6)];
    let added = subject.admin().create_partitions(&added, &Subject::options()).await;
    added.unwrap().remove(0).unwrap();
    subject.eventually("six partitions", || subject.partitions(&topic) == 6);
    let sent = subject.send(&subject.producer(&[]), &topic, 5, "k", b"v").await;
    assert_eq!(sent, Ok((5, 0)), "the new ones take records");
}

async fn the_settings_of_a_broker_are_told(subject: &Subject) {
    let admin = subject.admin();
    let id = admin.inner().fetch_metadata(None, LIMIT).unwrap().brokers()[0].id();
    let resources = [ResourceSpecifier::Broker(id)];
    let told = admin.describe_configs(&resources, &Subject::options()).await.unwrap().remove(0);
    assert!(!told.unwrap().entries.is_empty());
}

async fn settings_are_changed(subject: &Subject) {
    let topic = subject.topic("changed", 1).await;
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic))
        .set("retention.ms", "777000")
        .set("max.message.bytes", "2000000");
    let changed = subject.admin().alter_configs([&change], &Subject::options()).await;
    changed.unwrap().remove(0).unwrap();
    storefront_testkit::eventually(LIMIT, "the new settings", async || {
        setting(subject, &topic, "retention.ms").await.as_deref() == Some("777000")
            && setting(subject, &topic, "max.message.bytes").await.as_deref() == Some("2000000")
    })
    .await;
}

async fn a_deleted_topic_is_gone_and_its_name_is_free(subject: &Subject) {
    let topic = subject.topic("again", 2).await;
    let producer = subject.producer(&[]);
    for partition in [0, 1, 0, 1] {
        subject.send(&producer, &topic, partition, "old", b"v").await.unwrap();
    }
    let deleted = subject.admin().delete_topics(&[&topic], &Subject::options()).await;
    deleted.unwrap().remove(0).unwrap();
    subject.eventually("no such topic", || subject.partitions(&topic) == 0);
    storefront_testkit::eventually(LIMIT, "its name is free", async || {
        subject.try_create(&topic, 3, &[]).await.is_ok()
    })
    .await;
    subject.eventually("three partitions", || subject.partitions(&topic) == 3);
    // A new client: the old one would go on with what it knew of the old topic.
    subject.send(&subject.producer(&[]), &topic, 0, "new", b"v").await.unwrap();
    let seen = subject.read_all(&topic, "read_committed");
    assert_eq!(seen.iter().map(|seen| seen.key.as_str()).collect::<Vec<_>>(), ["new"]);
}

async fn records_are_deleted_up_to_an_offset(subject: &Subject) {
    let topic = subject.topic("cut", 1).await;
    let producer = subject.producer(&[]);
    for _ in 0..10 {
        subject.send(&producer, &topic, 0, "k", b"v").await.unwrap();
    }
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&topic, 0, Offset::Offset(4)).unwrap();
    let deleted = subject.admin().delete_records(&before, &Subject::options()).await.unwrap();
    deleted.elements()[0].error().unwrap();
    let reader = subject.reader(&topic, &[]);
    assert_eq!(reader.fetch_watermarks(&topic, 0, LIMIT), Ok((4, 10)));
}

/// A misspelt topic is an error on both.
async fn a_topic_that_nobody_made_is_not_made_by_a_record(subject: &Subject) {
    let topic = subject.name("order-succesful");
    let producer = subject.producer(&[("message.timeout.ms", "5000")]);
    let error = subject.send(&producer, &topic, 0, "k", b"v").await.unwrap_err();
    let unknown = [
        RDKafkaErrorCode::UnknownTopic,
        RDKafkaErrorCode::UnknownTopicOrPartition,
        RDKafkaErrorCode::UnknownPartition,
        RDKafkaErrorCode::MessageTimedOut,
    ];
    assert!(unknown.contains(&error.rdkafka_error_code().unwrap()), "{error}");
    assert_eq!(subject.partitions(&topic), 0);
}
