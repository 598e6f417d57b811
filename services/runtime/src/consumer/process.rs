//! A batch from its records to its commit, whatever happens on the way: one by one when it fails, again
//! when the database was away, without the partitions that are taken from us meanwhile.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;

use super::{
    assignment::{Place, State},
    batch::{self, Entry},
    engine::{Mode, Placed, Stop},
    outcome::Outcome,
    steer::{self, Client, Offsets},
    thread::{Consumer, End},
};
use crate::{
    backoff::Backoff,
    db::{DatabaseError, Kind},
    failpoint::{self, Step},
    handler::Handler,
    metrics::{EventLabels, ReasonLabels},
    store::offsets::{self, Advance},
    text::chain,
};

/// Most events in one transaction when each is tried by itself: their limits add up, and nothing is
/// polled meanwhile.
const CHUNK: usize = 10;
/// How often a transaction that lost against another one is run again before it counts as trouble.
const CONFLICTS_MAX: u32 = 5;
/// One that waited longer for a lock did not collide: somebody sits on it.
const CONFLICT_LIMIT: Duration = Duration::from_secs(1);
/// Longest time without a poll while parts of a batch are handled one after the other.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest wait in one poll while the consumer is paused.
const PAUSED_POLL: Duration = Duration::from_millis(50);

/// How the next events are tried, and how many of at most so many.
fn part(singly: usize, most: usize) -> (Mode, usize) {
    match singly {
        0 => (Mode::Whole, most),
        left => (Mode::OneByOne, left.min(CHUNK).min(most)),
    }
}

impl<H: Handler> Consumer<H> {
    /// Handles a batch to its end. `Some` when the client must not be used any more.
    pub(super) fn handle(&self, client: &Client, mut batch: Vec<Entry<'_>>) -> Option<End> {
        let options = &self.engine.options;
        let service = self.engine.service.id;
        let mut backoff = Backoff::new(options.pause_first, options.pause_most);
        failpoint::reach(service, Step::EventsPolled);
        // How many records at the front are to be tried one by one.
        let mut singly = 0;
        let mut conflicts = 0;
        // Fewer at once, for a database that is too slow for as many.
        let mut most = batch.len();
        let mut polled_at = Instant::now();
        while !batch.is_empty() {
            let (mode, size) = part(singly, most.min(batch.len()));
            let steps = batch::steps(&batch[..size], &client.context().assignment());
            let placed: Vec<Placed<'_>> = batch[..size].iter().map(Entry::placed).collect();
            let started = Instant::now();
            let result = self.runtime.block_on(self.engine.attempt(&placed, &steps, mode));
            match result {
                Ok(outcomes) => {
                    failpoint::reach(service, Step::EventsCommitted);
                    self.committed(client, &placed, &outcomes, &steps);
                    failpoint::reach(service, Step::OffsetsCopied);
                    drop(placed);
                    batch.drain(..size);
                    singly = singly.saturating_sub(size);
                    backoff.reset();
                    conflicts = 0;
                    most = most.saturating_mul(2);
                    // The group must hear of us between the parts of a long batch.
                    if polled_at.elapsed() > SILENCE_MAX {
                        if let Some(end) = self.breathe(client, &mut batch, Duration::ZERO) {
                            return Some(end);
                        }
                        polled_at = Instant::now();
                    }
                }
                Err(Stop::HandlerFailed) => {
                    drop(placed);
                    singly = size;
                }
                Err(Stop::ParkedFull(index)) => {
                    drop(placed);
                    let (place, from) = (batch[index].place.clone(), batch[index].offset());
                    batch.retain(|entry| entry.place != place || entry.offset() < from);
                    singly = singly.min(batch.len());
                    steer::block(client, &place);
                }
                Err(Stop::Dependency(error))
                    if error.kind() == Kind::Conflict
                        && conflicts < CONFLICTS_MAX
                        && started.elapsed() < CONFLICT_LIMIT =>
                {
                    conflicts += 1;
                    tracing::debug!(error = chain(&error), "lost against another transaction");
                }
                Err(stop) => {
                    drop(placed);
                    if matches!(&stop, Stop::Dependency(error) if error.is_silence()) {
                        most = (size / 2).max(1);
                    }
                    if let Some(end) = self.wait(client, &mut batch, &stop, &mut backoff) {
                        return Some(end);
                    }
                    singly = singly.min(batch.len());
                    polled_at = Instant::now();
                }
            }
        }
        None
    }

    /// Everything of a transaction has happened: tell Kafka and the metrics.
    fn committed(
        &self,
        client: &Client,
        placed: &[Placed<'_>],
        outcomes: &[Outcome],
        steps: &[Advance],
    ) {
        self.health.up();
        let context = client.context();
        let mut offsets: Offsets = Vec::with_capacity(steps.len());
        {
            let mut assignment = context.assignment();
            for step in steps {
                let place = context.place(&step.topic, step.partition);
                let Some(slot) = place.and_then(|place| assignment.slots.get_mut(&place)) else {
                    continue;
                };
                if let Some(position) = slot.position_mut() {
                    position.stored = step.to_offset;
                }
                offsets.push((slot.name.clone(), step.partition, step.to_offset));
                slot.end = slot.end.map(|end| end.max(step.to_offset));
                context.tell_lag(slot, step.partition);
            }
        }
        steer::copy_offsets(client, &offsets);
        let metrics = self.engine.service.metrics.events();
        for (placed, outcome) in placed.iter().zip(outcomes) {
            let labels = EventLabels { topic: placed.name.clone(), result: outcome.word() };
            metrics.events.get_or_create(&labels).inc();
            if let Outcome::Dead { reason, .. } = outcome {
                metrics.dead_letters.get_or_create(&ReasonLabels { reason }).inc();
            }
        }
    }

    /// The database is away, or the offsets are elsewhere: nothing is read, nothing is parked, the group
    /// keeps hearing of us, and the batch stays as it is, but for what turns out to be done or lost.
    fn wait(
        &self,
        client: &Client,
        batch: &mut Vec<Entry<'_>>,
        stop: &Stop,
        backoff: &mut Backoff,
    ) -> Option<End> {
        if let Stop::Dependency(error) = stop {
            self.health.down(chain(error));
        }
        steer::set_paused(client, true);
        loop {
            let until = match stop {
                Stop::Dependency(_) => backoff.next(),
                _ => Duration::ZERO,
            };
            if let Some(end) = self.breathe(client, batch, until) {
                return Some(end);
            }
            // Also after a lost answer to a commit: this is where it is found to have arrived.
            match self.look(client, batch) {
                Ok(()) => break,
                Err(error) => self.health.down(chain(&error)),
            }
        }
        steer::set_paused(client, false);
        batch::retain_ours(batch, &client.context().assignment());
        None
    }

    /// Polls for a while without taking records, so that rebalances are served. `Some` when the service
    /// stops or the client is of no use any more: the batch is read again by whoever comes next.
    fn breathe(
        &self,
        client: &Client,
        batch: &mut Vec<Entry<'_>>,
        duration: Duration,
    ) -> Option<End> {
        let until = Instant::now() + duration;
        steer::set_paused(client, true);
        loop {
            if self.shutdown.is_cancelled() {
                return Some(End::Shutdown);
            }
            let left = until.saturating_duration_since(Instant::now());
            // Everything is paused, so nothing comes; if it did it would be out of turn. A new client
            // starts at the database's offset.
            let mut unexpected = Vec::new();
            if let Some(end) = self.drain(client, left.min(PAUSED_POLL), &mut unexpected) {
                return Some(end);
            }
            if !unexpected.is_empty() {
                tracing::error!("records came from paused partitions; the consumer is made anew");
                return Some(End::Anew);
            }
            if left.is_zero() {
                break;
            }
        }
        steer::set_paused(client, false);
        batch::retain_ours(batch, &client.context().assignment());
        None
    }

    /// Reads where the database stands in the batch's partitions.
    fn look(&self, client: &Client, batch: &[Entry<'_>]) -> Result<(), DatabaseError> {
        let mut places: Vec<(Place, String, i64)> = batch
            .iter()
            .map(|entry| (entry.place.clone(), entry.name.to_string(), entry.epoch))
            .collect();
        places.sort();
        places.dedup();
        let stored = self.runtime.block_on(async {
            let mut tx = self.engine.database.begin().await?;
            let mut stored = Vec::with_capacity(places.len());
            for (place, name, epoch) in &places {
                let group = &self.engine.group;
                stored.push(offsets::read(&mut tx, group, name, place.partition, *epoch).await?);
            }
            tx.rollback().await;
            Ok::<_, DatabaseError>(stored)
        })?;
        self.health.up();
        for ((place, ..), stored) in places.iter().zip(stored) {
            let Some(stored) = stored else {
                steer::fence(client, place);
                continue;
            };
            let mut assignment = client.context().assignment();
            let Some(slot) = assignment.slots.get_mut(place) else { continue };
            let Some(position) = slot.position_mut() else { continue };
            if stored < position.stored {
                // The database was restored from a backup: what it lost is read again.
                tracing::warn!(
                    topic = %place.topic, partition = place.partition, stored,
                    "the database has gone back; the partition is read again from there"
                );
                slot.state = State::Wanted { restart: false, not_before: None };
            } else {
                position.stored = stored;
            }
        }
        Ok(())
    }
}
