//! Dead letters: the record as it was, with headers that say why and where it stood. Pure.

use jiff::Timestamp;
use storefront_contract::headers as names;

use crate::store::{headers::Headers, outbox::Message};

/// Longest error text in a header, in characters.
const ERROR_MAX_CHARS: usize = 1000;

/// What tells a group to take a replay. How often there was one, by whom and when, stays with the letter.
const OF_A_REPLAY: [&str; 2] = [names::REPLAY_GROUP, names::REPLAY_ANEW];

/// Where a replay's event stood first. One that dies again is known by that place, as its replay was:
/// without an id it has no other name, and could not be replayed a second time.
fn first_place(headers: &Headers) -> Option<(String, i32, i64)> {
    let text = |wanted: &str| {
        let (_, value) = headers.iter().find(|(name, _)| name == wanted)?;
        std::str::from_utf8(value.as_deref()?).ok()
    };
    text(names::REPLAY_GROUP)?;
    let topic = text(names::DLQ_TOPIC)?.to_owned();
    let partition = text(names::DLQ_PARTITION)?.parse().ok()?;
    Some((topic, partition, text(names::DLQ_OFFSET)?.parse().ok()?))
}

/// An event that is given up.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetter {
    /// The dead-letter topic.
    pub to: String,
    /// Where it stood: names on the broker.
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Headers,
    /// A fixed word.
    pub reason: String,
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

impl DeadLetter {
    /// Keeps bytes, key, headers and partition; the order of a partition's dead letters is that of
    /// their giving up.
    pub(crate) fn into_message(self, now: Timestamp) -> Message {
        let first = first_place(&self.headers);
        let (topic, partition, offset) = first.unwrap_or((self.topic, self.partition, self.offset));
        let added = [
            (names::DLQ_REASON, self.reason),
            (names::DLQ_ERROR, one_line(&self.error)),
            (names::DLQ_ATTEMPTS, self.attempts.to_string()),
            (names::DLQ_TOPIC, topic),
            (names::DLQ_PARTITION, partition.to_string()),
            (names::DLQ_OFFSET, offset.to_string()),
            (names::DLQ_TIME, now.to_string()),
        ];
        // Those of an earlier death make room; only its place stays.
        let mut headers: Headers = self
            .headers
            .into_iter()
            .filter(|(name, _)| !OF_A_REPLAY.contains(&name.as_str()) && !name.starts_with("dlq-"))
            .collect();
        headers.extend(added.map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))));
        Message {
            topic: self.to,
            partition: Some(self.partition),
            key: self.key,
            payload: self.payload,
            headers,
        }
    }
}

/// An error text as a header: one line, and not endless.
pub(crate) fn one_line(error: &str) -> String {
    error.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ERROR_MAX_CHARS).collect()
}
