//! From a record's bytes to an event and its context, or to the reason why it is none. Pure.

use storefront_contract::{Envelope, Incoming, Topic, headers};
use uuid::Uuid;

use crate::{
    handler::Record,
    store::{
        headers::Headers,
        inbox::Identity,
        parked::{OrderKey, Parked},
    },
    text::chain,
};

/// Longest `ce_id` and `ce_source` in bytes: they are keys of an index.
const NAME_MAX_LENGTH: usize = 255;
/// Longest key that is written out; a longer one is known by its hash.
const KEY_MAX_LENGTH: usize = 255;

/// A record as it was read: borrowed from librdkafka's memory or from a row.
#[derive(Debug, Clone)]
pub struct Raw<'a> {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
    /// When it was produced, in Unix milliseconds; for records that do not say themselves.
    pub timestamp_ms: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

/// Who reads, and what the record's place means.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Our consumer group, with its prefix.
    pub group: &'a str,
    /// The topic's name on the broker.
    pub topic: &'a str,
    /// How often the topic was found to be another one of the same name.
    pub generation: i64,
}

/// A record understood.
#[derive(Debug)]
pub struct Decoded<E> {
    pub identity: Identity,
    pub order_key: OrderKey,
    /// Sent again from the dead-letter topic, for us.
    pub replay: bool,
    /// A replay that is taken also when the event was handled: what came of it is gone.
    pub anew: bool,
    pub content: Content<E>,
}

#[derive(Debug)]
pub enum Content<E> {
    Event {
        event: E,
        envelope: Envelope,
    },
    /// Nothing can be made of it, now or later.
    Reject {
        reason: &'static str,
        error: String,
    },
    /// A replay for another group.
    ForOthers,
}

impl Raw<'_> {
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value)
    }

    /// A text header: absent, or text without control characters and not too long, or wrong.
    fn text(&self, name: &'static str) -> Result<Option<&str>, BadHeader> {
        let Some(bytes) = self.header(name) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| BadHeader(name, "is no text"))?;
        match text {
            "" => Err(BadHeader(name, "is empty")),
            text if text.len() > NAME_MAX_LENGTH => Err(BadHeader(name, "is too long")),
            text if text.chars().any(char::is_control) => {
                Err(BadHeader(name, "has control characters"))
            }
            text => Ok(Some(text)),
        }
    }

    pub fn owned_headers(&self) -> Headers {
        self.headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec)))
            .collect()
    }

    /// A copy, for a handler that may have to dead-letter it later.
    pub(crate) fn to_record(&self, identity: &Identity) -> Record {
        Record {
            topic: self.topic,
            partition: self.partition,
            offset: self.offset,
            source: identity.source.clone(),
            id: identity.id.clone(),
            key: self.key.map(<[u8]>::to_vec),
            payload: self.payload.map(<[u8]>::to_vec),
            headers: crate::store::headers::encode(&self.owned_headers()),
        }
    }

    /// What tells this record from another one at its place: a topic that was deleted and made again
    /// has the same offsets.
    pub(crate) fn fingerprint(&self) -> String {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend(self.timestamp_ms.unwrap_or(-1).to_be_bytes());
        for part in [self.key, self.payload, self.header(headers::ID)] {
            // Lengths keep two parts apart from one; an absent part is not an empty one.
            bytes.extend(part.map_or(usize::MAX, <[u8]>::len).to_be_bytes());
            bytes.extend(part.unwrap_or_default());
        }
        Uuid::new_v5(&Uuid::nil(), &bytes).to_string()
    }
}

/// What is wrong with a header.
#[derive(Debug)]
struct BadHeader(&'static str, &'static str);

impl BadHeader {
    fn text(&self) -> String {
        format!("header `{}` {}", self.0, self.1)
    }
}

/// Understands a record. Never fails: what cannot be understood has a name too, that of its place.
pub fn decode<E: Incoming>(raw: &Raw<'_>, reader: Reader<'_>) -> Decoded<E> {
    let order_key = order_key(raw, reader.topic);
    let replay_group = raw.header(headers::REPLAY_GROUP);
    let replay = replay_group.is_some_and(|group| group == reader.group.as_bytes());
    let anew = replay && raw.header(headers::REPLAY_ANEW).is_some();
    let (identity, content) = match identity(raw, reader, replay) {
        Ok(identity) => {
            let content = content(raw, &identity);
            (identity, content)
        }
        Err(bad) => {
            let content = Content::Reject { reason: "invalid-header", error: bad.text() };
            (place(reader, raw.partition, raw.offset), content)
        }
    };
    let content = if replay_group.is_some() && !replay { Content::ForOthers } else { content };
    Decoded { identity, order_key, replay, anew, content }
}

/// `ce_source` and `ce_id`; without an id, where the record stands.
fn identity(raw: &Raw<'_>, reader: Reader<'_>, replay: bool) -> Result<Identity, BadHeader> {
    if let Some(id) = raw.text(headers::ID)? {
        // Required by CloudEvents, but a producer that only makes ids is understood too.
        let source = raw.text(headers::SOURCE)?.unwrap_or(reader.topic);
        return Ok(Identity { source: source.to_owned(), id: id.to_owned() });
    }
    if replay {
        // Known by the place where it stood first, or a second replay would be a new event.
        let number =
            |name| raw.header(name).and_then(|b| std::str::from_utf8(b).ok()?.parse().ok());
        let partition: Option<i32> =
            number(headers::DLQ_PARTITION).and_then(|n: i64| n.try_into().ok());
        if let (Some(partition), Some(offset)) = (partition, number(headers::DLQ_OFFSET)) {
            return Ok(place(reader, partition, offset));
        }
    }
    Ok(place(reader, raw.partition, raw.offset))
}

/// The name of a place in a topic. Once the topic was replaced, its places have new names.
fn place(reader: Reader<'_>, partition: i32, offset: i64) -> Identity {
    let source = match reader.generation {
        0 => format!("kafka:{}", reader.topic),
        generation => format!("kafka:{}#{generation}", reader.topic),
    };
    Identity { source, id: format!("{partition}/{offset}") }
}

pub(crate) fn content<E: Incoming>(raw: &Raw<'_>, identity: &Identity) -> Content<E> {
    let reject = |reason, error: String| Content::Reject { reason, error };
    let envelope = match envelope(raw, identity) {
        Ok(envelope) => envelope,
        Err(bad) => return reject("invalid-header", bad.text()),
    };
    let Some(payload) = raw.payload else {
        return reject("empty", "the record has no value".to_owned());
    };
    match E::decode(raw.topic, payload) {
        Ok(event) => Content::Event { event, envelope },
        Err(invalid) => reject(invalid.reason(), chain(&invalid)),
    }
}

fn envelope(raw: &Raw<'_>, identity: &Identity) -> Result<Envelope, BadHeader> {
    if raw.text(headers::SPEC_VERSION)?.is_some_and(|version| !version.starts_with("1.")) {
        return Err(BadHeader(headers::SPEC_VERSION, "is of another major version"));
    }
    if raw.text(headers::CONTENT_TYPE)?.is_some_and(|media_type| !is_json(media_type)) {
        return Err(BadHeader(headers::CONTENT_TYPE, "is not application/json"));
    }
    let time = match raw.text(headers::TIME)? {
        Some(text) => text.parse().map_err(|_| BadHeader(headers::TIME, "is no RFC 3339 time"))?,
        None => raw
            .timestamp_ms
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH),
    };
    Ok(Envelope {
        id: identity.id.clone(),
        source: identity.source.clone(),
        event_type: raw.text(headers::TYPE)?.unwrap_or_default().to_owned(),
        time,
        // A trace that cannot be continued is started anew; it is no reason to lose an event.
        traceparent: raw.text(headers::TRACEPARENT).ok().flatten().map(ToOwned::to_owned),
    })
}

/// CloudEvents in structured mode (`application/cloudevents+json`) is another format.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// What orders this record: its key, readable where it can be. Records without a key have no order, so
/// that each is a key of its own.
fn order_key(raw: &Raw<'_>, topic: &str) -> OrderKey {
    let key = match raw.key {
        None => format!("none:{}/{}", raw.partition, raw.offset),
        Some(key) if key.len() > KEY_MAX_LENGTH => {
            format!("hash:{}", Uuid::new_v5(&Uuid::nil(), key))
        }
        Some(key) => match std::str::from_utf8(key) {
            Ok(text) if !text.chars().any(char::is_control) => format!("key:{text}"),
            _ => format!("hash:{}", Uuid::new_v5(&Uuid::nil(), key)),
        },
    };
    OrderKey { topic: topic.to_owned(), key }
}

impl Parked {
    /// The record as it was when it was parked. `None` when its topic is not ours any more.
    pub(crate) fn raw(&self, topic: Topic) -> Raw<'_> {
        Raw {
            topic,
            partition: self.partition,
            offset: self.offset,
            timestamp_ms: None,
            key: self.key.as_deref(),
            payload: self.payload.as_deref(),
            headers: self.headers.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
