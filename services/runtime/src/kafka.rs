//! Settings of librdkafka clients, with its defaults that lose or disorder messages overridden. Makes
//! configurations; sends and reads nothing.

use std::path::Path;

use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError};
use storefront_contract::{
    Cause,
    settings::{KafkaSecurity, KafkaSettings},
};

use crate::secret::{SecretError, SecretFile};

/// Most memory that records may take that were fetched and not yet polled, in KiB.
const FETCHED_MAX_KIB: &str = "16384";
/// Largest answer to one fetch, in bytes.
const FETCH_MAX_BYTES: &str = "8388608";
/// Largest message of ours, in bytes: a dead letter is larger than its original by its headers, and
/// topics for dead letters have room for that. Each topic's own limit is the broker's to enforce.
const MESSAGE_MAX_BYTES: &str = "4194304";
/// Below a topic's usual limit of 1 MiB, which the broker applies to batches, not to messages.
const BATCH_MAX_BYTES: &str = "524288";

/// How a consumer's configuration is made; again for each new client, as credentials may change.
pub(crate) fn consumer(settings: &KafkaSettings, group: &str) -> Result<ClientConfig, SecretError> {
    let mut config = client(settings)?;
    for (name, value) in [
        ("group.id", group),
        // The database has the offset. This is for partitions it knows nothing of, and for offsets
        // that are out of range: the default, `latest`, skips what nobody has read.
        ("auto.offset.reset", "earliest"),
        // Offsets are copied to Kafka after the database's commit, never before.
        ("enable.auto.offset.store", "false"),
        ("enable.auto.commit", "true"),
        ("auto.commit.interval.ms", "1000"),
        // Only partitions that change hands stop.
        ("partition.assignment.strategy", "cooperative-sticky"),
        // Longer than a group is without its coordinator when that broker is lost: brokers miss it after 9 s, and
        // our last heartbeat may be 2 s old. A member that gives itself up meanwhile joins as a new one, and waits for
        // its own old session to end. For as long nobody reads what a member had that was killed.
        ("session.timeout.ms", "20000"),
        ("heartbeat.interval.ms", "2000"),
        ("max.poll.interval.ms", "300000"),
        ("queued.max.messages.kbytes", FETCHED_MAX_KIB),
        ("queued.min.messages", "2000"),
        ("fetch.max.bytes", FETCH_MAX_BYTES),
        ("fetch.message.max.bytes", "1048576"),
        ("fetch.error.backoff.ms", "100"),
        ("fetch.queue.backoff.ms", "100"),
        // An idle consumer asks once a second; a broker with something to give answers at once.
        ("fetch.wait.max.ms", "1000"),
        // A topic that is made after us is found within this time.
        ("topic.metadata.refresh.interval.ms", "10000"),
        ("statistics.interval.ms", "10000"),
    ] {
        config.set(name, value);
    }
    Ok(config)
}

/// How a producer's configuration is made. A `precise` one puts each message into a request of its
/// own, so that a refusal tells which message is refused.
pub(crate) fn producer(
    settings: &KafkaSettings,
    precise: bool,
) -> Result<ClientConfig, SecretError> {
    let mut config = client(settings)?;
    for (name, value) in [
        ("acks", "all"),
        ("enable.idempotence", "true"),
        // A message that is refused stops the producer, so that nothing after it overtakes it. The
        // relay then starts again at the oldest row.
        ("enable.gapless.guarantee", "true"),
        // One request at a time to each broker. A partition that knows nothing of a producer, as a new one, takes any
        // sequence for its first; so when the first request is refused there and one that follows is taken,
        // librdkafka takes the first one's messages for sent (`rd_kafka_dr_implicit_ack`), and they are lost:
        // <https://github.com/confluentinc/confluent-kafka-go/issues/921>.
        ("max.in.flight", "1"),
        // The outbox is the queue that waits: a message in the producer waits for as long as it takes.
        ("message.timeout.ms", "0"),
        ("topic.metadata.propagation.max.ms", "5000"),
        // As the consumer: a leader that nobody told of is found within this time, and not after five minutes.
        ("topic.metadata.refresh.interval.ms", "10000"),
        // The same partition for a key as the Java client chooses.
        ("partitioner", "murmur2_random"),
        ("linger.ms", "1"),
        ("batch.size", BATCH_MAX_BYTES),
        ("batch.num.messages", if precise { "1" } else { "10000" }),
        ("message.max.bytes", MESSAGE_MAX_BYTES),
        ("queue.buffering.max.messages", "10000"),
        ("queue.buffering.max.kbytes", "65536"),
        // Any client in any language can read it: kafkajs brings no codec but gzip.
        ("compression.type", "none"),
    ] {
        config.set(name, value);
    }
    Ok(config)
}

/// What every client needs to reach the brokers.
pub(crate) fn client(settings: &KafkaSettings) -> Result<ClientConfig, SecretError> {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Warning);
    for (name, value) in [
        ("bootstrap.servers", settings.brokers.join(",").as_str()),
        ("client.id", "storefront"),
        ("allow.auto.create.topics", "false"),
        ("socket.keepalive.enable", "true"),
        ("socket.nagle.disable", "true"),
        // KIP-714: a request every few minutes for nobody.
        ("enable.metrics.push", "false"),
        ("reconnect.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "2000"),
        ("log.connection.close", "false"),
    ] {
        config.set(name, value);
    }
    security(&mut config, &settings.security)?;
    Ok(config)
}

fn security(config: &mut ClientConfig, security: &KafkaSecurity) -> Result<(), SecretError> {
    config.set("security.protocol", security.protocol());
    match &security.ca_file {
        Some(path) => {
            config.set("ssl.ca.location", path.to_string_lossy());
        }
        // Where systems keep the usual authorities: OpenSSL, which is linked in, looks elsewhere.
        None if security.tls => {
            config.set("ssl.ca.location", "probe");
        }
        None => {}
    }
    if let Some(sasl) = &security.sasl {
        let read = |path: &Path| SecretFile::new(path).read();
        config.set("sasl.mechanism", sasl.mechanism.name());
        config.set("sasl.username", read(&sasl.username_file)?.expose());
        config.set("sasl.password", read(&sasl.password_file)?.expose());
    }
    Ok(())
}

/// What librdkafka logs. Its threads call this.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // Said of each producer, at each start, about a setting that is meant.
        _ if message.contains("enable.gapless.guarantee is experimental") => {}
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => {
            if let Some(cause) = Cause::of(message).filter(|cause| cause.lasts()) {
                let (what, settings) = (cause.words(), settings(cause));
                tracing::warn!(
                    target: "storefront_runtime::kafka", facility,
                    "the brokers cannot be used: {what}; check {settings}: {message}"
                );
            } else {
                tracing::warn!(target: "storefront_runtime::kafka", facility, "{message}");
            }
        }
        _ => tracing::debug!(target: "storefront_runtime::kafka", facility, "{message}"),
    }
}

/// Settings to look after.
fn settings(cause: Cause) -> &'static str {
    match cause {
        Cause::Password => {
            "KAFKA_SASL_MECHANISM, and what is in KAFKA_SASL_USERNAME_FILE and KAFKA_SASL_PASSWORD_FILE"
        }
        Cause::Certificate => "KAFKA_CA_FILE, and the names in KAFKA_BROKERS",
        Cause::ClientCertificate | Cause::NeedlessTls | Cause::HangUp => {
            "KAFKA_TLS, and the ports in KAFKA_BROKERS"
        }
    }
}

/// An error that belongs to no record. librdkafka goes on by itself; whoever depends on the brokers
/// says in its own words what it cannot do.
pub(crate) fn log_error(error: &KafkaError, reason: &str) {
    tracing::debug!(target: "storefront_runtime::kafka", %error, "{reason}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::{
        consumer::{BaseConsumer, Consumer as _},
        mocking::MockCluster,
        producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// A broker that refuses the first request for a partition and takes the second, as one may that has just
    /// become its leader.
    #[test]
    fn what_a_new_partition_refused_at_first_is_sent_again() {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic("payment-successful", 1, 1).unwrap();
        // Long enough that a second request would be under way before the first is answered.
        brokers.broker_round_trip_time(-1, Duration::from_millis(50)).unwrap();
        let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION];
        brokers.request_errors(RDKafkaApiKey::Produce, &refused);
        let settings = KafkaSettings {
            brokers: vec![brokers.bootstrap_servers()],
            prefix: String::new(),
            security: KafkaSecurity::default(),
        };
        let producer: ThreadedProducer<DefaultProducerContext> =
            producer(&settings, true).unwrap().create().unwrap();
        for number in 0..10 {
            let value = number.to_string();
            producer.send(BaseRecord::<(), str>::to("payment-successful").payload(&value)).unwrap();
        }
        producer.flush(LIMIT).unwrap();
        let reader: BaseConsumer = client(&settings).unwrap().create().unwrap();
        assert_eq!(reader.fetch_watermarks("payment-successful", 0, LIMIT), Ok((0, 10)));
    }

    #[test]
    fn librdkafka_knows_every_setting() {
        let settings = KafkaSettings {
            brokers: vec!["localhost:1".into()],
            prefix: String::new(),
            security: KafkaSecurity::default(),
        };
        let consumer = consumer(&settings, "group").unwrap();
        assert!(consumer.create_native_config().is_ok());
        for precise in [false, true] {
            assert!(producer(&settings, precise).unwrap().create_native_config().is_ok());
        }
        // The combination is only checked when a client is made.
        let made: Result<rdkafka::producer::BaseProducer, _> =
            producer(&settings, false).unwrap().create();
        assert!(made.is_ok());
    }
}
