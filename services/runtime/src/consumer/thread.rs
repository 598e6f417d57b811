//! The consumer's own thread: polls, hands batches to the engine, and keeps polling while it waits, so
//! that the group never loses it. No `await` between records, and no poll while a transaction is open.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _,
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use storefront_contract::settings::KafkaSettings;
use tokio::runtime::Handle;

use super::{
    ConsumeError,
    assignment::{Admission, Place, State},
    batch::{self, Entry},
    context::Context,
    engine::Engine,
    gap::Gaps,
    steer::{self, ASK_LIMIT, Client},
    watchdog::{Absence, Watchdog},
};
use crate::{Dependency, Shutdown, backoff::Backoff, handler::Handler, kafka, text::chain};

/// Longest wait in one poll: how late a stop may be noticed. Each poll that brings nothing costs some
/// spinning in rdkafka, which an idle shop would feel.
const POLL: Duration = Duration::from_millis(500);
/// What the thread works with; a new client each time the old one is given up.
pub(crate) struct Consumer<H> {
    pub engine: Arc<Engine<H>>,
    pub settings: KafkaSettings,
    pub topics: Vec<String>,
    pub runtime: Handle,
    pub shutdown: Shutdown,
    /// Whether events can be handled.
    pub health: Dependency,
    pub kafka: Dependency,
    pub gaps: Gaps,
}

/// Why a client is given up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The service stops.
    Shutdown,
    /// It has stalled, or failed in a way that only a new one can mend.
    Anew,
    /// Its group has lost it, and it does not join again: it is stuck, and may be when it is closed, too.
    Lost,
}

impl<H: Handler> Consumer<H> {
    /// Consumes until the service stops.
    pub(crate) fn run(&self) -> Result<(), ConsumeError> {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        let mut first = true;
        while !self.shutdown.is_cancelled() {
            match self.client() {
                Ok(client) => {
                    let started = Instant::now();
                    match self.turns(&client) {
                        End::Shutdown => break,
                        End::Anew => {}
                        // Nobody waits for it.
                        End::Lost => drop(thread::spawn(move || drop(client))),
                    }
                    if started.elapsed() > Duration::from_secs(60) {
                        backoff.reset();
                    }
                }
                // Wrong settings end the service at its start; later a credential may be missing for
                // as long as it takes to rotate it.
                Err(error) if first => return Err(error),
                Err(error) => self.kafka.down(chain(&error)),
            }
            first = false;
            self.sleep(backoff.next());
        }
        Ok(())
    }

    fn client(&self) -> Result<Client, ConsumeError> {
        let engine = &self.engine;
        let config = kafka::consumer(&self.settings, &engine.group)?;
        let context = Context {
            assignment: std::sync::Mutex::default(),
            names: self.settings.names(),
            group: engine.group.clone(),
            database: engine.database.clone(),
            runtime: self.runtime.clone(),
            metrics: engine.service.metrics.events().clone(),
            kafka: self.kafka.clone(),
            joined: std::sync::Mutex::new(Instant::now()),
        };
        let client = BaseConsumer::from_config_and_context(&config, context)
            .map_err(ConsumeError::Client)?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        client.subscribe(&topics).map_err(ConsumeError::Client)?;
        Ok(client)
    }

    fn turns(&self, client: &Client) -> End {
        let options = &self.engine.options;
        let mut watchdog = Watchdog::new(options.watchdog_period, Instant::now());
        let mut absence = Absence::new(options.absence_period, Instant::now());
        let mut backoff = Backoff::new(options.pause_first, options.pause_most);
        loop {
            if self.shutdown.is_cancelled() {
                return End::Shutdown;
            }
            self.claim_wanted(client, &mut backoff);
            steer::unblock(client);
            let mut batch = Vec::new();
            if self.drain(client, POLL, &mut batch) == Some(End::Anew) {
                return End::Anew;
            }
            if batch.is_empty() {
                if has_stalled(client, &mut watchdog) {
                    tracing::error!("the consumer has stalled and is made anew");
                    return End::Anew;
                }
                let joined = client.context().joined();
                if absence.is_long(Instant::now(), joined) && self.brokers_answer() {
                    tracing::error!("the group has lost the consumer, which is made anew");
                    return End::Lost;
                }
                continue;
            }
            watchdog.alive(Instant::now());
            if let Some(end) = self.handle(client, batch) {
                return end;
            }
        }
    }

    /// Takes what is there, up to one batch; waits only for the first record.
    pub(super) fn drain<'c>(
        &self,
        client: &'c Client,
        wait: Duration,
        batch: &mut Vec<Entry<'c>>,
    ) -> Option<End> {
        let options = &self.engine.options;
        let (mut wait, mut bytes) = (wait, 0);
        while batch.len() < options.batch_max_records && bytes < options.batch_max_bytes {
            match client.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    if let Some(entry) = self.admit(client, message) {
                        bytes += entry.bytes();
                        batch.push(entry);
                    }
                }
                Some(Err(error)) => {
                    if self.is_fatal(&error) {
                        return Some(End::Anew);
                    }
                }
            }
            wait = Duration::ZERO;
        }
        // A rebalance may have taken partitions away while we polled.
        batch::retain_ours(batch, &client.context().assignment());
        None
    }

    fn admit<'c>(
        &self,
        client: &'c Client,
        message: rdkafka::message::BorrowedMessage<'c>,
    ) -> Option<Entry<'c>> {
        let context = client.context();
        let place = context.place(message.topic(), message.partition())?;
        let offset = message.offset();
        let mut assignment = context.assignment();
        let fingerprint = || batch::raw(&message, &place).fingerprint();
        let admission = assignment.admit(&place, offset, fingerprint);
        let slot = assignment.slots.get(&place)?;
        let name = Arc::clone(&slot.name);
        match admission {
            Admission::Drop => return None,
            Admission::Replaced => {
                drop(assignment);
                self.gaps.replaced(&name, place.partition);
                return None;
            }
            Admission::Take | Admission::TakeAfterGap { .. } => {}
        }
        let position = slot.position()?;
        let (epoch, generation) = (position.epoch, position.generation);
        drop(assignment);
        if let Admission::TakeAfterGap { from } = admission {
            let low = client.fetch_watermarks(&name, place.partition, ASK_LIMIT);
            let low = low.ok().map(|(low, _)| low);
            if low.is_none_or(|low| low < offset) && doubts(client, &place, from, offset) {
                return None;
            }
            // Without an answer the whole gap is taken for a loss: better said too often than not.
            let low = low.unwrap_or(offset);
            self.gaps.expired(&name, place.partition, from, low.min(offset));
        }
        Some(Entry { message, place, name, epoch, generation })
    }

    fn is_fatal(&self, error: &KafkaError) -> bool {
        let code = error.rdkafka_error_code();
        match code {
            Some(RDKafkaErrorCode::AllBrokersDown) => self.kafka.down("no broker can be reached"),
            // Credentials are read when a client is made.
            Some(RDKafkaErrorCode::Authentication) => {
                self.kafka.down("the brokers refuse the credentials");
                return true;
            }
            _ => tracing::debug!(%error, "poll"),
        }
        matches!(error, KafkaError::MessageConsumptionFatal(_))
    }

    /// Partitions that the database could not give us when Kafka did, and those whose log was replaced.
    fn claim_wanted(&self, client: &Client, backoff: &mut Backoff) {
        let context = client.context();
        match context.claim(Instant::now()) {
            Ok(starts) => {
                if !starts.is_empty() {
                    self.health.up();
                    backoff.reset();
                    steer::seek(client, starts);
                }
                steer::apply_pauses(client, &mut context.assignment());
            }
            Err(error) => {
                self.health.down(chain(&error));
                // Everything wanted waits; what we own is not read either, as the database is down.
                let not_before = Some(Instant::now() + backoff.next());
                let mut assignment = context.assignment();
                for slot in assignment.slots.values_mut() {
                    if let State::Wanted { not_before: at, .. } = &mut slot.state {
                        *at = not_before;
                    }
                }
                steer::apply_pauses(client, &mut assignment);
            }
        }
    }

    /// Whether a client that was just made gets an answer.
    fn brokers_answer(&self) -> bool {
        let config = kafka::consumer(&self.settings, &self.engine.group);
        let probe = config.ok().and_then(|config| config.create::<BaseConsumer>().ok());
        probe.is_some_and(|probe| probe.fetch_metadata(None, ASK_LIMIT).is_ok())
    }

    /// Waits, but not through a stop.
    fn sleep(&self, duration: Duration) {
        self.runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(duration) => {}
                () = self.shutdown.cancelled() => {}
            }
        });
    }
}

/// Whether a record has come too early, as far as can be said: those before it are there, or were never records but
/// a transaction's marks. Soon after a seek librdkafka may have gone elsewhere; then what is there is read once more.
fn doubts(client: &Client, place: &Place, from: i64, offset: i64) -> bool {
    let mut assignment = client.context().assignment();
    let doubts = assignment.slots.get_mut(place).is_some_and(|slot| {
        slot.is_unsettled(Instant::now())
            && slot.position_mut().is_some_and(|position| position.doubts(from, offset))
    });
    drop(assignment);
    if doubts {
        tracing::debug!(topic = %place.topic, partition = place.partition, from, offset, "a gap is looked at again");
        steer::read_again(client, place);
    }
    doubts
}

/// Whether there is something to read and nothing comes.
fn has_stalled(client: &Client, watchdog: &mut Watchdog) -> bool {
    let now = Instant::now();
    let context = client.context();
    if watchdog.is_suspicious(now) {
        let places: Vec<(Place, Arc<str>)> = context
            .assignment()
            .slots
            .iter()
            .map(|(place, slot)| (place.clone(), Arc::clone(&slot.name)))
            .collect();
        for (place, name) in places {
            // Brokers that do not answer are no stall.
            let Ok((_, end)) = client.fetch_watermarks(&name, place.partition, ASK_LIMIT) else {
                watchdog.progress(now);
                return false;
            };
            if let Some(slot) = context.assignment().slots.get_mut(&place) {
                slot.end = Some(end);
                context.tell_lag(slot, place.partition);
            }
        }
    }
    let behind = context.assignment().slots.values().any(super::assignment::Slot::is_behind);
    watchdog.has_stalled(now, behind)
}
