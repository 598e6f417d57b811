//! What became of a dead letter after it was given up, as far as topics and stored offsets tell. Whether
//! an event was handled stands in the service's database, which nobody but the service reads: so this
//! never says `handled`, only that its group has read the replay and not given it up again.

use std::collections::{BTreeMap, BTreeSet};

use storefront_contract::headers as names;

use crate::{Cluster, DeadLetter, InspectError, Place, Record, Session, Span, Start, session::Key};

/// What is known of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was not sent back.
    Dead,
    /// It was sent back, and its group has not read that yet.
    SentBack(Place),
    /// Its group has read the replay, and not given it up again.
    TakenUp(Place),
    /// Given up again after a replay: the newer letter of the event stands for it.
    DiedAgain(Place),
}

impl Fate {
    /// A fixed word for people and scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::SentBack(_) => "sent-back",
            Self::TakenUp(_) => "taken-up",
            Self::DiedAgain(_) => "died-again",
        }
    }

    /// Whether somebody still has to do something about it.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Dead)
    }
}

/// The clocks of whoever gave up and of whoever sends back may differ by so much. A replay that is not
/// found would be sent again, in circles.
const CLOCKS_APART_MS: i64 = 3_600_000;

/// Group and where the event stood first: the same for every letter of one event.
type Event = (String, Place);

/// Everything that is needed to tell fates.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    /// The newest replay of each letter, by where the letter stands, and how many there were.
    replays: BTreeMap<Place, (Place, u32)>,
    /// Next offsets of each group in the source topics.
    committed: BTreeMap<(String, String, i32), i64>,
}

impl Fates {
    /// Looks for replays behind the oldest letter, and how far groups are.
    pub(crate) fn look(
        session: &Session,
        letters: &[DeadLetter],
        cluster: &Cluster,
    ) -> Result<Self, InspectError> {
        let mut fates = Self::default();
        if letters.is_empty() {
            return Ok(fates);
        }
        let keys: BTreeSet<Key> = letters
            .iter()
            .map(|letter| (letter.origin.topic.clone(), letter.origin.partition))
            .filter(|(topic, number)| {
                let partitions = cluster.topic(topic).map(|topic| topic.partitions.as_slice());
                partitions.unwrap_or_default().iter().any(|it| it.number == *number)
            })
            .collect();
        // A letter without a time may have been sent back at any.
        let since = match letters.iter().map(|letter| letter.died).min().flatten() {
            Some(oldest) => Start::Time(oldest.as_millisecond() - CLOCKS_APART_MS),
            None => Start::Beginning,
        };
        session.read_partitions(&keys, since, Span::Now)?.rest(|record| fates.keep(&record))?;
        let groups: BTreeSet<&str> = letters.iter().map(|letter| letter.group.as_str()).collect();
        for group in groups {
            let failed = |source| InspectError::Offsets { group: group.to_owned(), source };
            let committed = session.committed(group, keys.iter()).map_err(failed)?;
            for ((topic, partition), offset) in committed {
                fates.committed.insert((group.to_owned(), topic, partition), offset);
            }
        }
        Ok(fates)
    }

    fn keep(&mut self, record: &Record) {
        let letter = record.header(names::DLQ_LETTER).and_then(|place| place.parse().ok());
        if let (Some(letter), Some(_)) = (letter, record.header(names::REPLAY_GROUP)) {
            let Record { topic, partition, offset, .. } = record;
            let here = Place { topic: topic.clone(), partition: *partition, offset: *offset };
            let (newest, count) = self.replays.entry(letter).or_insert((here.clone(), 0));
            (*newest, *count) = (here, *count + 1);
        }
    }

    /// Writes into each letter what became of it.
    pub(crate) fn tell(&self, letters: &mut [DeadLetter]) {
        // A letter keeps its partition, so that the newest of an event has the highest offset.
        let mut newest: BTreeMap<Event, Place> = BTreeMap::new();
        for letter in letters.iter() {
            let event = (letter.group.clone(), letter.origin.clone());
            let place = newest.entry(event).or_insert_with(|| letter.place());
            *place = letter.place().max(place.clone());
        }
        for letter in letters {
            let (group, place) = (&letter.group, letter.place());
            let newest = newest.get(&(group.clone(), letter.origin.clone()));
            let replay = self.replays.get(&place);
            letter.sent_back += replay.map_or(0, |(_, count)| *count);
            // Also of a letter that was only sent twice: one of both is enough.
            if let Some(newest) = newest.filter(|newest| **newest > place) {
                letter.fate = Fate::DiedAgain(newest.clone());
                continue;
            }
            let Some((replay, _)) = replay else { continue };
            let key = (group.clone(), replay.topic.clone(), replay.partition);
            let read = self.committed.get(&key).is_some_and(|next| *next > replay.offset);
            let place = replay.clone();
            letter.fate = if read { Fate::TakenUp(place) } else { Fate::SentBack(place) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(topic: &str, offset: i64) -> Place {
        Place { topic: topic.into(), partition: 0, offset }
    }

    fn record(topic: &str, offset: i64, headers: &[(&str, &str)]) -> Record {
        Record {
            topic: topic.into(),
            partition: 0,
            offset,
            time: None,
            key: None,
            value: None,
            headers: headers
                .iter()
                .map(|(n, v)| ((*n).into(), Some(v.as_bytes().to_vec())))
                .collect(),
        }
    }

    /// A letter at an offset, of an event that stood at another one.
    fn letter(offset: i64, origin: i64) -> DeadLetter {
        let origin = origin.to_string();
        let headers = [("dlq-topic", "t"), ("dlq-partition", "0"), ("dlq-offset", &*origin)];
        DeadLetter::read(record("t.g.dlq", offset, &headers), "g").unwrap()
    }

    fn replay(offset: i64, letter: i64) -> Record {
        let letter = format!("t.g.dlq/0/{letter}");
        record("t", offset, &[("replay-group", "g"), ("dlq-letter", &letter)])
    }

    #[test]
    fn a_letter_that_came_back_too_often_is_in_a_circle() {
        let mut fates = Fates::default();
        for record in [replay(10, 0), replay(11, 0), replay(12, 0), replay(13, 1)] {
            fates.keep(&record);
        }
        let mut died_again = letter(1, 2);
        died_again.sent_back = 2;
        let mut letters = [letter(0, 1), died_again, letter(2, 3)];
        fates.tell(&mut letters);
        let told = letters.map(|letter| (letter.sent_back, letter.is_in_a_circle()));
        assert_eq!(told, [(3, true), (3, true), (0, false)]);
    }

    #[test]
    fn a_fate_follows_from_replays_offsets_and_later_deaths() {
        let mut fates = Fates::default();
        let stranger = record("t", 14, &[("replay-group", "g"), ("dlq-letter", "here")]);
        for record in [replay(10, 0), replay(11, 1), replay(12, 2), stranger] {
            fates.keep(&record);
        }
        fates.committed.insert(("g".into(), "t".into(), 0), 12);
        // The last one is the second death of what died as the second.
        let mut letters = [letter(0, 1), letter(1, 2), letter(2, 3), letter(3, 4), letter(4, 2)];
        fates.tell(&mut letters);
        let told: Vec<_> = letters.iter().map(|letter| letter.fate.clone()).collect();
        assert_eq!(
            told,
            [
                Fate::TakenUp(place("t", 10)),
                Fate::DiedAgain(place("t.g.dlq", 4)),
                Fate::SentBack(place("t", 12)),
                Fate::Dead,
                Fate::Dead,
            ]
        );
    }
}
