//! What is known of an order, in the order in which it happened. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use storefront_contract::{Names, headers};
use storefront_inspect::{Record, is_for_dead_letters, summary};

/// Everything that was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    pub id: String,
    pub entries: Vec<Entry>,
    /// Groups that have not read a message yet.
    pub waiting: Vec<Waiting>,
    /// What the shop answers for each order.
    pub orders: Vec<Value>,
    /// What could not be asked, and why.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub order_ids: BTreeSet<String>,
    #[serde(skip)]
    pub message_ids: BTreeSet<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub time: Option<Timestamp>,
    pub kind: Kind,
    /// `topic/partition/offset`, or the address that said so.
    pub place: String,
    pub what: String,
    /// The trace that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// Where it is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    Event,
    DeadLetter,
    Replay,
    /// The shop's own answer.
    Shop,
    /// A mail in the inbox.
    Mail,
}

/// A group that has still to read a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    pub group: String,
    pub place: String,
    /// Messages of the partition that it reads first.
    pub before_it: i64,
    pub members: usize,
}

impl Story {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            entries: Vec::new(),
            waiting: Vec::new(),
            orders: Vec::new(),
            notes: Vec::new(),
            order_ids: BTreeSet::new(),
            message_ids: BTreeSet::new(),
        }
    }

    /// Remembers by which names to ask further.
    pub fn learn(&mut self, record: &Record) {
        self.order_ids.extend(record.field("orderId"));
        self.message_ids.extend(record.field("messageId"));
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.orders.is_empty()
    }

    /// In the order of time; what has none comes last.
    pub fn in_order(&self) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|entry| (entry.time.is_none(), entry.time, order(entry.kind)));
        entries
    }
}

/// Of what happened at the same time, the cause comes first.
fn order(kind: Kind) -> u8 {
    match kind {
        Kind::Event => 0,
        Kind::DeadLetter => 1,
        Kind::Replay => 2,
        Kind::Mail => 3,
        Kind::Shop => 4,
    }
}

impl Entry {
    /// What a message says. A letter or a replay stands at the time of its death or its sending, not
    /// of its event.
    pub fn of(record: &Record, names: &Names) -> Self {
        let died = record.header(headers::DLQ_TIME).and_then(|text| text.parse().ok());
        let (kind, time) = if is_for_dead_letters(&record.topic) {
            (Kind::DeadLetter, died.or(record.time))
        } else if record.header(headers::REPLAY_GROUP).is_some() {
            (Kind::Replay, record.time)
        } else {
            (Kind::Event, record.happened())
        };
        let mut what = summary(record, names);
        if let Some(error) = record.header(headers::DLQ_ERROR).filter(|_| kind == Kind::DeadLetter)
        {
            what = format!("{what}: {error}");
        }
        Self {
            time,
            kind,
            place: record.place(),
            what,
            trace: record.trace_id().map(str::to_owned),
        }
    }
}

/// Whether a message is about this order, session or user. What cannot be read as JSON is searched as
/// text: that is why it is a dead letter.
pub fn is_about(record: &Record, id: &str) -> bool {
    if record.key.as_deref() == Some(id.as_bytes()) {
        return true;
    }
    let Some(value) = record.value.as_deref() else { return false };
    match serde_json::from_slice::<Value>(value) {
        Ok(json) => ["orderId", "sessionId", "userId"].iter().any(|name| json[name] == *id),
        Err(_) => String::from_utf8_lossy(value).contains(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &str) -> Record {
        Record {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            time: None,
            key: Some(key.into()),
            value: Some(value.into()),
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_message_is_about_its_order_session_user_and_key() {
        let event = record("k", r#"{"orderId": "o-1", "sessionId": "cs_1", "userId": "ada"}"#);
        for id in ["o-1", "cs_1", "ada", "k"] {
            assert!(is_about(&event, id), "{id}");
        }
        for id in ["o-", "x", "orderId"] {
            assert!(!is_about(&event, id), "{id}");
        }
        assert!(is_about(&record("k", "{\"orderId\": \"o-1\""), "o-1"), "broken JSON");
    }
}
