//! Transactions, which users' own programs may use: what is not committed is not seen.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer as _,
    producer::{FutureProducer, Producer as _},
};

use crate::subject::{LIMIT, Seen, Subject, on_both};

on_both! {
    what_is_aborted_is_not_seen
    what_is_open_holds_back_what_follows
    offsets_are_committed_with_their_transaction
    a_producer_that_was_replaced_is_refused
}

fn transactional(subject: &Subject, id: &str) -> FutureProducer {
    let id = subject.name(id);
    let timeout = ("transaction.timeout.ms", "30000"); // not below that of a message
    let producer = subject.producer(&[("transactional.id", id.as_str()), timeout]);
    producer.init_transactions(LIMIT).unwrap();
    producer
}

fn keys(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| seen.key.as_str()).collect()
}

async fn what_is_aborted_is_not_seen(subject: &Subject) {
    let topic = subject.topic("aborted", 2).await;
    let producer = transactional(subject, "aborting");
    for round in 0..6 {
        producer.begin_transaction().unwrap();
        let key = if round % 2 == 0 { "committed" } else { "aborted" };
        for partition in [0, 1, 0, 1, 0] {
            subject.send(&producer, &topic, partition, key, b"v").await.unwrap();
        }
        if round % 2 == 0 {
            producer.commit_transaction(LIMIT).unwrap();
        } else {
            producer.abort_transaction(LIMIT).unwrap();
        }
    }
    assert_eq!(keys(&subject.read_all(&topic, "read_committed")), ["committed"; 15]);
    assert_eq!(subject.read_all(&topic, "read_uncommitted").len(), 30);
}

/// The last stable offset.
async fn what_is_open_holds_back_what_follows(subject: &Subject) {
    let topic = subject.topic("open", 1).await;
    let (plain, producer) = (subject.producer(&[]), transactional(subject, "opening"));
    subject.send(&plain, &topic, 0, "before", b"v").await.unwrap();
    producer.begin_transaction().unwrap();
    subject.send(&producer, &topic, 0, "open", b"v").await.unwrap();
    subject.send(&plain, &topic, 0, "after", b"v").await.unwrap();
    let reader = subject.reader(&topic, &[("isolation.level", "read_committed")]);
    assert_eq!(keys(&Subject::take(&reader, 1)), ["before"]);
    assert!(Subject::is_dry(&reader), "what follows is held back");
    producer.commit_transaction(LIMIT).unwrap();
    assert_eq!(keys(&Subject::take(&reader, 2)), ["open", "after"]);
}

async fn offsets_are_committed_with_their_transaction(subject: &Subject) {
    let (source, target) = (subject.topic("source", 1).await, subject.topic("target", 1).await);
    let plain = subject.producer(&[]);
    subject.spread(&plain, &source, 1, 20).await;
    let group = subject.name("copies");
    let consumer = subject.consumer(&group, &[("session.timeout.ms", "6000")]);
    consumer.subscribe(&[&source]).unwrap();
    let producer = transactional(subject, "copying");
    let at = |offset| {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&source, 0, offset).unwrap();
        place
    };
    for (key, until) in [("committed", 10), ("aborted", 20)] {
        let taken = Subject::take(&consumer, 10);
        assert_eq!(taken.len(), 10);
        producer.begin_transaction().unwrap();
        for _ in &taken {
            subject.send(&producer, &target, 0, key, b"v").await.unwrap();
        }
        let member = consumer.group_metadata().unwrap();
        let offsets = at(Offset::Offset(until));
        producer.send_offsets_to_transaction(&offsets, &member, LIMIT).unwrap();
        if key == "committed" {
            producer.commit_transaction(LIMIT).unwrap();
        } else {
            producer.abort_transaction(LIMIT).unwrap();
        }
        let committed = consumer.committed_offsets(at(Offset::Invalid), LIMIT).unwrap();
        assert_eq!(committed.elements()[0].offset(), Offset::Offset(10), "after {key}");
    }
    assert_eq!(keys(&subject.read_all(&target, "read_committed")), ["committed"; 10]);
}

async fn a_producer_that_was_replaced_is_refused(subject: &Subject) {
    let topic = subject.topic("fenced", 1).await;
    let old = transactional(subject, "fenced");
    old.begin_transaction().unwrap();
    subject.send(&old, &topic, 0, "old", b"v").await.unwrap();
    let new = transactional(subject, "fenced");
    new.begin_transaction().unwrap();
    subject.send(&new, &topic, 0, "new", b"v").await.unwrap();
    new.commit_transaction(LIMIT).unwrap();
    assert!(old.commit_transaction(Duration::from_secs(10)).is_err());
    assert_eq!(keys(&subject.read_all(&topic, "read_committed")), ["new"]);
}
