//! One message as a line in words, or as a whole. Pure.

use jiff::Timestamp;
use storefront_contract::Names;
use storefront_inspect::{Content, Record, summary, tame};

use crate::{
    table::cut,
    terminal::{Terminal, Tone},
    words,
};

/// When, where, whose, what.
pub fn text(record: &Record, names: &Names, now: Timestamp, terminal: Terminal) -> String {
    let time = record.happened().map_or_else(|| "?".into(), |time| words::clock(time, now));
    let place = format!("{}/{}/{}", record.topic, record.partition, record.offset);
    let key = if record.key.is_some() { record.key_text() } else { "-".into() };
    let what = summary(record, names);
    let before = format!("{time}  {place}  {key}  ");
    let what = match terminal.width {
        Some(width) => cut(&what, width.saturating_sub(before.chars().count()).max(20)),
        None => what,
    };
    let paint = |tone, text: &str| terminal.paint(tone, text);
    format!("{}  {place}  {}  {what}\n", paint(Tone::Dim, &time), paint(Tone::Strong, &key))
}

/// Headers and value, indented below the line.
pub fn whole(record: &Record, terminal: Terminal) -> String {
    let header = |(name, value): &(String, Option<Vec<u8>>)| {
        let value = value.as_deref().map_or(Content::None, Content::text);
        format!("{}: {}", terminal.paint(Tone::Dim, &tame(name)), value.line())
    };
    let value = match Content::of(record.value.as_deref()) {
        Content::Json(json) => serde_json::to_string_pretty(&json).unwrap_or_default(),
        other => other.line(),
    };
    let lines = record.headers.iter().map(header).chain(value.lines().map(tame));
    lines.flat_map(|line| ["    ".to_owned(), line, "\n".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(topic: &str, value: &str, headers: &[(&str, &str)]) -> Record {
        Record {
            topic: topic.into(),
            partition: 1,
            offset: 42,
            time: Some("2026-01-02T10:00:00Z".parse().unwrap()),
            key: Some(b"ada".to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: headers
                .iter()
                .map(|(n, v)| ((*n).into(), Some(v.as_bytes().to_vec())))
                .collect(),
        }
    }

    const PAYMENT: &str = r#"{"userId": "ada", "cart": [{"id": "phone", "name": "Nova 5G",
        "quantity": 2, "price": 950000}], "amount": 1900000, "currency": "INR",
        "sessionId": "cs_1", "orderId": "5ab5989b-728e-548e-b0f9-2ecbda30970d",
        "paidAt": "2026-01-02T10:00:00Z"}"#;

    #[test]
    fn events_are_told_in_words_and_the_rest_as_it_is() {
        let names = Names::new("blue.");
        let letter = [("dlq-topic", "blue.payment-successful"), ("dlq-reason", "rejected")];
        let time = [("ce_time", "2026-01-01T09:00:00.25Z")];
        let now = "2026-01-02T11:00:00Z".parse().unwrap();
        let lines: String = [
            record("blue.payment-successful", PAYMENT, &time),
            record("blue.payment-successful", PAYMENT, &[("replay-group", "order-service")]),
            record("blue.payment-successful.order-service.dlq", PAYMENT, &letter),
            record("blue.payment-successful", "{\"userId\": 1}", &[]),
            record("others", "\u{1b}[31mred", &[]),
        ]
        .iter()
        .map(|record| text(record, &names, now, Terminal::default()))
        .collect();
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn a_whole_message_has_headers_and_an_indented_value() {
        let record = record("t", "{\"a\": [1, 2]}", &[("ce_id", "1"), ("odd", "\n")]);
        insta::assert_snapshot!(whole(&record, Terminal::default()));
    }
}
