//! What this member of the group owns, and where it stands in each partition. Decides for each record
//! whether it is ours, new, and of the log we believe to read. Pure.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use storefront_contract::Topic;

use crate::store::offsets::Claim;

/// A partition of a topic of ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub topic: Topic,
    pub partition: i32,
}

/// How long after a seek librdkafka may still be led elsewhere: a request waits for an answer for a minute
/// (`socket.timeout.ms`), and is then made again.
const SETTLED: Duration = Duration::from_secs(150);

/// Partitions by their topics' names on the broker.
pub(crate) type Names = Vec<(Arc<str>, i32)>;

/// What we know of one partition.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The topic's name on the broker.
    pub name: Arc<str>,
    pub state: State,
    /// librdkafka was told to fetch nothing.
    pub is_paused: bool,
    /// There is no room for another parked event; not before this time again.
    pub blocked_until: Option<Instant>,
    /// The offset after the log's last record, as far as the broker has told.
    pub end: Option<i64>,
    /// When librdkafka was last told where to read.
    pub sought_at: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Kafka gave it to us; the database does not know yet. Nothing of it is read.
    Wanted {
        /// The topic is another one than before: start at its beginning.
        restart: bool,
        /// Not before this time, after we lost it to another owner.
        not_before: Option<Instant>,
    },
    Owned(Position),
}

/// Where we stand in a partition that the database says is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub epoch: i64,
    pub generation: i64,
    /// The database's offset: the first record that was not handled.
    pub stored: i64,
    /// The next record that we expect to be given.
    pub read: i64,
    /// The fingerprint of the record before `stored`, until it was compared. It is read again for that.
    pub verify: Option<String>,
    /// Nothing was read of this log yet, so that a start at a later record is no gap.
    pub fresh: bool,
    /// A record behind a gap that nothing explains: what is there is read again, to see whether it is the next one.
    pub doubted: Option<i64>,
}

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is the next one.
    Take,
    /// It is the next one, but the ones from here to it are not there any more: they expired, or they
    /// were never records (transaction markers).
    TakeAfterGap { from: i64 },
    /// It is not ours (any more), or was handled.
    Drop,
    /// This is another log than the one we stood in: the topic was deleted and made again.
    Replaced,
}

impl From<Claim> for Position {
    fn from(claim: Claim) -> Self {
        let Claim { next_offset: stored, epoch, generation, fingerprint: verify } = claim;
        let fresh = verify.is_none();
        Self { epoch, generation, stored, read: stored, verify, fresh, doubted: None }
    }
}

impl Position {
    /// Where to begin to read: one record earlier, to see whether it is still the same.
    pub(crate) fn start(&self) -> i64 {
        if self.verify.is_some() { (self.stored - 1).max(0) } else { self.stored }
    }

    /// The log is another one: start at its beginning, wherever that is.
    pub(crate) fn restart(&mut self) {
        (self.stored, self.read, self.verify, self.fresh) = (0, 0, None, true);
    }

    /// Judges the record at `offset` and moves on when it is taken.
    pub(crate) fn admit(&mut self, offset: i64, fingerprint: impl FnOnce() -> String) -> Admission {
        if let Some(known) = &self.verify {
            if offset < self.stored {
                if offset != self.stored - 1 || *known != fingerprint() {
                    return Admission::Replaced;
                }
                self.verify = None;
                return Admission::Drop;
            }
            // It expired meanwhile, which is no sign of anything.
            self.verify = None;
        }
        let from = self.read;
        if offset < from {
            return Admission::Replaced;
        }
        self.read = offset + 1;
        let fresh = std::mem::replace(&mut self.fresh, false);
        if offset > from && !fresh { Admission::TakeAfterGap { from } } else { Admission::Take }
    }
}

impl Position {
    /// Whether the record at `offset`, which came in place of the one at `from`, has to come once more before it is
    /// believed. It was admitted; now it was not.
    pub(crate) fn doubts(&mut self, from: i64, offset: i64) -> bool {
        if self.doubted.take() == Some(offset) {
            return false;
        }
        (self.doubted, self.read) = (Some(offset), from);
        true
    }
}

impl Slot {
    pub(crate) fn new(name: Arc<str>) -> Self {
        let state = State::Wanted { restart: false, not_before: None };
        let sought_at = Instant::now();
        Self { name, state, is_paused: false, blocked_until: None, end: None, sought_at }
    }

    /// Whether answers to questions from before the last seek may still come.
    pub(crate) fn is_unsettled(&self, now: Instant) -> bool {
        now.duration_since(self.sought_at) < SETTLED
    }

    pub(crate) fn position(&self) -> Option<&Position> {
        match &self.state {
            State::Owned(position) => Some(position),
            State::Wanted { .. } => None,
        }
    }

    pub(crate) fn position_mut(&mut self) -> Option<&mut Position> {
        match &mut self.state {
            State::Owned(position) => Some(position),
            State::Wanted { .. } => None,
        }
    }

    /// Records not yet handled, as far as known.
    pub(crate) fn lag(&self) -> Option<i64> {
        Some((self.end? - self.position()?.stored).max(0))
    }

    /// Whether there is something to read that we were not given.
    pub(crate) fn is_behind(&self) -> bool {
        let read = self.position().map(|position| position.read);
        !self.is_paused && self.end.zip(read).is_some_and(|(end, read)| end > read)
    }
}

/// Everything we own.
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    pub slots: BTreeMap<Place, Slot>,
    /// A dependency is down: nothing is read. What is assigned meanwhile inherits it.
    pub paused: bool,
}

impl Assignment {
    /// Judges a record of a partition.
    pub(crate) fn admit(
        &mut self,
        place: &Place,
        offset: i64,
        fingerprint: impl FnOnce() -> String,
    ) -> Admission {
        let Some(slot) = self.slots.get_mut(place) else { return Admission::Drop };
        if slot.blocked_until.is_some() {
            return Admission::Drop;
        }
        let is_unsettled = slot.is_unsettled(Instant::now());
        let Some(position) = slot.position_mut() else { return Admission::Drop };
        let compares = position.verify.is_some();
        let admission = position.admit(offset, fingerprint);
        if admission != Admission::Replaced {
            return admission;
        }
        // Soon after a seek librdkafka may have gone back by itself. A new claim compares the logs.
        let restart = compares || !is_unsettled;
        slot.state = State::Wanted { restart, not_before: None };
        if restart { admission } else { Admission::Drop }
    }

    /// Whether a partition is still ours, by the epoch under which a record of it was read.
    pub(crate) fn owns(&self, place: &Place, epoch: i64) -> bool {
        self.slots
            .get(place)
            .and_then(Slot::position)
            .is_some_and(|position| position.epoch == epoch)
    }

    /// Partitions that nothing must be fetched from, and those that may be, where librdkafka has been
    /// told otherwise.
    pub(crate) fn pauses(&mut self) -> (Names, Names) {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (place, slot) in &mut self.slots {
            let wanted = self.paused || slot.blocked_until.is_some() || slot.position().is_none();
            if wanted != slot.is_paused {
                let list = if wanted { &mut pause } else { &mut resume };
                list.push((Arc::clone(&slot.name), place.partition));
                slot.is_paused = wanted;
            }
        }
        (pause, resume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(stored: i64, verify: Option<&str>) -> Position {
        let fingerprint = verify.map(ToOwned::to_owned);
        Claim { next_offset: stored, epoch: 1, generation: 0, fingerprint }.into()
    }

    fn mark(text: &str) -> impl FnOnce() -> String + '_ {
        move || text.to_owned()
    }

    #[test]
    fn the_record_before_is_compared_and_not_handled_again() {
        let mut position = position(5, Some("d"));
        assert_eq!(position.start(), 4);
        assert_eq!(position.admit(4, mark("d")), Admission::Drop);
        assert_eq!(position.admit(5, mark("e")), Admission::Take);
        assert_eq!(position.admit(6, mark("f")), Admission::Take);
    }

    #[test]
    fn another_record_there_means_another_log() {
        assert_eq!(position(5, Some("d")).admit(4, mark("x")), Admission::Replaced);
        // The new log is shorter, and librdkafka went to its beginning.
        assert_eq!(position(5, Some("d")).admit(0, mark("x")), Admission::Replaced);
        // It was replaced while we read.
        let mut reading = position(0, None);
        assert_eq!(reading.admit(0, mark("a")), Admission::Take);
        assert_eq!(reading.admit(1, mark("b")), Admission::Take);
        assert_eq!(reading.admit(0, mark("x")), Admission::Replaced);
    }

    #[test]
    fn expired_records_are_a_gap_except_at_the_very_first_start() {
        assert_eq!(position(0, None).admit(100, mark("a")), Admission::Take);
        let mut position = position(5, Some("d"));
        assert_eq!(position.admit(9, mark("i")), Admission::TakeAfterGap { from: 5 });
        assert_eq!(position.admit(10, mark("j")), Admission::Take);
    }

    #[test]
    fn what_comes_behind_a_gap_twice_is_believed() {
        let mut position = position(5, Some("d"));
        assert_eq!(position.admit(9, mark("i")), Admission::TakeAfterGap { from: 5 });
        assert!(position.doubts(5, 9));
        // The next ones were read along with it.
        assert_eq!(position.admit(10, mark("j")), Admission::TakeAfterGap { from: 5 });
        assert!(position.doubts(5, 10));
        // Read again from there.
        assert_eq!(position.admit(5, mark("e")), Admission::Take);
        assert_eq!(position.admit(7, mark("g")), Admission::TakeAfterGap { from: 6 });
        assert!(position.doubts(6, 7));
        assert_eq!(position.admit(7, mark("g")), Admission::TakeAfterGap { from: 6 });
        assert!(!position.doubts(6, 7));
        assert_eq!(position.admit(8, mark("h")), Admission::Take);
    }

    #[test]
    fn a_way_back_soon_after_a_seek_is_no_new_log_before_it_was_compared() {
        let place = Place { topic: Topic::PaymentSuccessful, partition: 0 };
        let judged = |verify: Option<&str>, sought_ago: Duration| {
            let mut slot = Slot::new("t".into());
            slot.state = State::Owned(position(5, verify));
            slot.sought_at = Instant::now().checked_sub(sought_ago).unwrap();
            let mut assignment = Assignment::default();
            assignment.slots.insert(place.clone(), slot);
            let admission = assignment.admit(&place, 0, mark("x"));
            (admission, assignment.slots[&place].state.clone())
        };
        let wanted = |restart| State::Wanted { restart, not_before: None };
        assert_eq!(judged(None, Duration::ZERO), (Admission::Drop, wanted(false)));
        assert_eq!(judged(Some("d"), Duration::ZERO), (Admission::Replaced, wanted(true)));
        assert_eq!(judged(None, SETTLED), (Admission::Replaced, wanted(true)));
    }

    #[test]
    fn nothing_is_taken_of_a_partition_that_is_not_ours() {
        let place = Place { topic: Topic::PaymentSuccessful, partition: 0 };
        let mut assignment = Assignment::default();
        assert_eq!(assignment.admit(&place, 0, mark("a")), Admission::Drop);
        assignment.slots.insert(place.clone(), Slot::new("t".into()));
        assert_eq!(assignment.admit(&place, 0, mark("a")), Admission::Drop, "not claimed yet");
        assert_eq!(assignment.pauses(), (vec![("t".into(), 0)], vec![]));
        if let Some(slot) = assignment.slots.get_mut(&place) {
            slot.state = State::Owned(position(0, None));
        }
        assert_eq!(assignment.pauses(), (vec![], vec![("t".into(), 0)]));
        assert_eq!(assignment.admit(&place, 0, mark("a")), Admission::Take);
        assert!(assignment.owns(&place, 1) && !assignment.owns(&place, 2));
        assignment.paused = true;
        assert_eq!(assignment.pauses(), (vec![("t".into(), 0)], vec![]));
    }
}
