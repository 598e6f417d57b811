//! One librdkafka producer and the thread that serves its reports. Sends what it is given, in order,
//! and tells what became of each message; decides nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext,
    config::{FromClientConfigAndContext as _, RDKafkaLogLevel},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{
        BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
    },
};
use tokio::sync::mpsc;

use crate::{kafka, store::outbox::Stored};

/// How long the thread waits for reports before it looks whether to stop.
const SERVE_BUSY: Duration = Duration::from_millis(100);
/// Without messages on their way no report can come: the thread sleeps until there is one, and only now
/// and then serves what else librdkafka has to tell. (rdkafka's own wait spins through the last
/// millisecond of each interval, so that an idle relay would be felt.)
const SERVE_IDLE: Duration = Duration::from_secs(10);
/// Most of that at once: more than can come in between, errors of brokers that are away.
const OTHERS_MAX: u32 = 50;

/// What became of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    pub id: i64,
    pub result: Result<(), RDKafkaErrorCode>,
}

/// A producer; dropping it gives up all that is on its way.
pub(super) struct Producer {
    client: Arc<BaseProducer<Reports>>,
    stopping: Arc<AtomicBool>,
    /// Woken when there is something to wait for.
    server: Thread,
}

impl Producer {
    /// Reports arrive in the receiver; there are at most as many as messages were sent.
    pub(super) fn start(
        config: &ClientConfig,
    ) -> KafkaResult<(Self, mpsc::UnboundedReceiver<Report>)> {
        let (reports, receiver) = mpsc::unbounded_channel();
        let client = Arc::new(BaseProducer::from_config_and_context(config, Reports { reports })?);
        let stopping = Arc::new(AtomicBool::new(false));
        let (served, stop) = (Arc::clone(&client), Arc::clone(&stopping));
        let serve = move || {
            while !stop.load(Ordering::Relaxed) {
                if served.in_flight_count() == 0 {
                    thread::park_timeout(SERVE_IDLE);
                    (0..OTHERS_MAX).for_each(|_| served.poll(Duration::ZERO));
                } else {
                    served.poll(SERVE_BUSY);
                }
            }
            // Dropping the last reference waits for librdkafka's threads: here, where nobody else waits
            // for it.
        };
        let server = thread::Builder::new()
            .name("outbox-producer".into())
            .spawn(serve)
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?
            .thread()
            .clone();
        Ok((Self { client, stopping, server }, receiver))
    }

    /// Queues a message; never waits. A report follows only after `Ok`.
    pub(super) fn send(&self, stored: &Stored) -> Result<(), RDKafkaErrorCode> {
        let Stored { id, message } = stored;
        let opaque = usize::try_from(*id).map_err(|_| RDKafkaErrorCode::InvalidArgument)?;
        let headers = message.headers.iter().fold(
            OwnedHeaders::new_with_capacity(message.headers.len()),
            |headers, (name, value)| headers.insert(Header { key: name, value: value.as_ref() }),
        );
        let mut record = BaseRecord::with_opaque_to(&message.topic, opaque).headers(headers);
        if let Some(partition) = message.partition {
            record = record.partition(partition);
        }
        if let Some(key) = &message.key {
            record = record.key(key);
        }
        if let Some(payload) = &message.payload {
            record = record.payload(payload);
        }
        self.client
            .send::<Vec<u8>, Vec<u8>>(record)
            .map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))?;
        self.server.unpark();
        Ok(())
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // At once, and not when the thread looks next: whoever comes after us starts again with these.
        self.client.purge(PurgeConfig::default().queue().inflight());
        self.server.unpark();
    }
}

/// Passes delivery reports on. Runs on the serving thread.
struct Reports {
    reports: mpsc::UnboundedSender<Report>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        kafka::log_error(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        if let Ok(id) = i64::try_from(opaque) {
            // Nobody listens any more when the relay has started again without us.
            self.reports.send(Report { id, result }).ok();
        }
    }
}
