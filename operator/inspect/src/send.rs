//! The two things that change something on brokers: a dead letter sent back to where it came from, and
//! records removed from the front of a partition.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    config::{FromClientConfig, FromClientConfigAndContext},
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};
use serde::Serialize;
use storefront_contract::{headers as names, replay::replay};

use crate::{DeadLetter, InspectError, Session, connection::LIMIT, session::Key};

/// As the relay's: room for what a dead-letter topic takes.
const MESSAGE_MAX_BYTES: &str = "4194304";

/// Longest name of whoever sends something back, in characters.
const BY_MAX_CHARS: usize = 100;

/// librdkafka's binding waits so long even when something has come.
const POLL: Duration = Duration::from_millis(1);

/// Where a letter stands again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// What is left of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    pub topic: String,
    pub partition: i32,
    /// Oldest offset that can still be read.
    pub start: i64,
}

/// Keeps what became of the record that is under way.
#[derive(Default)]
struct Delivery(Mutex<Option<Result<(i32, i64), KafkaError>>>);

impl ClientContext for Delivery {
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let outcome = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

impl Session {
    /// Sends letters back, each to its source topic and partition and for its group alone, in their
    /// order and not faster than `per_second`. Each says when it was sent, and that `by` did it. `each` hears
    /// of every one; the first failure ends it.
    pub fn send_back(
        &self,
        letters: &[&DeadLetter],
        by: &str,
        per_second: Option<u32>,
        mut each: impl FnMut(&DeadLetter, &Sent),
    ) -> Result<(), InspectError> {
        let mut config = self.connection.config();
        for (key, value) in [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.max.bytes", MESSAGE_MAX_BYTES),
            ("message.timeout.ms", "10000"),
            ("linger.ms", "0"),
        ] {
            config.set(key, value);
        }
        let producer: BaseProducer<Delivery> =
            BaseProducer::from_config_and_context(&config, Delivery::default())
                .map_err(crate::ConnectionError::Client)?;
        let pause = per_second.map(|rate| Duration::from_secs(1) / rate.max(1));
        let mut next = Instant::now();
        for letter in letters {
            if let Some(pause) = pause {
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                next = Instant::now() + pause;
            }
            let sent = send_one(&producer, letter, by)?;
            each(letter, &sent);
        }
        Ok(())
    }

    /// Removes every record before an offset, in each of these partitions. It cannot be undone.
    pub async fn remove(&self, before: &BTreeMap<Key, i64>) -> Result<Vec<Removed>, InspectError> {
        let topics = before.keys().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>().join(", ");
        let failed = |source| InspectError::Remove { topic: topics.clone(), source };
        let config = self.connection.config();
        let admin: AdminClient<DefaultClientContext> =
            AdminClient::from_config(&config).map_err(failed)?;
        let mut list = TopicPartitionList::with_capacity(before.len());
        for ((topic, partition), offset) in before {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .map_err(failed)?;
        }
        let options =
            AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT));
        let results = admin.delete_records(&list, &options).await.map_err(failed)?;
        let mut removed = Vec::new();
        for element in results.elements() {
            let topic = element.topic().to_owned();
            element
                .error()
                .map_err(|source| InspectError::Remove { topic: topic.clone(), source })?;
            let start = match element.offset() {
                Offset::Offset(start) => start,
                _ => 0,
            };
            removed.push(Removed { topic, partition: element.partition(), start });
        }
        Ok(removed)
    }
}

/// What became of the record that is under way. Not by `flush`, which takes a tenth of a second for
/// each record.
fn delivered(producer: &BaseProducer<Delivery>) -> Option<Result<(i32, i64), KafkaError>> {
    let deadline = Instant::now() + LIMIT;
    loop {
        producer.poll(POLL);
        let outcome = producer.context().0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if outcome.is_some() || Instant::now() >= deadline {
            return outcome;
        }
    }
}

fn send_one(
    producer: &BaseProducer<Delivery>,
    letter: &DeadLetter,
    by: &str,
) -> Result<Sent, InspectError> {
    let record = &letter.record;
    let back = replay(&record.headers, &letter.group, &record.place())
        .map_err(|source| InspectError::NotALetter { place: record.place(), source })?;
    let failed = |source| InspectError::Send { topic: back.topic.clone(), source };
    let headers = back.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: value.as_deref() })
    });
    let by: String = crate::record::tame(by).chars().take(BY_MAX_CHARS).collect();
    let at = Timestamp::now().to_string();
    let headers = [(names::REPLAY_BY, &by), (names::REPLAY_AT, &at)]
        .into_iter()
        .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
    let mut sending: BaseRecord<'_, [u8], [u8]> =
        BaseRecord::to(&back.topic).partition(back.partition).headers(headers);
    if let Some(key) = &record.key {
        sending = sending.key(key.as_slice());
    }
    if let Some(value) = &record.value {
        sending = sending.payload(value.as_slice());
    }
    producer.send(sending).map_err(|(source, _)| failed(source))?;
    let outcome = delivered(producer).unwrap_or(Err(KafkaError::Canceled));
    let (partition, offset) = outcome.map_err(failed)?;
    Ok(Sent { topic: back.topic, partition, offset })
}
