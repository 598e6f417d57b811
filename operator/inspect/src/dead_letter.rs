//! Dead letters: what a group gave up, why, and what has become of it since.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap};
use storefront_contract::{headers as names, replay::times_sent_back};

use crate::{
    Cluster, Content, Fate, InspectError, Record, Scope, Session, Span, Start, fate::Fates,
    session::Key,
};

/// Most letters that are listed of one partition, if nothing else is said: the newest ones.
const LETTERS_MAX: i64 = 1_000;

/// What was sent back so often, and is dead all the same, goes in a circle.
const SENT_BACK_MAX: u32 = 3;

/// Where a record stands: `topic/partition/offset`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// A text that is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no place of a record: write TOPIC/PARTITION/OFFSET, as `storefront dlq list` shows it"
)]
pub struct PlaceError(pub String);

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let parsed = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
            let right = !topic.is_empty() && partition >= 0 && offset >= 0;
            right.then(|| Self { topic: topic.to_owned(), partition, offset })
        };
        parsed().ok_or_else(|| PlaceError(text.to_owned()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A record that is no dead letter of this shop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has no header `{0}`, or not one that can be read")]
pub struct NotALetter(pub &'static str);

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub record: Record,
    /// The group that gave it up.
    pub group: String,
    /// A fixed word, such as `undecodable`.
    pub reason: String,
    pub error: String,
    pub attempts: u32,
    /// Where it stood first.
    pub origin: Place,
    /// When it was given up.
    pub died: Option<Timestamp>,
    pub fate: Fate,
    /// How often its event was sent back, as far as the letter and its source topic tell.
    pub sent_back: u32,
}

/// What was found on the dead-letter topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// The oldest first.
    pub letters: Vec<DeadLetter>,
    /// Older letters that were not looked at.
    pub not_shown: i64,
    /// Records on those topics that are no dead letters: somebody else put them there.
    pub strangers: usize,
}

impl DeadLetter {
    /// Reads the headers that the runtime adds. `group` follows from the topic.
    pub fn read(record: Record, group: &str) -> Result<Self, NotALetter> {
        let text = |name: &'static str| record.header(name).ok_or(NotALetter(name));
        let topic = text(names::DLQ_TOPIC)?.to_owned();
        let partition = text(names::DLQ_PARTITION)?.parse();
        let partition = partition.map_err(|_| NotALetter(names::DLQ_PARTITION))?;
        let offset = text(names::DLQ_OFFSET)?.parse();
        let offset = offset.map_err(|_| NotALetter(names::DLQ_OFFSET))?;
        let or_empty = |name| record.header(name).unwrap_or_default();
        Ok(Self {
            group: group.to_owned(),
            reason: crate::record::tame(or_empty(names::DLQ_REASON)),
            error: crate::record::tame(or_empty(names::DLQ_ERROR)),
            attempts: or_empty(names::DLQ_ATTEMPTS).parse().unwrap_or_default(),
            origin: Place { topic, partition, offset },
            died: or_empty(names::DLQ_TIME).parse().ok().or(record.time),
            fate: Fate::Dead,
            sent_back: times_sent_back(&record.headers),
            record,
        })
    }

    /// Whether it was sent back so often that once more would be a circle: its cause is not mended.
    pub fn is_in_a_circle(&self) -> bool {
        self.sent_back >= SENT_BACK_MAX
    }

    pub fn place(&self) -> Place {
        let Record { topic, partition, offset, .. } = &self.record;
        Place { topic: topic.clone(), partition: *partition, offset: *offset }
    }
}

impl Serialize for DeadLetter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("place", &self.place().to_string())?;
        map.serialize_entry("group", &self.group)?;
        map.serialize_entry("reason", &self.reason)?;
        map.serialize_entry("error", &self.error)?;
        map.serialize_entry("attempts", &self.attempts)?;
        map.serialize_entry("origin", &self.origin.to_string())?;
        map.serialize_entry("died", &self.died)?;
        map.serialize_entry("fate", self.fate.word())?;
        map.serialize_entry("sentBack", &self.sent_back)?;
        map.serialize_entry("inCircle", &self.is_in_a_circle())?;
        map.serialize_entry("record", &self.record)?;
        map.end()
    }
}

impl Session {
    /// Every letter of the shop's groups, with what became of it as far as topics tell.
    pub fn dead_letters(&self, scope: &Scope) -> Result<DeadLetters, InspectError> {
        self.newest_dead_letters(scope, LETTERS_MAX)
    }

    /// The same, of at most so many letters in each partition.
    pub fn newest_dead_letters(
        &self,
        scope: &Scope,
        most: i64,
    ) -> Result<DeadLetters, InspectError> {
        let cluster = self.layout()?;
        let mut found = DeadLetters::default();
        let keys = letter_keys(scope, &cluster);
        for (start, end) in self.ends(keys.iter().cloned())?.into_values() {
            found.not_shown += (end - start - most).max(0);
        }
        let reader = self.read_partitions(&keys, Start::Last(most), Span::Now)?;
        reader.rest(|record| match letter(record, scope) {
            Ok(letter) => found.letters.push(letter),
            Err(NotALetter(_)) => found.strangers += 1,
        })?;
        found.letters.sort_by_key(|letter| (letter.died, letter.place()));
        let fates = Fates::look(self, &found.letters, &cluster)?;
        fates.tell(&mut found.letters);
        Ok(found)
    }

    /// One letter, where it stands.
    pub fn dead_letter(&self, scope: &Scope, place: &Place) -> Result<DeadLetter, InspectError> {
        let record = self.record(place)?;
        let letter = letter(record, scope).map_err(|missing| InspectError::NotALetter {
            place: place.to_string(),
            source: storefront_contract::replay::NotADeadLetter(missing.0),
        })?;
        let mut letters = vec![letter];
        // Deaths after a replay stand behind it.
        let all = self.dead_letters(scope)?.letters;
        if let Some(known) = all.into_iter().find(|known| known.place() == *place) {
            letters[0].fate = known.fate;
            letters[0].sent_back = known.sent_back;
        }
        Ok(letters.remove(0))
    }

    /// One record, where it stands.
    pub fn record(&self, place: &Place) -> Result<Record, InspectError> {
        let topics = [place.topic.clone()];
        let from = Start::Offset(place.offset);
        let mut reader = self.read(&topics, Some(place.partition), from, Span::Now)?;
        let record = if reader.is_at_end() {
            None
        } else {
            reader.next(crate::connection::LIMIT)?.filter(|it| it.offset == place.offset)
        };
        if let Some(record) = record {
            return Ok(record);
        }
        let key = (place.topic.clone(), place.partition);
        let (start, end) = self.ends([key])?.into_values().next().unwrap_or_default();
        Err(InspectError::NoRecord { place: place.to_string(), start, end })
    }
}

fn letter_keys(scope: &Scope, cluster: &Cluster) -> BTreeSet<Key> {
    let names = scope.names.dead_letters().into_iter().map(|(.., name)| name);
    let topics = names.filter_map(|name| cluster.topic(&name));
    let keys = topics.flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.clone(), partition.number))
    });
    keys.collect()
}

/// A letter goes back to where it says that it stood. So one that names another topic than its own
/// letters come from is none: somebody else wrote it.
fn letter(record: Record, scope: &Scope) -> Result<DeadLetter, NotALetter> {
    let letters = scope.names.dead_letters();
    let known = letters.iter().find(|(.., name)| *name == record.topic);
    let known = known.and_then(|(source, id, _)| Some((source, scope.names.group(*id)?)));
    let (source, group) = known.ok_or(NotALetter(names::DLQ_TOPIC))?;
    let letter = DeadLetter::read(record, &group)?;
    if letter.origin.topic == scope.names.topic(*source) {
        Ok(letter)
    } else {
        Err(NotALetter(names::DLQ_TOPIC))
    }
}

/// The bytes of a letter as people read them.
impl DeadLetter {
    pub fn content(&self) -> Content {
        Content::of(self.record.value.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use storefront_contract::Names;

    use super::*;

    #[test]
    fn a_place_is_written_as_it_is_read() {
        let place: Place = "shop/a.dlq/2/41".parse().unwrap();
        assert_eq!((place.topic.as_str(), place.partition, place.offset), ("shop/a.dlq", 2, 41));
        assert_eq!(place.to_string(), "shop/a.dlq/2/41");
        for wrong in ["", "a", "a/1", "a/b/1", "/1/2", "a/-1/2", "a/1/-2"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_letter_that_would_go_to_another_topic_is_none() {
        let scope = Scope { names: Names::new("blue."), ..Scope::default() };
        let read = |on: &str, from: &str| {
            let header =
                |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
            let headers = vec![
                header("dlq-topic", from),
                header("dlq-partition", "1"),
                header("dlq-offset", "7"),
            ];
            let record = Record {
                topic: on.to_owned(),
                partition: 1,
                offset: 0,
                time: None,
                key: None,
                value: None,
                headers,
            };
            letter(record, &scope).map(|letter| letter.group)
        };
        let letters = "blue.payment-successful.order-service.dlq";
        assert_eq!(read(letters, "blue.payment-successful"), Ok("blue.order-service".into()));
        let none = Err(NotALetter("dlq-topic"));
        for from in ["blue.order-successful", "payment-successful", "payroll", letters] {
            assert_eq!(read(letters, from), none, "{from}");
        }
        assert_eq!(read("payment-successful.order-service.dlq", "payment-successful"), none);
    }
}
