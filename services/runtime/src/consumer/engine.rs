//! One batch, one transaction: offsets, inbox, the handler's state, outbox, parked events and dead
//! letters change together or not at all. Knows nothing of Kafka's client.
//!
//! The order of steps is the argument: the offsets come first, as their rows are the fence (an owner
//! who was replaced stops there) and the lock (a new owner's claim waits for our end). Then the parked
//! keys, so that nobody empties a key while we put an event behind it. Then the inbox says what is new,
//! and only that reaches the handler. A crash at any point before the commit leaves nothing, one after
//! it leaves everything; when the answer to the commit is lost, the offsets tell which it was.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use storefront_contract::headers as names;
use tokio::sync::Notify;

use super::{
    ConsumerOptions,
    decode::{Content, Decoded, Raw, Reader, decode},
    outcome::{Fate, Outcome},
    settle::Results,
};
use crate::{
    Service,
    db::{Database, DatabaseError, Tx},
    failpoint::{self, Guard, Step},
    handler::{Failure, Handler, Outgoing, Received, Sender},
    store::{
        inbox::{self, State},
        offsets::{self, Advance},
        parked::{self, OrderKey},
    },
    text::chain,
};

/// Longest time for one transaction, all in. Nothing is polled meanwhile, and after
/// `max.poll.interval.ms` (5 min) the group would go on without us.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(150);

/// Longest word of a replay's header in a line of the log.
const TOLD_MAX_CHARS: usize = 200;

/// What a consumer, its parked runner and their transactions share.
pub(crate) struct Engine<H> {
    pub handler: H,
    pub service: Service,
    pub database: Database,
    /// With its prefix.
    pub group: String,
    pub sender: Sender,
    pub options: ConsumerOptions,
    /// Something was parked.
    pub parked: Arc<Notify>,
}

/// A record and what its place means.
pub(crate) struct Placed<'a> {
    pub raw: Raw<'a>,
    /// The topic's name on the broker.
    pub name: Arc<str>,
    pub generation: i64,
}

/// How the handler is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Once for all.
    Whole,
    /// For each event by itself: a batch has failed, and nobody knows by which.
    OneByOne,
}

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The handler refused the batch: try one by one.
    HandlerFailed,
    /// The database does not work, or a commit was not answered.
    Dependency(DatabaseError),
    /// The offsets are not where we believe.
    Moved,
    /// There is no room to park the record at this index.
    ParkedFull(usize),
}

impl From<DatabaseError> for Stop {
    fn from(error: DatabaseError) -> Self {
        Self::Dependency(error)
    }
}

impl<H: Handler> Engine<H> {
    /// Handles some records and moves the offsets past them. What became of each record.
    pub(crate) async fn attempt(
        &self,
        records: &[Placed<'_>],
        steps: &[Advance],
        mode: Mode,
    ) -> Result<Vec<Outcome>, Stop> {
        let work = self.transaction(records, steps, mode);
        match tokio::time::timeout(ATTEMPT_LIMIT, work).await {
            Ok(result) => result,
            Err(_) => Err(Stop::Dependency(DatabaseError::TooSlow)),
        }
    }

    async fn transaction(
        &self,
        records: &[Placed<'_>],
        steps: &[Advance],
        mode: Mode,
    ) -> Result<Vec<Outcome>, Stop> {
        let now = Timestamp::now();
        let decoded: Vec<Decoded<H::Event>> = records
            .iter()
            .map(|placed| {
                let Placed { raw, name, generation } = placed;
                let (group, generation) = (self.group.as_str(), *generation);
                decode(raw, Reader { group, topic: name, generation })
            })
            .collect();
        let mut tx = self.database.begin().await?;
        if !offsets::advance(&mut tx, &self.group, steps).await? {
            tx.rollback().await;
            return Err(Stop::Moved);
        }
        if failpoint::without(Guard::Offsets) {
            tx.commit().await?;
            failpoint::between_transactions().await;
            tx = self.database.begin().await?;
        }
        let mut held = self.held_keys(&mut tx, &decoded).await?;
        let mut fates = self.fates(&mut tx, decoded, &held, now).await?;
        let mut results = Results::new(Outgoing::new(self.sender.clone()));
        match mode {
            Mode::Whole => self.run_whole(&mut tx, records, &mut fates, &mut results).await?,
            Mode::OneByOne => {
                self.run_each(&mut tx, records, &mut fates, &mut held, &mut results).await?;
            }
        }
        self.settle(records, &fates, &mut results);
        self.store(&mut tx, &fates, results, now).await?;
        failpoint::reach(self.service.id, Step::EventsWritten);
        tx.commit().await?;
        tell_replays(records, &fates);
        Ok(fates.into_iter().map(|fate| fate.outcome).collect())
    }

    /// Which of the records' keys are parked; locked until the end.
    async fn held_keys(
        &self,
        tx: &mut Tx<'_>,
        decoded: &[Decoded<H::Event>],
    ) -> Result<HashSet<OrderKey>, Stop> {
        if failpoint::without(Guard::KeyLock) {
            return Ok(HashSet::new());
        }
        let keys: HashSet<OrderKey> = decoded
            .iter()
            .filter(|decoded| matches!(decoded.content, Content::Event { .. }))
            .map(|decoded| decoded.order_key.clone())
            .collect();
        Ok(parked::lock(tx, &self.group, &keys).await?)
    }

    /// Asks the inbox what is new, and says what is to become of each record.
    async fn fates(
        &self,
        tx: &mut Tx<'_>,
        decoded: Vec<Decoded<H::Event>>,
        held: &HashSet<OrderKey>,
        now: Timestamp,
    ) -> Result<Vec<Fate<H::Event>>, Stop> {
        let now_ms = now.as_millisecond();
        let mut fates: Vec<Fate<H::Event>> =
            decoded.into_iter().map(|decoded| Fate::new(decoded, held)).collect();
        let first_time = fates.iter().filter(|fate| fate.is_open() && !fate.replay);
        let ids = first_time.map(|fate| (&fate.identity, fate.state()));
        let mut new = inbox::insert(tx, &self.group, ids, now_ms).await?;
        for fate in fates.iter_mut().filter(|fate| fate.is_open()) {
            let is_new = if fate.replay {
                let how = (fate.state(), fate.anew);
                inbox::revive(tx, &self.group, &fate.identity, how, now_ms).await?
            } else {
                new.remove(&fate.identity)
            };
            if !is_new && !failpoint::without(Guard::Inbox) {
                fate.outcome = Outcome::Duplicate;
            }
        }
        Ok(fates)
    }

    async fn run_whole(
        &self,
        tx: &mut Tx<'_>,
        records: &[Placed<'_>],
        fates: &mut [Fate<H::Event>],
        results: &mut Results,
    ) -> Result<(), Stop> {
        let events: Vec<Received<H::Event>> = fates
            .iter_mut()
            .zip(records)
            .filter(|(fate, _)| fate.outcome == Outcome::Handled)
            .filter_map(|(fate, placed)| received::<H>(fate, &placed.raw))
            .collect();
        if events.is_empty() {
            return Ok(());
        }
        match self.call(&events, tx, &mut results.out).await {
            Ok(()) => Ok(()),
            Err(Failure::Dependency(error)) => Err(Stop::Dependency(error)),
            Err(_) => Err(Stop::HandlerFailed),
        }
    }

    async fn run_each(
        &self,
        tx: &mut Tx<'_>,
        records: &[Placed<'_>],
        fates: &mut [Fate<H::Event>],
        held: &mut HashSet<OrderKey>,
        results: &mut Results,
    ) -> Result<(), Stop> {
        for (index, (fate, placed)) in fates.iter_mut().zip(records).enumerate() {
            if fate.outcome != Outcome::Handled {
                continue;
            }
            if held.contains(&fate.order_key) {
                fate.outcome = Outcome::Parked { attempts: 0, error: String::new() };
                results.changed.push((index, State::Parked));
                continue;
            }
            let Some(event) = received::<H>(fate, &placed.raw) else { continue };
            let sent = results.out.len();
            tx.savepoint().await?;
            let Err(failure) = self.call(&[event], tx, &mut results.out).await else {
                tx.release().await?;
                continue;
            };
            if let Failure::Dependency(error) = failure {
                return Err(Stop::Dependency(error));
            }
            tx.rollback_to_savepoint().await?;
            results.out.truncate(sent);
            fate.outcome = Outcome::of_failure(&failure, 1, &self.options.parking);
            if let Outcome::Parked { .. } = fate.outcome {
                held.insert(fate.order_key.clone());
            }
            results.changed.push((index, fate.state()));
        }
        Ok(())
    }

    /// Calls the handler; what takes too long or panics has failed.
    pub(crate) async fn call(
        &self,
        events: &[Received<H::Event>],
        tx: &mut Tx<'_>,
        out: &mut Outgoing,
    ) -> Result<(), Failure> {
        // A statement of the handler's that takes too long is its failure, and not the database's.
        let limit = tx.wait_at_most(self.options.handler_limit * 2);
        let work = AssertUnwindSafe(self.handler.handle(events, tx, out)).catch_unwind();
        let handled = tokio::time::timeout(self.options.handler_limit, work).await;
        tx.wait_at_most(limit);
        match handled {
            // A handler that swallows an error of the database has not handled anything.
            Ok(Ok(Ok(()))) => match tx.failure() {
                Some(kind) => Err(DatabaseError::Aborted { kind }.into()),
                None => out.check(),
            },
            Ok(Ok(Err(failure))) => Err(failure),
            Ok(Err(_)) => Err(Failure::temporary("the handler panicked")),
            Err(_) => Err(Failure::temporary("the handler took too long")),
        }
    }

    pub(crate) fn dead_letter_topic(&self, topic: storefront_contract::Topic) -> String {
        self.sender.dead_letter_topic(topic).map(|(_, topic)| topic).unwrap_or_default()
    }
}

/// The event of a fate, with its context. Taken out: a record is decoded anew for each attempt.
pub(crate) fn received<H: Handler>(
    fate: &mut Fate<H::Event>,
    raw: &Raw<'_>,
) -> Option<Received<H::Event>> {
    let (event, envelope) = fate.event.take()?;
    let record = H::KEEPS_RECORDS.then(|| Box::new(raw.to_record(&fate.identity)));
    let Raw { topic, partition, offset, .. } = *raw;
    Some(Received { event, envelope, topic, partition, offset, record })
}

/// Who has had an event taken up again, for whoever looks into it later.
fn tell_replays<E>(records: &[Placed<'_>], fates: &[Fate<E>]) {
    for (placed, fate) in records.iter().zip(fates).filter(|(_, fate)| fate.replay) {
        let Placed { raw, name, .. } = placed;
        // They are anybody's words.
        let header = |name| {
            let text = raw.header(name).map(String::from_utf8_lossy)?;
            Some(text.chars().take(TOLD_MAX_CHARS).collect::<String>())
        };
        tracing::info!(
            event.id = fate.identity.id,
            replay.topic = %name,
            replay.partition = raw.partition,
            replay.offset = raw.offset,
            replay.letter = header(names::DLQ_LETTER).as_deref(),
            replay.by = header(names::REPLAY_BY).as_deref(),
            replay.at = header(names::REPLAY_AT).as_deref(),
            replay.count = header(names::REPLAY_COUNT).as_deref(),
            result = fate.outcome.word(),
            "an event was sent again for us"
        );
    }
}

/// One line that says what went wrong.
pub(crate) fn explain(failure: &Failure) -> String {
    super::dead::one_line(&chain(failure))
}
