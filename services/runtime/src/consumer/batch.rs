//! Records that were read and not yet handled, in memory until they are. Bounded by the options.

use std::{collections::BTreeMap, sync::Arc};

use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Headers as _},
};

use super::{
    assignment::{Assignment, Place},
    decode::Raw,
    engine::Placed,
};
use crate::store::offsets::Advance;

/// A record in librdkafka's memory, and under which ownership it was read.
pub(crate) struct Entry<'c> {
    pub message: BorrowedMessage<'c>,
    pub place: Place,
    pub name: Arc<str>,
    pub epoch: i64,
    pub generation: i64,
}

impl Entry<'_> {
    pub(crate) fn offset(&self) -> i64 {
        self.message.offset()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.message.key_len() + self.message.payload_len()
    }

    /// Borrows key, value and headers: nothing is copied until it has to be stored.
    pub(crate) fn placed(&self) -> Placed<'_> {
        let raw = raw(&self.message, &self.place);
        Placed { raw, name: Arc::clone(&self.name), generation: self.generation }
    }
}

pub(crate) fn raw<'m>(message: &'m BorrowedMessage<'_>, place: &Place) -> Raw<'m> {
    Raw {
        topic: place.topic,
        partition: place.partition,
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key(),
        payload: message.payload(),
        headers: message
            .headers()
            .map(|headers| headers.iter().map(|header| (header.key, header.value)).collect())
            .unwrap_or_default(),
    }
}

/// Forgets records that are not ours any more, or were handled already. Keeps the order.
pub(crate) fn retain_ours(entries: &mut Vec<Entry<'_>>, assignment: &Assignment) {
    entries.retain(|entry| {
        assignment.owns(&entry.place, entry.epoch)
            && assignment
                .slots
                .get(&entry.place)
                .and_then(|slot| slot.position())
                .is_some_and(|position| entry.offset() >= position.stored)
    });
}

/// How the offsets move past `entries`, per partition.
pub(crate) fn steps(entries: &[Entry<'_>], assignment: &Assignment) -> Vec<Advance> {
    let mut last: BTreeMap<&Place, &Entry<'_>> = BTreeMap::new();
    for entry in entries {
        last.insert(&entry.place, entry);
    }
    last.into_iter()
        .filter_map(|(place, entry)| {
            let position = assignment.slots.get(place)?.position()?;
            Some(Advance {
                topic: entry.name.to_string(),
                partition: place.partition,
                epoch: entry.epoch,
                from_offset: position.stored,
                to_offset: entry.offset() + 1,
                fingerprint: raw(&entry.message, place).fingerprint(),
            })
        })
        .collect()
}
