//! Records in, what becomes of them out.

use storefront_contract::{EmailSuccessful, Template};

use super::*;

const READER: Reader<'static> = Reader { group: "email-service", topic: "t", generation: 0 };

fn payload() -> Vec<u8> {
    let event = EmailSuccessful {
        message_id: "m@x".into(),
        user_id: "u".into(),
        order_id: Uuid::nil(),
        session_id: "s".into(),
        template: Template::PaymentReceipt,
        sent_at: jiff::Timestamp::UNIX_EPOCH,
    };
    serde_json::to_vec(&event).unwrap()
}

/// A record with these headers, and what it is decoded to in one line.
fn check(headers: &[(&str, &str)], expected: &str) {
    let payload = payload();
    let raw = Raw {
        topic: Topic::EmailSuccessful,
        partition: 1,
        offset: 7,
        timestamp_ms: Some(1000),
        key: Some(b"u"),
        payload: Some(&payload),
        headers: headers.iter().map(|(n, v)| (*n, Some(v.as_bytes()))).collect(),
    };
    assert_eq!(line(&raw, READER), expected, "{headers:?}");
}

fn line(raw: &Raw<'_>, reader: Reader<'_>) -> String {
    let Decoded { identity, replay, anew, content, .. } = decode::<EmailSuccessful>(raw, reader);
    let content = match content {
        Content::Event { envelope, .. } => format!("event at {}", envelope.time),
        Content::Reject { reason, error } => format!("{reason}: {error}"),
        Content::ForOthers => "for others".to_owned(),
    };
    let replay = match (replay, anew) {
        (true, true) => "anew ",
        (true, false) => "replay ",
        (false, true) => "anew without a replay ",
        (false, false) => "",
    };
    format!("{replay}{} {} | {content}", identity.source, identity.id)
}

#[test]
fn an_event_is_known_by_source_and_id_or_by_its_place() {
    check(&[], "kafka:t 1/7 | event at 1970-01-01T00:00:01Z");
    check(&[("ce_id", "a")], "t a | event at 1970-01-01T00:00:01Z");
    check(
        &[("ce_id", "a"), ("ce_source", "/x"), ("ce_time", "2026-01-01T00:00:00Z")],
        "/x a | event at 2026-01-01T00:00:00Z",
    );
    check(
        &[("content-type", "application/json; charset=utf-8")],
        "kafka:t 1/7 | event at 1970-01-01T00:00:01Z",
    );
}

#[test]
fn headers_that_lie_make_a_dead_letter_with_a_name() {
    check(&[("ce_id", "")], "kafka:t 1/7 | invalid-header: header `ce_id` is empty");
    check(
        &[("ce_id", "a\0b")],
        "kafka:t 1/7 | invalid-header: header `ce_id` has control characters",
    );
    check(
        &[("ce_specversion", "0.3"), ("ce_id", "a")],
        "t a | invalid-header: header `ce_specversion` is of another major version",
    );
    check(
        &[("content-type", "application/cloudevents+json")],
        "kafka:t 1/7 | invalid-header: header `content-type` is not application/json",
    );
    check(&[("traceparent", "nonsense")], "kafka:t 1/7 | event at 1970-01-01T00:00:01Z");
}

#[test]
fn a_replay_is_for_one_group_and_known_by_its_first_place() {
    check(&[("replay-group", "order-service")], "kafka:t 1/7 | for others");
    check(
        &[("replay-group", "email-service"), ("ce_id", "a")],
        "replay t a | event at 1970-01-01T00:00:01Z",
    );
    check(
        &[("replay-group", "email-service"), ("dlq-partition", "2"), ("dlq-offset", "41")],
        "replay kafka:t 2/41 | event at 1970-01-01T00:00:01Z",
    );
    let (for_us, anew) = (("replay-group", "email-service"), ("replay-anew", "true"));
    check(&[for_us, anew, ("ce_id", "a")], "anew t a | event at 1970-01-01T00:00:01Z");
    check(&[("replay-group", "order-service"), anew], "kafka:t 1/7 | for others");
    check(&[anew, ("ce_id", "a")], "t a | event at 1970-01-01T00:00:01Z");
}

#[test]
fn places_of_a_replaced_topic_have_new_names() {
    let raw = Raw {
        topic: Topic::EmailSuccessful,
        partition: 0,
        offset: 3,
        timestamp_ms: None,
        key: None,
        payload: None,
        headers: vec![],
    };
    let reader = Reader { generation: 2, ..READER };
    assert_eq!(line(&raw, reader), "kafka:t#2 0/3 | empty: the record has no value");
}

#[test]
fn keys_order_and_their_absence_does_not() {
    let order = |key: Option<&[u8]>| {
        let raw = Raw {
            topic: Topic::EmailSuccessful,
            partition: 0,
            offset: 3,
            timestamp_ms: None,
            key,
            payload: None,
            headers: vec![],
        };
        order_key(&raw, "t").key
    };
    assert_eq!(order(Some(b"u1")), "key:u1");
    assert_eq!(order(None), "none:0/3");
    assert_eq!(order(Some(b"")), "key:");
    assert!(order(Some(&[0xff])).starts_with("hash:"));
    assert!(order(Some(b"a\0")).starts_with("hash:"));
    assert_eq!(order(Some(&[b'x'; 300])).len(), 41);
}

proptest::proptest! {
    #[test]
    fn no_record_panics(
        key: Option<Vec<u8>>,
        payload: Option<Vec<u8>>,
        name in "ce_[a-z]{2,6}|content-type|replay-group|dlq-offset",
        value: Option<Vec<u8>>,
    ) {
        let raw = Raw {
            topic: Topic::EmailSuccessful,
            partition: 0,
            offset: 3,
            timestamp_ms: Some(i64::MAX),
            key: key.as_deref(),
            payload: payload.as_deref(),
            headers: vec![(&name, value.as_deref())],
        };
        let decoded = decode::<EmailSuccessful>(&raw, READER);
        proptest::prop_assert!(decoded.identity.id.len() <= NAME_MAX_LENGTH);
        proptest::prop_assert!(!decoded.identity.id.contains('\0'));
        proptest::prop_assert!(!decoded.order_key.key.contains('\0'));
        raw.fingerprint();
    }
}
