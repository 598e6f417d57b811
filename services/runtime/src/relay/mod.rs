//! From the outbox to Kafka: the only way out of a service. Rows are inserted by whoever has something
//! to say, in the transaction that makes it true; one relay per database sends them.

mod producer;
mod refusal;
mod run;
mod send;
mod window;

use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use storefront_contract::{Event, ServiceId, headers as names, settings::KafkaSettings};
use tracing::Instrument as _;

use self::{
    run::{CHANNEL, End, Relay},
    window::Window,
};
use crate::{
    Service, Shutdown, TraceContext,
    backoff::Backoff,
    consumer::dead::DeadLetter,
    db::{Database, DatabaseError, Dialect, Lease, Tx},
    handler::{Record, Sender},
    metrics::ReasonLabels,
    secret::SecretError,
    store::{
        headers,
        inbox::{self, Identity},
        outbox,
    },
    text::chain,
    trace,
};

/// How long a relay that died keeps the others from going on. On SQLite there are no others, and a
/// renewal is a write to somebody's disk.
const LEASE: Duration = Duration::from_secs(10);
const LEASE_SQLITE: Duration = Duration::from_secs(60);
/// Longer than brokers take to find a new leader, so that a producer has come by itself to whom it should.
const STALLED: Duration = Duration::from_secs(30);
/// How often one that does not hold the lease asks for it.
const STANDBY_INTERVAL: Duration = Duration::from_secs(2);

/// Why the relay cannot work. Brokers and databases that are away are no reason: it waits for them.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error("the Kafka client refuses its settings")]
    Client(#[source] KafkaError),
    #[error("the Kafka credentials cannot be read")]
    Secret(#[from] SecretError),
}

impl RelayError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Client(_) => "kafka-settings",
            Self::Secret(error) => error.reason(),
        }
    }
}

/// A service's outbox. Clones are the same one.
///
/// Sends nothing by itself: one [`Outbox::relay`] (or [`consume`](crate::consume), which contains it)
/// has to run somewhere among the service's instances.
#[derive(Clone)]
pub struct Outbox {
    service: Service,
    settings: KafkaSettings,
    database: Database,
    sender: Sender,
    stalled_after: Duration,
}

impl Outbox {
    pub fn new(service: &Service, kafka: &KafkaSettings, database: &Database) -> Self {
        Self {
            service: service.clone(),
            settings: kafka.clone(),
            database: database.clone(),
            sender: Sender::new(&service.shop, service.id, kafka.names()),
            stalled_after: STALLED,
        }
    }

    /// The same, with another period after which a producer of which nothing is heard counts as stalled (30 s), as long
    /// as the brokers answer: then it is made anew.
    #[must_use]
    pub fn stalls_after(self, period: Duration) -> Self {
        Self { stalled_after: period, ..self }
    }

    /// Stores events to be sent. They are sent once `tx` is committed, which wakes the relay; if it is
    /// not, they never were. Each continues its trace, or that of the current request.
    pub async fn insert<E: Event>(
        &self,
        tx: &mut Tx<'_>,
        events: &[(E, Option<TraceContext>)],
    ) -> Result<(), OutboxError> {
        let mut messages = Vec::with_capacity(events.len());
        for (event, trace) in events {
            let trace = trace.or_else(trace::current);
            let trace = trace.map_or_else(TraceContext::new_root, |trace| trace.child());
            messages.push(self.sender.message(event, trace)?);
        }
        outbox::insert(tx, messages, jiff::Timestamp::now().as_millisecond()).await?;
        Ok(())
    }

    /// Stores an event that was sent before to be sent again, because what should have come of it at one
    /// service is not there. First as it was, for whoever has missed it: others know its id. Then for that
    /// service alone, which takes it also when its inbox says that it was handled.
    pub async fn insert_again<E: Event>(
        &self,
        tx: &mut Tx<'_>,
        (event, trace): (&E, Option<TraceContext>),
        missed_by: ServiceId,
    ) -> Result<(), OutboxError> {
        let trace = trace.map_or_else(TraceContext::new_root, |trace| trace.child());
        let message = self.sender.message(event, trace)?;
        let mut messages = vec![message.clone()];
        if let Some(group) = self.sender.names.group(missed_by) {
            let mut anew = message;
            for (name, value) in
                [(names::REPLAY_GROUP, group.as_str()), (names::REPLAY_ANEW, "true")]
            {
                anew.headers.push((name.to_owned(), Some(value.as_bytes().to_vec())));
            }
            messages.push(anew);
        }
        outbox::insert(tx, messages, jiff::Timestamp::now().as_millisecond()).await?;
        Ok(())
    }

    /// Gives up an event that was handled before, in `tx`: a handler took notes of it
    /// ([`Handler::KEEPS_RECORDS`](crate::Handler::KEEPS_RECORDS)), and the work that followed has
    /// failed for good. It goes to the dead-letter topic as if the handler had rejected it, and a
    /// replay of it is handled once more. `reason` is a fixed word.
    pub async fn dead_letter(
        &self,
        tx: &mut Tx<'_>,
        record: Record,
        reason: &'static str,
        error: &str,
        attempts: u32,
    ) -> Result<(), DatabaseError> {
        let Record { topic, partition, offset, source, id, key, payload, headers } = record;
        let Some((group, to)) = self.sender.dead_letter_topic(topic) else { return Ok(()) };
        let letter = DeadLetter {
            to,
            topic: self.sender.names.topic(topic),
            partition,
            offset,
            key,
            payload,
            headers: headers::decode(&headers),
            reason: reason.to_owned(),
            error: error.to_owned(),
            attempts,
        };
        let now = jiff::Timestamp::now();
        inbox::mark(tx, &group, &[&Identity { source, id }], inbox::State::Dead).await?;
        outbox::insert(tx, vec![letter.into_message(now)], now.as_millisecond()).await?;
        let labels = ReasonLabels { reason };
        self.service.metrics.events().dead_letters.get_or_create(&labels).inc();
        Ok(())
    }

    /// Wakes the relay of this process. A commit does it too; this is for rows that were written by
    /// other means.
    pub fn wake(&self) {
        self.database.wake();
    }

    /// How many messages are stored, and how many of them Kafka refuses.
    pub async fn depth(&self) -> Result<(i64, i64), DatabaseError> {
        outbox::depth(&self.database).await
    }

    /// Sends what is stored until the service stops. Among all instances of a service one sends, by a
    /// lease in the database; the others wait to take over. Kafka or the database being away is waited
    /// out.
    pub async fn relay(&self) -> Result<(), RelayError> {
        let shutdown = self.service.shutdown.clone();
        self.relay_until(&shutdown).instrument(self.service.span()).await
    }

    pub(crate) async fn relay_until(&self, shutdown: &Shutdown) -> Result<(), RelayError> {
        let health = self.service.health.dependency("database");
        let lasts = match self.database.dialect() {
            Dialect::Postgres => LEASE,
            Dialect::Sqlite => LEASE_SQLITE,
        };
        let lease = Lease::new("relay", lasts);
        let mut backoff = Backoff::new(Duration::from_millis(100), STANDBY_INTERVAL);
        while !shutdown.is_cancelled() {
            let asked = Instant::now();
            let pause = match lease.acquire(&self.database).await {
                Ok(Some(fence)) => {
                    health.up();
                    tracing::debug!(fence, "sending the outbox");
                    let mut relay = Relay {
                        service: self.service.id,
                        database: &self.database,
                        settings: &self.settings,
                        metrics: self.service.metrics.events(),
                        health: &health,
                        shutdown,
                        lease: &lease,
                        window: Window::default(),
                        backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(5)),
                        precise_until: None,
                        retried_until: 0,
                        stalled_after: self.stalled_after,
                    };
                    match relay.hold(asked).await? {
                        End::Shutdown => break,
                        End::LeaseLost => tracing::warn!("another instance sends the outbox now"),
                    }
                    backoff.reset();
                    STANDBY_INTERVAL
                }
                Ok(None) => {
                    health.up();
                    STANDBY_INTERVAL
                }
                Err(error) => {
                    health.down(chain(&error));
                    backoff.next()
                }
            };
            self.stand_by(pause, shutdown).await;
        }
        lease.release(&self.database).await.ok();
        Ok(())
    }

    /// Waits for a turn, and tells whoever has it of rows that this process stores meanwhile: a commit
    /// here wakes only a relay here.
    async fn stand_by(&self, duration: Duration, shutdown: &Shutdown) {
        let mut written = self.database.written();
        let until = tokio::time::Instant::now() + duration;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                () = shutdown.cancelled() => return,
                Ok(()) = written.changed() => {
                    // It may be lost: the other one also looks from time to time.
                    self.database.tell(CHANNEL).await.ok();
                }
            }
        }
    }
}

/// Why events could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error("the outbox could not be written")]
    Database(#[from] DatabaseError),
    #[error("the event is no JSON")]
    Json(#[from] serde_json::Error),
}
