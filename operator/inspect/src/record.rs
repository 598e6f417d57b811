//! One record, as bytes and as people read it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use rdkafka::{Message, message::Headers as _};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use storefront_contract::headers as names;

/// Header names with their bytes, in the order of the record.
pub type Headers = Vec<(String, Option<Vec<u8>>)>;

/// One record where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// When it was produced, as the producer or the broker said.
    pub time: Option<Timestamp>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
}

/// Bytes as people read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    None,
    Json(Value),
    Text(String),
    /// Neither: in base64.
    Binary(String),
}

impl Content {
    /// JSON where it is some, text where it is some.
    pub fn of(bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else { return Self::None };
        if let Ok(json) = serde_json::from_slice(bytes) {
            return Self::Json(json);
        }
        Self::text(bytes)
    }

    /// Keys and headers are never read as JSON: `12` is a name there.
    pub fn text(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary(STANDARD.encode(bytes)),
        }
    }

    /// One line without control characters, safe for a terminal.
    pub fn line(&self) -> String {
        match self {
            Self::None => "(no value)".into(),
            Self::Json(json) => tame(&json.to_string()),
            Self::Text(text) if text.is_empty() => "(empty)".into(),
            Self::Text(text) => tame(text),
            Self::Binary(text) => format!("base64:{text}"),
        }
    }
}

/// Whatever came from outside must not move a cursor, set a title, or turn round what stands beside it.
pub fn tame(text: &str) -> String {
    // What begins or ends a direction against the letters' own, and two more ends of a line.
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

impl Record {
    pub(crate) fn from_message(message: &impl Message) -> Self {
        let headers = message.headers().map(|headers| {
            let pair = |header: rdkafka::message::Header<'_, &[u8]>| {
                (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
            };
            headers.iter().map(pair).collect()
        });
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            time: message
                .timestamp()
                .to_millis()
                .and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The key as text, with `\u{fffd}` for what is none.
    pub fn key_text(&self) -> String {
        self.key.as_deref().map_or(String::new(), |key| tame(&String::from_utf8_lossy(key)))
    }

    /// A text field of a JSON value, such as `orderId`.
    pub fn field(&self, name: &str) -> Option<String> {
        let value: Value = serde_json::from_slice(self.value.as_deref()?).ok()?;
        value.get(name)?.as_str().map(ToOwned::to_owned)
    }

    /// When it happened (`ce_time`), or else when it was produced.
    pub fn happened(&self) -> Option<Timestamp> {
        self.header(names::TIME).and_then(|text| text.parse().ok()).or(self.time)
    }

    /// The trace that it belongs to, 32 hexadecimal digits.
    pub fn trace_id(&self) -> Option<&str> {
        let mut parts = self.header(names::TRACEPARENT)?.split('-');
        parts.nth(1).filter(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    /// `topic/partition/offset`.
    pub fn place(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Json(json) => json.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Binary(text) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("base64", text)?;
                map.end()
            }
        }
    }
}

/// Headers as one object; of several with one name the last.
struct HeaderMap<'a>(&'a Headers);

impl Serialize for HeaderMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of = |value: &Option<Vec<u8>>| value.as_deref().map_or(Content::None, Content::text);
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, of(value))))
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topic", &self.topic)?;
        map.serialize_entry("partition", &self.partition)?;
        map.serialize_entry("offset", &self.offset)?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("key", &self.key.as_deref().map_or(Content::None, Content::text))?;
        map.serialize_entry("headers", &HeaderMap(&self.headers))?;
        map.serialize_entry("value", &Content::of(self.value.as_deref()))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let header = |name: &str, value: &[u8]| (name.to_owned(), Some(value.to_vec()));
        Record {
            topic: "orders".into(),
            partition: 1,
            offset: 7,
            time: Some(Timestamp::UNIX_EPOCH),
            key: Some(b"ada".to_vec()),
            value: Some(br#"{"orderId": "o-1", "amount": 5}"#.to_vec()),
            headers: vec![
                header("ce_time", b"2026-01-02T03:04:05Z"),
                header("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                header("odd", &[0xff]),
            ],
        }
    }

    #[test]
    fn a_record_is_read_by_people_and_programs() {
        let record = record();
        assert_eq!(record.place(), "orders/1/7");
        assert_eq!(record.field("orderId").as_deref(), Some("o-1"));
        assert_eq!(record.field("amount"), None);
        assert_eq!(record.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(record.happened().unwrap().to_string(), "2026-01-02T03:04:05Z");
        insta::assert_json_snapshot!(record);
    }

    #[test]
    fn bytes_are_shown_without_harm() {
        for (bytes, shown) in [
            (None, "(no value)"),
            (Some(&b""[..]), "(empty)"),
            (Some(b"{\"a\": [1]}"), "{\"a\":[1]}"),
            (Some(b"\x1b[2Jgone"), "\u{fffd}[2Jgone"),
            (Some(&[0xff, 0x00]), "base64:/wA="),
        ] {
            assert_eq!(Content::of(bytes).line(), shown);
        }
        // Inside JSON a control character stays escaped.
        assert_eq!(Content::of(Some(br#""\u001b[2J""#)).line(), r#""\u001b[2J""#);
        // Those that JSON does not escape: C1, DEL, and what turns text round.
        assert_eq!(
            Content::of(Some("\"\u{9b}2J\u{7f}\u{202e}\"".as_bytes())).line(),
            "\"\u{fffd}2J\u{fffd}\u{fffd}\""
        );
    }
}
