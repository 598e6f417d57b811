//! Records: what comes back is what was sent, once, in order, and soon.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    message::{Header, Headers as _, OwnedHeaders},
    producer::FutureRecord,
};

use crate::subject::{LIMIT, Subject, on_both};

on_both! {
    a_record_comes_back_whole
    every_compression_is_read
    an_idempotent_producer_writes_each_record_once
    large_records_are_taken
    ends_times_and_committed_offsets_are_told
    a_waiting_consumer_hears_of_a_record_at_once
}

/// Headers (also two of one name, without a value, of any bytes), key, time, no value.
async fn a_record_comes_back_whole(subject: &Subject) {
    let topic = subject.topic("whole", 1).await;
    let headers = OwnedHeaders::new()
        .insert(Header { key: "a", value: Some("1") })
        .insert(Header { key: "a", value: Some("2") })
        .insert(Header::<&str> { key: "none", value: None })
        .insert(Header { key: "bytes", value: Some(&[0_u8, 255, 1][..]) });
    let producer = subject.producer(&[]);
    let record = FutureRecord::to(&topic).key("key").payload("value").headers(headers.clone());
    producer.send(record.timestamp(1_700_000_000_123), LIMIT).await.unwrap();
    let nothing = FutureRecord::<str, str>::to(&topic).key("tombstone");
    producer.send(nothing, LIMIT).await.unwrap();

    let reader = subject.reader(&topic, &[]);
    let first = reader.poll(LIMIT).unwrap().unwrap();
    let read: Vec<_> = first.headers().unwrap().iter().collect();
    assert_eq!(read, headers.iter().collect::<Vec<_>>());
    assert_eq!((first.key(), first.payload()), (Some(&b"key"[..]), Some(&b"value"[..])));
    assert_eq!(first.timestamp().to_millis(), Some(1_700_000_000_123));
    let second = reader.poll(LIMIT).unwrap().unwrap();
    assert_eq!((second.key(), second.payload()), (Some(&b"tombstone"[..]), None));
}

async fn every_compression_is_read(subject: &Subject) {
    let topic = subject.topic("compressed", 1).await;
    let value = vec![b'x'; 2_000];
    for kind in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = subject.producer(&[("compression.type", kind), ("linger.ms", "20")]);
        let sent = (0..50).map(|_| subject.send(&producer, &topic, 0, kind, &value));
        try_join_all(sent).await.unwrap();
    }
    let seen = subject.read_all(&topic, "read_committed");
    assert_eq!(seen.len(), 250);
    assert!(seen.iter().all(|seen| seen.value == value));
}

/// Five requests in flight, every record once, without a gap.
async fn an_idempotent_producer_writes_each_record_once(subject: &Subject) {
    let topic = subject.topic("once", 3).await;
    let small = [("batch.num.messages", "20"), ("linger.ms", "1"), ("acks", "all")];
    let producer = subject.producer(&small);
    let keys: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
    let sent = keys.iter().enumerate();
    let sent = sent.map(|(number, key)| {
        let partition = i32::try_from(number % 3).unwrap();
        subject.send(&producer, &topic, partition, key, b"v")
    });
    try_join_all(sent).await.unwrap();
    let seen = subject.read_all(&topic, "read_committed");
    assert_eq!(seen.len(), keys.len());
    assert_eq!(seen.iter().map(|seen| &seen.key).collect::<BTreeSet<_>>().len(), keys.len());
    for partition in 0..3 {
        let of_it = seen.iter().filter(|seen| seen.partition == partition);
        for (place, seen) in of_it.enumerate() {
            assert_eq!(seen.offset, i64::try_from(place).unwrap(), "partition {partition}");
        }
    }
}

/// Just below the usual limit of a megabyte.
async fn large_records_are_taken(subject: &Subject) {
    let topic = subject.topic("large", 1).await;
    let (producer, value) = (subject.producer(&[]), vec![7; 950_000]);
    for key in ["1", "2", "3", "4", "5"] {
        subject.send(&producer, &topic, 0, key, &value).await.unwrap();
    }
    let seen = subject.read_all(&topic, "read_committed");
    assert_eq!(seen.iter().map(|seen| seen.value.len()).collect::<Vec<_>>(), [950_000; 5]);
}

async fn ends_times_and_committed_offsets_are_told(subject: &Subject) {
    const FIRST: i64 = 1_700_000_000_000;
    let topic = subject.topic("times", 1).await;
    let producer = subject.producer(&[]);
    for second in 0..10 {
        let record = FutureRecord::to(&topic).key("k").payload("v").partition(0);
        producer.send(record.timestamp(FIRST + second * 1_000), LIMIT).await.unwrap();
    }
    let consumer = subject.consumer(&subject.name("times-group"), &[]);
    assert_eq!(consumer.fetch_watermarks(&topic, 0, LIMIT), Ok((0, 10)));
    let at = |offset| {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&topic, 0, offset).unwrap();
        place
    };
    let first_since = consumer.offsets_for_times(at(Offset::Offset(FIRST + 3_990)), LIMIT).unwrap();
    assert_eq!(first_since.elements()[0].offset(), Offset::Offset(4));
    consumer.commit(&at(Offset::Offset(7)), CommitMode::Sync).unwrap();
    let committed = consumer.committed_offsets(at(Offset::Invalid), LIMIT).unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(7));
}

/// A fetch that waits is answered by the record, not by the end of its time.
async fn a_waiting_consumer_hears_of_a_record_at_once(subject: &Subject) {
    let topic = subject.topic("soon", 1).await;
    let producer = subject.producer(&[("linger.ms", "0")]);
    let reader = subject.reader(&topic, &[("fetch.wait.max.ms", "10000")]);
    let mut took = Vec::new();
    for _ in 0..21 {
        let began = Instant::now();
        subject.send(&producer, &topic, 0, "k", b"v").await.unwrap();
        reader.poll(LIMIT).unwrap().unwrap();
        took.push(began.elapsed());
    }
    took.sort();
    assert!(took[10] < Duration::from_secs(2), "half of them took {:?}", took[10]);
}
