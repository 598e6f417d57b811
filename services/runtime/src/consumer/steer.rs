//! Tells librdkafka what to read: where from, what not for now, and which offsets to copy. The
//! assignment says what is wanted; here it is done.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

use super::{
    assignment::{Assignment, Names, Place, State},
    context::Context,
};

/// Partitions by their names on the broker, with an offset each.
pub(crate) type Offsets = Vec<(Arc<str>, i32, i64)>;
pub(crate) type Client = BaseConsumer<Context>;

/// Longest wait for a broker's answer about watermarks, and for a seek.
pub(crate) const ASK_LIMIT: Duration = Duration::from_secs(5);
/// How long an owner that was replaced in the database leaves the partition alone. Kafka takes it away
/// meanwhile, or the other one was the one that is late.
const FENCED: Duration = Duration::from_secs(3);
/// How long a partition without room for parked events waits before it looks again.
const BLOCKED: Duration = Duration::from_secs(1);

/// An offset as librdkafka wants it: the beginning is wherever the log begins now.
pub(crate) fn start_offset(offset: i64) -> Offset {
    if offset > 0 { Offset::Offset(offset) } else { Offset::Beginning }
}

/// Makes librdkafka fetch what may be read and nothing else.
pub(crate) fn apply_pauses(client: &Client, assignment: &mut Assignment) {
    let list = |places: Names| {
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            list.add_partition(&topic, partition);
        }
        list
    };
    let (pause, resume) = assignment.pauses();
    for (places, pauses) in [(pause, true), (resume, false)] {
        if places.is_empty() {
            continue;
        }
        let places = list(places);
        let result = if pauses { client.pause(&places) } else { client.resume(&places) };
        if let Err(error) = result {
            tracing::warn!(%error, pauses, "partitions could not be paused or resumed");
        }
    }
}

/// Goes to other offsets than those that librdkafka reads from. One that fails is wanted again.
pub(crate) fn seek(client: &Client, starts: Offsets) {
    let mut list = TopicPartitionList::with_capacity(starts.len());
    for (name, partition, offset) in &starts {
        list.add_partition_offset(name, *partition, start_offset(*offset)).ok();
    }
    let result = client.seek_partitions(list, ASK_LIMIT);
    let mut assignment = client.context().assignment();
    for (name, partition, _) in starts {
        let failed = match &result {
            Ok(list) => list.find_partition(&name, partition).is_none_or(|e| e.error().is_err()),
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
pub(crate) fn unblock(client: &Client) {
    let now = Instant::now();
    let mut assignment = client.context().assignment();
    let mut starts = Vec::new();
    for (place, slot) in &mut assignment.slots {
        if slot.blocked_until.is_some_and(|until| until <= now) {
            slot.blocked_until = None;
            slot.sought_at = now;
            let name = Arc::clone(&slot.name);
            if let Some(position) = slot.position_mut() {
                position.read = position.stored;
                starts.push((name, place.partition, position.read));
            }
        }
    }
    drop(assignment);
    if !starts.is_empty() {
        seek(client, starts);
        apply_pauses(client, &mut client.context().assignment());
    }
}

/// There is no room to park: the partition waits, the others go on.
pub(crate) fn block(client: &Client, place: &Place) {
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

/// Something was passed by: the partition is read again from where we stand.
pub(crate) fn read_again(client: &Client, place: &Place) {
    let mut assignment = client.context().assignment();
    if let Some(slot) = assignment.slots.get_mut(place) {
        slot.blocked_until = Some(Instant::now());
    }
    apply_pauses(client, &mut assignment);
}

/// The database has another owner for a partition: leave it alone for a while.
pub(crate) fn fence(client: &Client, place: &Place) {
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
pub(crate) fn copy_offsets(client: &Client, offsets: &Offsets) {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (name, partition, offset) in offsets {
        list.add_partition_offset(name, *partition, Offset::Offset(*offset)).ok();
    }
    if let Err(error) = client.store_offsets(&list) {
        tracing::debug!(%error, "offsets were not copied to Kafka");
    }
}

/// Pauses or resumes everything, for a dependency's sake.
pub(crate) fn set_paused(client: &Client, paused: bool) {
    let mut assignment = client.context().assignment();
    assignment.paused = paused;
    apply_pauses(client, &mut assignment);
}
