//! What is on its way and what must wait: the relay's memory, which is lost with it without harm. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};

use crate::{backoff::delay, store::outbox::Stored};

/// A key of a topic; messages of one are sent in their order.
pub(super) type Key = (String, Vec<u8>);

/// A topic that was not there is tried again after this time, doubled each time…
const TOPIC_WAIT_FIRST: Duration = Duration::from_secs(1);
/// …up to this one.
const TOPIC_WAIT_MOST: Duration = Duration::from_secs(30);

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub topic: String,
    pub key: Option<Vec<u8>>,
    /// Whether it names its partition.
    pub placed: bool,
}

impl Flight {
    pub(super) fn key(&self) -> Option<Key> {
        Some((self.topic.clone(), self.key.clone()?))
    }
}

impl From<&Stored> for Flight {
    fn from(stored: &Stored) -> Self {
        let message = &stored.message;
        let placed = message.partition.is_some();
        Self { topic: message.topic.clone(), key: message.key.clone(), placed }
    }
}

/// Whether a message may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// A message of its key was refused: it waits until that one is sent.
    Held,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    /// By id, so that the oldest is known.
    in_flight: BTreeMap<i64, Flight>,
    /// Acknowledged, and not yet deleted.
    acknowledged: Vec<i64>,
    /// Keys with a refused message.
    held: HashSet<Key>,
    /// Keys whose refused message was taken after all, and whose followers are not yet told so.
    freed: Vec<Key>,
    /// Refused messages that are tried once more.
    trials: HashSet<i64>,
    topics: HashMap<String, Wait>,
}

#[derive(Debug)]
struct Wait {
    until: Instant,
    attempts: u32,
}

impl Window {
    /// The topic of a message that is on its way, if any is.
    pub(super) fn some_topic(&self) -> Option<&str> {
        self.in_flight.values().next().map(|flight| flight.topic.as_str())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.in_flight.keys().next_back().copied()
    }

    /// Ids that must not be read again.
    pub(super) fn excluded(&self) -> Vec<i64> {
        self.in_flight.keys().chain(&self.acknowledged).copied().collect()
    }

    pub(super) fn waiting_topics(&self, now: Instant) -> Vec<String> {
        let waits = self.topics.iter().filter(|(_, wait)| wait.until > now);
        waits.map(|(topic, _)| topic.clone()).collect()
    }

    /// When the next of them may be tried again.
    pub(super) fn next_topic(&self, now: Instant) -> Option<Instant> {
        self.topics.values().map(|wait| wait.until).filter(|until| *until > now).min()
    }

    pub(super) fn is_waiting(&self, topic: &str, now: Instant) -> bool {
        self.topics.get(topic).is_some_and(|wait| wait.until > now)
    }

    pub(super) fn turn(&self, stored: &Stored) -> Turn {
        let free = self.trials.contains(&stored.id)
            || Flight::from(stored).key().is_none_or(|key| !self.held.contains(&key));
        if free { Turn::Now } else { Turn::Held }
    }

    pub(super) fn sent(&mut self, stored: &Stored) {
        self.in_flight.insert(stored.id, stored.into());
    }

    pub(super) fn get(&self, id: i64) -> Option<&Flight> {
        self.in_flight.get(&id)
    }

    /// The broker has it.
    pub(super) fn acknowledge(&mut self, id: i64) {
        let Some(flight) = self.in_flight.remove(&id) else { return };
        self.acknowledged.push(id);
        self.topics.remove(&flight.topic);
        if self.trials.remove(&id) {
            self.freed.extend(flight.key().filter(|key| self.held.contains(key)));
        }
    }

    /// What is to be deleted; kept until [`Window::deleted`] says that it is.
    pub(super) fn acknowledged(&self) -> &[i64] {
        &self.acknowledged
    }

    pub(super) fn deleted(&mut self) {
        self.acknowledged.clear();
    }

    /// A key whose followers may go on; told until [`Window::released`] says that they do.
    pub(super) fn freed(&self) -> Option<Key> {
        self.freed.last().cloned()
    }

    /// The followers of the freed key are in the queue again, in front of whatever comes after them.
    pub(super) fn released(&mut self) {
        if let Some(key) = self.freed.pop() {
            self.held.remove(&key);
        }
    }

    /// A message was refused for good: its key waits.
    pub(super) fn refuse(&mut self, id: i64, flight: &Flight) {
        self.in_flight.remove(&id);
        self.trials.remove(&id);
        self.held.extend(flight.key());
    }

    /// The key of a message that was refused before we were there.
    pub(super) fn hold(&mut self, key: Key) {
        self.held.insert(key);
    }

    /// Tries a refused message once more, although its key is held.
    pub(super) fn try_again(&mut self, id: i64) {
        self.trials.insert(id);
    }

    /// A topic is not there: its messages wait, longer each time.
    pub(super) fn wait_for_topic(&mut self, topic: &str, now: Instant) -> Duration {
        let attempts = self.topics.get(topic).map_or(0, |wait| wait.attempts + 1);
        let wait = delay(TOPIC_WAIT_FIRST, TOPIC_WAIT_MOST, attempts);
        self.topics.insert(topic.to_owned(), Wait { until: now + wait, attempts });
        wait
    }

    /// The producer was given up: all that was on its way is to be sent again.
    pub(super) fn land(&mut self) {
        self.in_flight.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::outbox::Message;

    fn stored(id: i64, key: &str) -> Stored {
        let message = Message {
            topic: "t".into(),
            partition: None,
            key: (!key.is_empty()).then(|| key.into()),
            payload: None,
            headers: vec![],
        };
        Stored { id, message }
    }

    #[test]
    fn a_refused_message_holds_its_key_and_no_other() {
        let mut window = Window::default();
        for message in [stored(1, "a"), stored(2, "b"), stored(3, "")] {
            window.sent(&message);
        }
        for id in [1, 3] {
            let flight = window.get(id).unwrap().clone();
            window.refuse(id, &flight);
        }
        assert_eq!(window.turn(&stored(4, "a")), Turn::Held);
        assert_eq!(window.turn(&stored(5, "b")), Turn::Now);
        assert_eq!(window.turn(&stored(6, "")), Turn::Now, "without a key nothing is held");
    }

    #[test]
    fn a_trial_that_is_taken_frees_its_key() {
        let mut window = Window::default();
        window.hold(("t".into(), b"a".to_vec()));
        window.try_again(1);
        assert_eq!(window.turn(&stored(1, "a")), Turn::Now);
        assert_eq!(window.turn(&stored(2, "a")), Turn::Held);
        window.sent(&stored(1, "a"));
        window.acknowledge(1);
        assert_eq!(window.acknowledged(), [1]);
        for _ in 0..2 {
            assert_eq!(window.freed(), Some(("t".into(), b"a".to_vec())), "until it is noted");
            assert_eq!(window.turn(&stored(3, "a")), Turn::Held, "not before those that wait");
        }
        window.released();
        assert_eq!(window.freed(), None);
        assert_eq!(window.turn(&stored(2, "a")), Turn::Now);
    }

    #[test]
    fn a_missing_topic_waits_until_something_of_it_is_taken() {
        let (mut window, now) = (Window::default(), Instant::now());
        let wait = window.wait_for_topic("t", now);
        assert_eq!(window.waiting_topics(now), ["t"]);
        assert_eq!(window.next_topic(now), Some(now + wait));
        assert!(window.waiting_topics(now + wait).is_empty());
        assert!(window.wait_for_topic("t", now) <= TOPIC_WAIT_MOST);
        window.sent(&stored(1, "a"));
        window.acknowledge(1);
        assert!(!window.is_waiting("t", now));
    }
}
