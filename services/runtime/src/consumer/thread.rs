//! The consumer's own thread: polls, hands batches to the engine, and keeps polling while it waits, so
//! that the group never loses it. No `await` between records, and no poll while a transaction is open.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
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
    context::{Context, Starts, apply_pauses, start_offset},
    engine::Engine,
    gap::Gaps,
    watchdog::Watchdog,
};
use crate::{Dependency, Shutdown, backoff::Backoff, handler::Handler, kafka, text::chain};

/// Longest wait in one poll: how late a stop may be noticed.
const POLL: Duration = Duration::from_millis(100);
/// Longest wait for a broker's answer about watermarks, and for a seek.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// How long an owner that was replaced in the database leaves the partition alone. Kafka takes it away
/// meanwhile, or the other one was the one that is late.
const FENCED: Duration = Duration::from_secs(3);
/// How long a partition without room for parked events waits before it looks again.
const BLOCKED: Duration = Duration::from_secs(1);

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
                    if self.turns(&client) == End::Shutdown {
                        break;
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

    fn client(&self) -> Result<BaseConsumer<Context>, ConsumeError> {
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
        };
        let client = BaseConsumer::from_config_and_context(&config, context)
            .map_err(ConsumeError::Client)?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        client.subscribe(&topics).map_err(ConsumeError::Client)?;
        Ok(client)
    }

    fn turns(&self, client: &BaseConsumer<Context>) -> End {
        let options = &self.engine.options;
        let mut watchdog = Watchdog::new(options.watchdog_period, Instant::now());
        let mut backoff = Backoff::new(options.pause_first, options.pause_most);
        loop {
            if self.shutdown.is_cancelled() {
                return End::Shutdown;
            }
            self.claim_wanted(client, &mut backoff);
            self.unblock(client);
            let mut batch = Vec::new();
            if self.drain(client, POLL, &mut batch) == Some(End::Anew) {
                return End::Anew;
            }
            if batch.is_empty() {
                if self.has_stalled(client, &mut watchdog) {
                    tracing::error!("the consumer has stalled and is made anew");
                    return End::Anew;
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
        client: &'c BaseConsumer<Context>,
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
        client: &'c BaseConsumer<Context>,
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
            // Without an answer the whole gap is taken for a loss: better said too often than not.
            let low = low.map_or(offset, |(low, _)| low);
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
    fn claim_wanted(&self, client: &BaseConsumer<Context>, backoff: &mut Backoff) {
        let context = client.context();
        match context.claim(Instant::now()) {
            Ok(starts) => {
                if !starts.is_empty() {
                    self.health.up();
                    backoff.reset();
                    self.seek(client, starts);
                }
                apply_pauses(client, &mut context.assignment());
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
                apply_pauses(client, &mut assignment);
            }
        }
    }

    /// Goes to other offsets than those that librdkafka reads from. One that fails is wanted again.
    pub(super) fn seek(&self, client: &BaseConsumer<Context>, starts: Starts) {
        let mut list = TopicPartitionList::with_capacity(starts.len());
        for (name, partition, offset) in &starts {
            list.add_partition_offset(name, *partition, start_offset(*offset)).ok();
        }
        let result = client.seek_partitions(list, ASK_LIMIT);
        let mut assignment = client.context().assignment();
        for (name, partition, _) in starts {
            let failed = match &result {
                Ok(list) => {
                    list.find_partition(&name, partition).is_none_or(|e| e.error().is_err())
                }
                Err(_) => true,
            };
            let place = client.context().place(&name, partition);
            if failed && let Some(slot) = place.and_then(|place| assignment.slots.get_mut(&place)) {
                let not_before = Some(Instant::now() + BLOCKED);
                slot.state = State::Wanted { restart: false, not_before };
            }
        }
    }

    /// Looks whether partitions that wait for room among the parked events may go on.
    fn unblock(&self, client: &BaseConsumer<Context>) {
        let now = Instant::now();
        let mut assignment = client.context().assignment();
        let mut starts = Vec::new();
        for (place, slot) in &mut assignment.slots {
            if slot.blocked_until.is_some_and(|until| until <= now) {
                slot.blocked_until = None;
                let name = Arc::clone(&slot.name);
                if let Some(position) = slot.position_mut() {
                    position.read = position.stored;
                    starts.push((name, place.partition, position.read));
                }
            }
        }
        drop(assignment);
        if !starts.is_empty() {
            self.seek(client, starts);
            apply_pauses(client, &mut client.context().assignment());
        }
    }

    /// There is no room to park: the partition waits, the others go on.
    pub(super) fn block(&self, client: &BaseConsumer<Context>, place: &Place) {
        tracing::warn!(
            topic = %place.topic, partition = place.partition,
            "too many events are parked; the partition waits"
        );
        let mut assignment = client.context().assignment();
        if let Some(slot) = assignment.slots.get_mut(place) {
            slot.blocked_until = Some(Instant::now() + BLOCKED);
        }
        apply_pauses(client, &mut assignment);
    }

    /// The database has another owner for a partition: leave it alone for a while.
    pub(super) fn fenced(&self, client: &BaseConsumer<Context>, place: &Place) {
        tracing::warn!(
            topic = %place.topic, partition = place.partition,
            "another member of the group has taken the partition"
        );
        let mut assignment = client.context().assignment();
        if let Some(slot) = assignment.slots.get_mut(place) {
            let not_before = Some(Instant::now() + FENCED);
            slot.state = State::Wanted { restart: false, not_before };
        }
        apply_pauses(client, &mut assignment);
    }

    /// Copies offsets to Kafka, for lag and for others to see.
    pub(super) fn copy_offsets(&self, client: &BaseConsumer<Context>, offsets: &Starts) {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (name, partition, offset) in offsets {
            list.add_partition_offset(name, *partition, Offset::Offset(*offset)).ok();
        }
        if let Err(error) = client.store_offsets(&list) {
            tracing::debug!(%error, "offsets were not copied to Kafka");
        }
    }

    fn has_stalled(&self, client: &BaseConsumer<Context>, watchdog: &mut Watchdog) -> bool {
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
                let Ok((_, end)) = client.fetch_watermarks(&name, place.partition, ASK_LIMIT)
                else {
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
