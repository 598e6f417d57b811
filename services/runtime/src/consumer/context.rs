//! What librdkafka calls while we poll: rebalances, statistics, logs. Runs on the consumer's thread,
//! between batches, so that no transaction is ever under way when a partition is taken from us.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use storefront_contract::Names;
use tokio::runtime::Handle;

use super::{
    assignment::{Assignment, Place, Position, Slot, State},
    statistics,
    steer::{self, Offsets},
};
use crate::{
    Dependency,
    db::{Database, DatabaseError},
    kafka,
    metrics::{EventMetrics, PartitionLabels},
    store::offsets,
    text::chain,
};

/// Longest wait for the database during a rebalance. If it is not enough, the partitions stay paused
/// and the loop goes on asking.
const CLAIM_LIMIT: Duration = Duration::from_secs(10);

/// Where a partition starts that is not claimed yet. It is paused at once, so that nothing is read from there; but it
/// has to be a number. A place that a broker has to be asked for (the end, the beginning) is asked for again by librdkafka
/// when the answer comes after a seek, and then it goes there: `rd_kafka_toppar_handle_Offset`.
const UNCLAIMED: Offset = Offset::Offset(0);

/// Shared by the loop and librdkafka's callbacks, which run on the same thread.
pub(crate) struct Context {
    pub assignment: Mutex<Assignment>,
    pub names: Names,
    pub group: String,
    pub database: Database,
    pub runtime: Handle,
    pub metrics: EventMetrics,
    pub kafka: Dependency,
    /// When the group was known to have us last, or else when the client was made.
    pub joined: Mutex<Instant>,
}

impl Context {
    pub(crate) fn assignment(&self) -> MutexGuard<'_, Assignment> {
        self.assignment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn joined(&self) -> Instant {
        *self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_joined(&self) {
        *self.joined.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(crate) fn place(&self, topic: &str, partition: i32) -> Option<Place> {
        Some(Place { topic: self.names.parse_topic(topic)?, partition })
    }

    /// Makes the database say that wanted partitions are ours, and returns where to start in each.
    pub(crate) fn claim(&self, now: Instant) -> Result<Offsets, DatabaseError> {
        let wanted: Vec<(Place, Arc<str>, bool)> = self
            .assignment()
            .slots
            .iter()
            .filter_map(|(place, slot)| match slot.state {
                State::Wanted { restart, not_before } if not_before.is_none_or(|at| at <= now) => {
                    Some((place.clone(), Arc::clone(&slot.name), restart))
                }
                _ => None,
            })
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let claims = self.runtime.block_on(async {
            let claims = claim_all(&self.database, &self.group, &wanted);
            match tokio::time::timeout(CLAIM_LIMIT, claims).await {
                Ok(claims) => claims,
                Err(_) => Err(DatabaseError::TooSlow),
            }
        })?;
        let mut assignment = self.assignment();
        let mut starts = Vec::new();
        for ((place, name, _), position) in wanted.into_iter().zip(claims) {
            if let Some(slot) = assignment.slots.get_mut(&place) {
                starts.push((name, place.partition, position.start()));
                slot.state = State::Owned(position);
                slot.sought_at = now;
            }
        }
        Ok(starts)
    }

    fn assigned(&self, client: &BaseConsumer<Self>, list: &TopicPartitionList) {
        for element in list.elements() {
            if let Some(place) = self.place(element.topic(), element.partition()) {
                self.assignment().slots.insert(place, Slot::new(element.topic().into()));
            }
        }
        let starts = self.claim(std::time::Instant::now()).unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), "partitions wait for the database");
            Vec::new()
        });
        let mut with_offsets = TopicPartitionList::with_capacity(list.count());
        for element in list.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let start = starts.iter().find(|(name, p, _)| **name == *topic && *p == partition);
            let offset = start.map_or(UNCLAIMED, |(.., offset)| steer::start_offset(*offset));
            with_offsets.add_partition_offset(topic, partition, offset).ok();
        }
        let result = match client.rebalance_protocol() {
            RebalanceProtocol::Cooperative => client.incremental_assign(&with_offsets),
            _ => client.assign(&with_offsets),
        };
        if let Err(error) = result {
            tracing::error!(%error, "partitions could not be assigned");
        }
        // librdkafka may remember a pause from an earlier time as owner.
        client.resume(list).ok();
        steer::apply_pauses(client, &mut self.assignment());
        self.store_claimed(client, list);
        self.kafka.up();
        self.has_joined();
        tracing::info!(partitions = list.count(), "partitions assigned");
    }

    /// Tells Kafka where the database stands, so that a lag which others see is the true one also after
    /// a crash between the two.
    fn store_claimed(&self, client: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let stored = self.stored(list);
        if stored.count() > 0 {
            client.store_offsets(&stored).ok();
        }
    }

    /// The database's offsets of some partitions, where there is one.
    fn stored(&self, list: &TopicPartitionList) -> TopicPartitionList {
        let assignment = self.assignment();
        let mut stored = TopicPartitionList::with_capacity(list.count());
        for element in list.elements() {
            let place = self.place(element.topic(), element.partition());
            let slot = place.and_then(|place| assignment.slots.get(&place));
            if let Some(position) = slot.and_then(Slot::position)
                && position.stored > 0
            {
                let offset = Offset::Offset(position.stored);
                stored.add_partition_offset(element.topic(), element.partition(), offset).ok();
            }
        }
        stored
    }

    fn revoked(&self, client: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let lost = client.assignment_lost();
        if !lost {
            let stored = self.stored(list);
            if stored.count() > 0
                && let Err(error) = client.commit(&stored, CommitMode::Sync)
            {
                // The database knows it better; only the lag that others see is late.
                tracing::debug!(%error, "offsets were not copied to Kafka");
            }
        }
        for element in list.elements() {
            if let Some(place) = self.place(element.topic(), element.partition()) {
                self.assignment().slots.remove(&place);
                let topic = element.topic().into();
                let labels = PartitionLabels { topic, partition: element.partition() };
                self.metrics.consumer_lag.remove(&labels);
            }
        }
        let result = match client.rebalance_protocol() {
            RebalanceProtocol::Cooperative => client.incremental_unassign(list),
            _ => client.unassign(),
        };
        if let Err(error) = result {
            tracing::error!(%error, "partitions could not be given up");
        }
        tracing::info!(partitions = list.count(), lost, "partitions revoked");
    }
}

async fn claim_all(
    database: &Database,
    group: &str,
    wanted: &[(Place, Arc<str>, bool)],
) -> Result<Vec<Position>, DatabaseError> {
    let mut tx = database.begin().await?;
    let mut positions = Vec::with_capacity(wanted.len());
    for (place, name, restart) in wanted {
        let claim = offsets::claim(&mut tx, group, name, place.partition).await?;
        let mut position = Position::from(claim);
        if *restart {
            offsets::restart(&mut tx, group, name, place.partition, position.epoch).await?;
            position.generation += 1;
            position.restart();
        }
        positions.push(position);
    }
    tx.commit().await?;
    Ok(positions)
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        kafka::log_error(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.kafka.down("no broker can be reached");
        }
    }

    fn stats_raw(&self, json: &[u8]) {
        let Some(seen) = statistics::read(json) else { return };
        if seen.is_connected {
            self.kafka.up();
        }
        if seen.is_member {
            self.has_joined();
        }
        let mut assignment = self.assignment();
        for (topic, partition, end) in seen.ends {
            let place = self.place(&topic, partition);
            if let Some(slot) = place.and_then(|place| assignment.slots.get_mut(&place)) {
                slot.end = Some(end);
                self.tell_lag(slot, partition);
            }
        }
    }
}

impl Context {
    pub(crate) fn tell_lag(&self, slot: &Slot, partition: i32) {
        if let Some(lag) = slot.lag() {
            let labels = PartitionLabels { topic: Arc::clone(&slot.name), partition };
            self.metrics.consumer_lag.get_or_create(&labels).set(lag);
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        client: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(client, list);
        } else {
            self.revoked(client, list);
        }
    }
}
