//! From Kafka to a handler: each event's effects in the database exactly once. See [`consume`].
//!
//! `thread` polls and `process` brings a batch to its end; `engine` is the one transaction and `settle`
//! its end; `context` is what librdkafka calls and `steer` what it is told; `assignment`, `decode`, `outcome`, `watchdog` and `dead` decide and are pure;
//! `runner` tries parked events again.

mod assignment;
mod batch;
mod context;
pub(crate) mod dead;
pub(crate) mod decode;
mod engine;
mod gap;
mod outcome;
mod policy;
mod process;
mod prune;
mod runner;
mod settle;
mod statistics;
mod steer;
mod thread;
mod watchdog;

use std::{sync::Arc, time::Duration};

use rdkafka::error::KafkaError;
use storefront_contract::{ServiceId, service as catalog, settings::KafkaSettings};
use tokio::sync::{Notify, oneshot};
use tracing::Instrument as _;

pub use self::policy::{ConsumerOptions, ParkingPolicy};
use self::{engine::Engine, gap::Gaps, thread::Consumer};
use crate::{
    Outbox, RelayError, STOP_LIMIT, Service, Shutdown,
    db::Database,
    handler::{Handler, Sender},
    secret::SecretError,
};

/// How long the thread may take to end: a batch to its commit, and leaving the group.
const THREAD_LIMIT: Duration = Duration::from_secs(15);

/// Why a consumer cannot work. Brokers and databases that are away are no reason: it waits for them.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    #[error("the service {0} has no consumer group in the catalog")]
    NoGroup(ServiceId),
    #[error("the Kafka client refuses its settings")]
    Client(#[source] KafkaError),
    #[error("the Kafka credentials cannot be read")]
    Secret(#[from] SecretError),
    #[error("the outbox cannot be sent")]
    Relay(#[from] RelayError),
    #[error("the consumer's thread could not be started")]
    Thread(#[source] std::io::Error),
    #[error("the consumer's thread has ended without a word")]
    Vanished,
}

impl ConsumeError {
    /// A fixed word for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoGroup(_) => "no-group",
            Self::Client(_) => "kafka-settings",
            Self::Secret(error) => error.reason(),
            Self::Relay(error) => error.reason(),
            Self::Thread(_) | Self::Vanished => "thread",
        }
    }
}

/// Registers what every consumer counts, for a document of it.
pub fn register_metrics(metrics: &crate::Metrics) {
    metrics.events();
    gap::Gaps::new(metrics);
}

/// Runs a service's consumer, its parked events and its outbox's relay until the service stops.
///
/// Each event's effects are in the database exactly once, whatever is killed, restarted, rebalanced or
/// restored in between; what the handler sends goes out at least once under the same id, so that the
/// next consumer's inbox makes it once again. A broker or database that is away is waited for.
pub async fn consume<H: Handler>(
    service: &Service,
    kafka: &KafkaSettings,
    database: &Database,
    handler: H,
) -> Result<(), ConsumeError> {
    consume_with(service, kafka, database, handler, ConsumerOptions::default()).await
}

/// [`consume`] with other options than the defaults.
pub async fn consume_with<H: Handler>(
    service: &Service,
    kafka: &KafkaSettings,
    database: &Database,
    handler: H,
    options: ConsumerOptions,
) -> Result<(), ConsumeError> {
    let span = service.span();
    // Boxed: it is large, and its caller holds it for as long as it lives.
    Box::pin(run(service, kafka, database, handler, options)).instrument(span).await
}

async fn run<H: Handler>(
    service: &Service,
    kafka: &KafkaSettings,
    database: &Database,
    handler: H,
    options: ConsumerOptions,
) -> Result<(), ConsumeError> {
    let names = kafka.names();
    let group = names.group(service.id).ok_or(ConsumeError::NoGroup(service.id))?;
    let topics = match options.topics.as_slice() {
        [] => catalog(service.id).consumes,
        some => some,
    };
    let topics = topics.iter().map(|topic| names.topic(*topic)).collect();
    // Our own stop: the service's, or that of a part that cannot go on.
    let stop = service.shutdown.child_token();
    let engine = Arc::new(Engine {
        handler,
        service: service.clone(),
        database: database.clone(),
        group,
        sender: Sender::new(&service.shop, service.id, names),
        options,
        parked: Arc::new(Notify::new()),
    });
    // Names of their own: the relay says "database", and each would take the other's word back.
    let (health, parked) =
        (service.health.dependency("consumer"), service.health.dependency("parked"));
    health.up();
    parked.up();
    let consumer = Consumer {
        engine: Arc::clone(&engine),
        settings: kafka.clone(),
        topics,
        runtime: tokio::runtime::Handle::current(),
        shutdown: stop.clone(),
        health,
        kafka: service.health.dependency("kafka"),
        gaps: Gaps::new(&service.metrics),
    };
    let ended = start(consumer)?;
    // The relay outlives the others, to send what their last transactions have stored.
    let last = Shutdown::new();
    let outbox = Outbox::new(service, kafka, database);
    let consuming = async {
        let result = supervise(ended, &stop).await;
        stop.cancel();
        result
    };
    let parked = Arc::clone(&engine).run_parked(parked, stop.clone());
    let pruning = engine.prune_inbox(stop.clone());
    let inner = async {
        let (result, (), ()) = tokio::join!(consuming, parked, pruning);
        last.cancel();
        result
    };
    let relay = async {
        let result = outbox.relay_until(&last).await;
        stop.cancel();
        result
    };
    let (consumed, relayed) = tokio::join!(inner, relay);
    consumed?;
    Ok(relayed?)
}

/// Runs the consumer on a thread of its own: librdkafka's calls block.
fn start<H: Handler>(
    consumer: Consumer<H>,
) -> Result<oneshot::Receiver<Result<(), ConsumeError>>, ConsumeError> {
    let (tell, ended) = oneshot::channel();
    let span = tracing::Span::current();
    let work = move || {
        let _entered = span.enter();
        let result = consumer.run();
        tell.send(result).ok();
    };
    std::thread::Builder::new()
        .name("kafka-consumer".to_owned())
        .spawn(work)
        .map_err(ConsumeError::Thread)?;
    Ok(ended)
}

/// Waits for the thread to end; once it should, not for ever.
async fn supervise(
    mut ended: oneshot::Receiver<Result<(), ConsumeError>>,
    stop: &Shutdown,
) -> Result<(), ConsumeError> {
    let result = tokio::select! {
        result = &mut ended => result,
        () = stop.cancelled() => {
            let limit = THREAD_LIMIT.min(STOP_LIMIT);
            let Ok(result) = tokio::time::timeout(limit, ended).await else {
                // Harmless: whatever it holds is not committed and will be read again.
                tracing::warn!("the consumer did not end in time and is left behind");
                return Ok(());
            };
            result
        }
    };
    result.map_err(|_| ConsumeError::Vanished)?
}
