//! The end of a batch's transaction: what became of its events is stored.

use jiff::Timestamp;

use super::{
    dead::DeadLetter,
    engine::{Engine, Placed, Stop},
    outcome::{Fate, Outcome},
};
use crate::{
    db::Tx,
    handler::{Handler, Outgoing},
    store::{
        inbox::{self, State},
        outbox,
        parked::{self, Parked},
    },
};

/// What is collected for the end of the transaction.
pub(super) struct Results {
    pub out: Outgoing,
    dead: Vec<DeadLetter>,
    parked: Vec<(usize, Parked)>,
    /// Fates that differ from what the inbox was told at first.
    pub changed: Vec<(usize, State)>,
}

impl Results {
    pub(super) fn new(out: Outgoing) -> Self {
        Self { out, dead: Vec::new(), parked: Vec::new(), changed: Vec::new() }
    }
}

impl<H: Handler> Engine<H> {
    /// Turns fates into what is stored for them.
    pub(super) fn settle(
        &self,
        records: &[Placed<'_>],
        fates: &[Fate<H::Event>],
        results: &mut Results,
    ) {
        for (index, (fate, placed)) in fates.iter().zip(records).enumerate() {
            let Placed { raw, name, .. } = placed;
            match &fate.outcome {
                Outcome::Dead { reason, error, attempts } => {
                    tracing::warn!(
                        event.id = fate.identity.id, topic = %name, partition = raw.partition,
                        offset = raw.offset, reason, error, "event dead-lettered"
                    );
                    results.dead.push(DeadLetter {
                        to: self.dead_letter_topic(raw.topic),
                        topic: name.to_string(),
                        partition: raw.partition,
                        offset: raw.offset,
                        key: raw.key.map(<[u8]>::to_vec),
                        payload: raw.payload.map(<[u8]>::to_vec),
                        headers: raw.owned_headers(),
                        reason: (*reason).to_owned(),
                        error: error.clone(),
                        attempts: *attempts,
                    });
                }
                Outcome::Parked { attempts, error } => {
                    if *attempts > 0 {
                        tracing::warn!(
                            event.id = fate.identity.id, topic = %name, partition = raw.partition,
                            offset = raw.offset, error, "event parked"
                        );
                    }
                    results.parked.push((index, fate.to_parked(raw, *attempts, error)));
                }
                Outcome::Handled | Outcome::Duplicate | Outcome::ForOthers => {}
            }
        }
    }

    pub(super) async fn store(
        &self,
        tx: &mut Tx<'_>,
        fates: &[Fate<H::Event>],
        results: Results,
        now: Timestamp,
    ) -> Result<(), Stop> {
        let Results { out, dead, parked, changed } = results;
        let now_ms = now.as_millisecond();
        for state in [State::Parked, State::Dead] {
            let ids: Vec<_> = changed
                .iter()
                .filter(|(_, changed)| *changed == state)
                .map(|(index, _)| &fates[*index].identity)
                .collect();
            inbox::mark(tx, &self.group, &ids, state).await?;
        }
        let mut messages = out.into_messages();
        messages.extend(dead.into_iter().map(|letter| letter.into_message(now)));
        outbox::insert(tx, messages, now_ms).await?;
        if let Some((first, _)) = parked.first() {
            let room = self.options.parking.parked_max - parked::count(tx, &self.group).await?;
            let room = usize::try_from(room).unwrap_or(0);
            if parked.len() > room {
                return Err(Stop::ParkedFull(parked.get(room).map_or(*first, |(index, _)| *index)));
            }
            let wait_ms = self.options.parking.delay_after(1).as_millis();
            let due_at_ms = now_ms + i64::try_from(wait_ms).unwrap_or(i64::MAX / 2);
            let parked = parked.into_iter().map(|(_, parked)| parked).collect();
            parked::insert(tx, &self.group, parked, due_at_ms, now_ms).await?;
            self.parked.notify_one();
        }
        Ok(())
    }
}
