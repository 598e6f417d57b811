//! A record of Kafka, as consumers read it.

use std::{fmt::Debug, str};

use storefront_contract::{
    AnyEvent, CartLine, Event, Names, ServiceId, Shop, Topic, headers as names,
};
use storefront_runtime::{
    TraceContext,
    fuzzing::{
        Content, Decoded, Message, Raw, Reader, Sender, decode, decode_headers, encode_headers,
    },
};

const GROUP: &str = "analytic-service";

/// Bytes are headers, one a line as `name: value`, an empty line, and the value; without the empty line there is no
/// value. `@topic` and `@key` are the record's, a name that ends with `?` is a header without a value.
pub fn events(bytes: &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, payload) = end.map_or((bytes, None), |at| (&bytes[..at], Some(&bytes[at + 2..])));
    let record = record(head, payload);
    let reader = Reader { group: GROUP, topic: record.topic.name(), generation: 0 };
    let decoded: Decoded<AnyEvent> = decode(&record, reader);

    can_be_stored("the source", &decoded.identity.source);
    can_be_stored("the id", &decoded.identity.id);
    can_be_stored("the key", &decoded.order_key.key);
    let headers = record.owned_headers();
    assert_eq!(decode_headers(&encode_headers(&headers)), headers);

    let replay = record.headers.iter().find(|(name, _)| *name == names::REPLAY_GROUP);
    let replay = replay.and_then(|(_, group)| *group);
    assert_eq!(decoded.replay, replay == Some(GROUP.as_bytes()));
    match decoded.content {
        Content::ForOthers => assert!(replay.is_some() && !decoded.replay),
        Content::Reject { reason, error } => {
            let reasons = ["invalid-header", "empty", "undecodable", "invalid"];
            assert!(reasons.contains(&reason), "{reason}");
            assert!(!error.trim().is_empty(), "{reason} without a word");
        }
        Content::Event { event, envelope } => {
            assert_eq!(
                (&envelope.source, &envelope.id),
                (&decoded.identity.source, &decoded.identity.id)
            );
            match event {
                AnyEvent::Payment(event) => {
                    adds_up(&event.cart, event.amount);
                    is_sent_as_it_is(&event);
                }
                AnyEvent::Order(event) => {
                    adds_up(&event.cart, event.amount);
                    is_sent_as_it_is(&event);
                }
                AnyEvent::Email(event) => is_sent_as_it_is(&event),
            }
        }
    }
}

fn record<'a>(head: &'a [u8], payload: Option<&'a [u8]>) -> Raw<'a> {
    let mut record = Raw {
        topic: Topic::PaymentSuccessful,
        partition: 1,
        offset: 7,
        timestamp_ms: Some(1_790_000_000_000),
        key: None,
        payload,
        headers: Vec::new(),
    };
    for line in head.split(|byte| *byte == b'\n') {
        let at = line.windows(2).position(|pair| pair == b": ").unwrap_or(line.len());
        let (name, value) = (&line[..at], line.get(at + 2..).unwrap_or_default());
        // librdkafka gives names as text.
        let Ok(name) = str::from_utf8(name) else { continue };
        match name.strip_suffix('?') {
            Some(name) => record.headers.push((name, None)),
            None if name == "@key" => record.key = Some(value),
            None if name == "@topic" => {
                let topic = str::from_utf8(value).ok().and_then(Topic::from_name);
                record.topic = topic.unwrap_or(record.topic);
            }
            None => record.headers.push((name, Some(value))),
        }
    }
    record
}

/// It is a column's text and an index's key, on any database.
fn can_be_stored(what: &str, text: &str) {
    assert!((1..=300).contains(&text.len()), "{what} has {} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "{what} holds control characters: {text:?}");
}

/// The lines' sum, counted where nothing overflows.
fn adds_up(cart: &[CartLine], amount: i64) {
    let line = |line: &CartLine| i128::from(line.price) * i128::from(line.quantity);
    assert_eq!(cart.iter().map(line).sum::<i128>(), amount.into());
    assert!((1..=100).contains(&cart.len()) && amount >= 0, "{amount} for {} lines", cart.len());
    for CartLine { id, quantity, price, .. } in cart {
        // As the published schema says.
        assert!((1..=64).contains(&id.chars().count()), "{id:?}");
        assert!(*quantity > 0 && *price >= 0, "{quantity} of {price}");
    }
}

/// Sent by us, it is read as the same event, under one id however often it is sent.
fn is_sent_as_it_is<E: Event + PartialEq + Debug>(event: &E) {
    let shop: Shop = "default/demo".parse().expect("a shop");
    let sender = Sender::new(&shop, ServiceId::Payment, Names::default());
    let send = || sender.message(event, TraceContext::new_root()).expect("an event is JSON");
    let (first, second) = (send(), send());
    let (once, twice) = (received::<E>(&first), received::<E>(&second));
    assert_eq!(once.identity, twice.identity);
    assert_eq!(once.order_key, twice.order_key);
    match once.content {
        Content::Event { event: read, .. } => assert_eq!(read, *event),
        refused => panic!("{refused:?} is not {event:?}"),
    }
}

fn received<E: Event>(message: &Message) -> Decoded<E> {
    let record = Raw {
        topic: E::TOPIC,
        partition: 0,
        offset: 0,
        timestamp_ms: None,
        key: message.key.as_deref(),
        payload: message.payload.as_deref(),
        headers: message.headers.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect(),
    };
    let topic = E::TOPIC.name();
    assert_eq!(message.topic, topic);
    decode(&record, Reader { group: GROUP, topic, generation: 0 })
}
