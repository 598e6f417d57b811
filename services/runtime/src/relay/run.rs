//! The relay's loop: when to read, when to renew, when to stop. What is done then is in `send`.
//!
//! Why order holds at every crash point: rows of a key are given to the producer in the order of their
//! ids, starting at the oldest that is not acknowledged, and a message that fails stops the producer
//! before a later one gets through. So whatever is sent twice (a crash after the broker's answer, a
//! second relay that does not know of the first) is sent twice in the same order, and the first
//! occurrence of each message stands where it belongs. The lease is there to keep it at one: it saves
//! work, it is not what order depends on.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use storefront_contract::{ServiceId, settings::KafkaSettings};
use tokio::{sync::mpsc, time::sleep_until};

use super::{
    RelayError,
    producer::{Producer, Report},
    send::Filled,
    window::Window,
};
use crate::{
    Dependency, Shutdown,
    backoff::Backoff,
    db::{Database, DatabaseError, Dialect, Lease},
    kafka,
    metrics::EventMetrics,
    store::outbox,
    text::chain,
};

/// Most messages on their way; a row is in memory for as long as it is.
const WINDOW: usize = 2000;
/// How often to look for rows that nobody told of: those of other instances. On SQLite there are none.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const POLL_INTERVAL_SQLITE: Duration = Duration::from_secs(10);
/// How often the metrics are counted; the long one for a backlog whose counting takes its time.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);
const COUNT_INTERVAL_LONG: Duration = Duration::from_secs(60);
const LONG_BACKLOG: i64 = 50_000;
/// How soon a lease is asked for again that could not be renewed.
const RENEW_AGAIN: Duration = Duration::from_millis(500);
/// How often refused messages are tried once more: rights are granted, limits raised.
const RETRY_INTERVAL: Duration = Duration::from_secs(300);

/// Longest wait for a broker's answer about leaders.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Where those who do not hold the lease tell of new rows.
pub(super) const CHANNEL: &str = "outbox";

/// All that one holder of the lease needs and remembers.
pub(super) struct Relay<'a> {
    pub service: ServiceId,
    pub database: &'a Database,
    pub settings: &'a KafkaSettings,
    pub metrics: &'a EventMetrics,
    pub health: &'a Dependency,
    pub shutdown: &'a Shutdown,
    pub lease: &'a Lease,
    pub window: Window,
    pub backoff: Backoff,
    /// Messages up to this id are sent one by one, to find the one that is refused.
    pub precise_until: Option<i64>,
    /// The last refused message that was tried once more.
    pub retried_until: i64,
    /// When nothing was heard for so long of what is on its way, the producer may have stalled.
    pub stalled_after: Duration,
}

/// Why the relay stopped sending.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The service stops.
    Shutdown,
    /// Another relay has taken over, or may have.
    LeaseLost,
}

/// When something is to be done next.
struct Clock {
    next_poll: Instant,
    next_count: Instant,
    next_retry: Instant,
    next_renew: Instant,
    lease_end: Instant,
    /// When something was heard last of what is on its way, or when nothing was.
    moved: Instant,
}

/// A producer and its reports.
pub(super) type Line = (Producer, mpsc::UnboundedReceiver<Report>);

impl Relay<'_> {
    /// Sends until the lease is lost or the service stops. `acquired` is from before the lease was
    /// asked for.
    pub(super) async fn hold(&mut self, acquired: Instant) -> Result<End, RelayError> {
        let mut written = self.database.written();
        let mut clock = Clock {
            next_poll: acquired,
            next_count: acquired,
            next_retry: acquired,
            next_renew: acquired + self.lease.lasts / 3,
            lease_end: acquired + self.lease.lasts,
            moved: acquired,
        };
        let mut listener = self.database.listen(CHANNEL);
        let mut line = self.start()?;
        let recovered = self.recover().await;
        let mut ready = self.note(recovered).is_some();
        let mut more = true;
        loop {
            if ready && more && self.window.in_flight() <= WINDOW / 2 {
                line = match self.refill(line, &mut clock).await {
                    (line, Some(next)) => {
                        more = next;
                        line
                    }
                    (line, None) => self.restart(line, &[]).await,
                };
            }
            if self.precise_until.is_some() && self.window.in_flight() == 0 && ready {
                self.precise_until = None;
                line = self.restart(line, &[]).await;
                more = true;
            }
            if let Some(at) = self.window.next_topic(Instant::now()) {
                clock.next_poll = clock.next_poll.min(at);
            }
            let wake = clock.next_poll.min(clock.next_renew).min(clock.lease_end);
            tokio::select! {
                () = self.shutdown.cancelled() => {
                    self.drain(line).await;
                    return Ok(End::Shutdown);
                }
                Some(report) = line.1.recv() => {
                    more = true;
                    clock.moved = Instant::now();
                    let failures = self.take(report, &mut line.1).await;
                    if !failures.is_empty() {
                        line = self.restart(line, &failures).await;
                    }
                }
                // The sender lives in the database that we hold, so this never fails.
                Ok(()) = written.changed() => more = true,
                () = listener.heard() => more = true,
                () = sleep_until(wake.into()) => {
                    if !ready {
                        let recovered = self.recover().await;
                        ready = self.note(recovered).is_some();
                    }
                    more |= self.tick(&mut clock).await;
                    if self.has_stalled(&mut clock).await {
                        tracing::error!("the producer has stalled and is made anew");
                        line = self.restart(line, &[]).await;
                        more = true;
                    }
                    if Instant::now() >= clock.lease_end {
                        return Ok(End::LeaseLost);
                    }
                }
            }
        }
    }

    /// Reads and sends. Whether there is more to read; `None` when the producer takes nothing more.
    async fn refill(&mut self, line: Line, clock: &mut Clock) -> (Line, Option<bool>) {
        if Instant::now() >= clock.next_retry {
            clock.next_retry = Instant::now() + RETRY_INTERVAL;
            let retried = self.retry_failed().await;
            self.note(retried);
        }
        if self.window.in_flight() == 0 {
            clock.moved = Instant::now();
        }
        let filled = self.fill(&line.0).await;
        let more = match self.note(filled) {
            Some(Filled::All) => Some(false),
            Some(Filled::Part) => Some(self.window.in_flight() == 0),
            Some(Filled::Stopped) => None,
            None => {
                clock.next_poll = Instant::now() + self.backoff.next();
                Some(false)
            }
        };
        (line, more)
    }

    /// What is due by time. Returns whether to read again.
    async fn tick(&mut self, clock: &mut Clock) -> bool {
        let now = Instant::now();
        if now >= clock.next_renew {
            match self.lease.acquire(self.database).await {
                Ok(Some(_)) => clock.lease_end = now + self.lease.lasts,
                Ok(None) => clock.lease_end = now,
                Err(error) => {
                    self.health.down(chain(&error));
                    clock.next_renew = Instant::now() + RENEW_AGAIN;
                    return false;
                }
            }
            clock.next_renew = Instant::now() + self.lease.lasts / 3;
        }
        if now < clock.next_poll {
            return false;
        }
        clock.next_poll = now
            + match self.database.dialect() {
                Dialect::Postgres => POLL_INTERVAL,
                Dialect::Sqlite => POLL_INTERVAL_SQLITE,
            };
        if now >= clock.next_count {
            clock.next_count = now + COUNT_INTERVAL;
            let depth = outbox::depth(self.database).await;
            if let Some((stored, failed)) = self.note(depth) {
                self.metrics.outbox_depth.set(stored);
                self.metrics.outbox_failed.set(failed);
                if stored > LONG_BACKLOG {
                    clock.next_count = now + COUNT_INTERVAL_LONG;
                }
            }
        }
        true
    }

    /// Whether nothing comes of what is on its way, although there is a broker to take it. librdkafka waits for a leader
    /// in ways of its own, and not each of them ends soon.
    async fn has_stalled(&self, clock: &mut Clock) -> bool {
        let Some(topic) = self.window.some_topic().map(ToOwned::to_owned) else {
            clock.moved = Instant::now();
            return false;
        };
        if clock.moved.elapsed() < self.stalled_after {
            return false;
        }
        clock.moved = Instant::now();
        let Ok(config) = kafka::client(self.settings) else { return false };
        let ask = move || has_leaders(&config, &topic);
        tokio::task::spawn_blocking(ask).await.unwrap_or(false)
    }

    /// A new relay does not know what its predecessor was about to do with refused messages.
    async fn recover(&mut self) -> Result<(), DatabaseError> {
        for (topic, key) in outbox::recover(self.database).await? {
            if let Some(key) = key {
                self.window.hold((topic, key));
            }
        }
        Ok(())
    }

    pub(super) fn start(&self) -> Result<Line, RelayError> {
        let config = kafka::producer(self.settings, self.precise_until.is_some())?;
        Producer::start(&config).map_err(RelayError::Client)
    }

    /// Tells health what the database did; the value when it worked.
    pub(super) fn note<T>(&self, result: Result<T, DatabaseError>) -> Option<T> {
        match result {
            Ok(value) => {
                self.health.up();
                Some(value)
            }
            Err(error) => {
                self.health.down(chain(&error));
                None
            }
        }
    }
}

/// Whether each partition of a topic has somebody to write to, as a client says that was just made.
fn has_leaders(config: &ClientConfig, topic: &str) -> bool {
    let metadata = config
        .create::<BaseConsumer>()
        .and_then(|client| client.fetch_metadata(Some(topic), ASK_LIMIT));
    let Ok(metadata) = metadata else { return false };
    metadata.topics().iter().all(|topic| {
        topic.error().is_none()
            && topic.partitions().iter().all(|partition| partition.leader() >= 0)
    })
}
