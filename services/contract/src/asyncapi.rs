//! The topics as an AsyncAPI 3.0 document: who sends and who receives what, under which key, with which
//! headers. Written from the catalog, the events' types and their names, so it cannot say otherwise.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    CATALOG, EmailSuccessful, Event, Names, OrderSuccessful, PaymentSuccessful, ServiceDef,
    ServiceId,
    envelope::{CONTENT_TYPE, SPEC_VERSION, headers},
    examples,
    topics::{PARTITIONS_DEFAULT, Topic},
};

/// Version of AsyncAPI's Kafka binding
/// (<https://www.asyncapi.com/docs/reference/bindings/kafka>).
const BINDING_VERSION: &str = "0.5.0";

const DESCRIPTION: &str = "\
What a shop's services tell each other, and anybody else who listens. Values are plain JSON; their context \
is in the headers, as CloudEvents 1.0 has it in binary mode. The key is the user, so one user's events keep \
their order. The same happening always has the same `ce_id`: take it once, by `ce_source` and `ce_id`.

`spec.kafka.prefix` goes before every topic and group; partitions are `spec.kafka.topics.partitions`. \
Unknown fields must be ignored: fields are added, never taken away or given another meaning.";

/// The whole document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let messages = messages(&mut generator);
    let schemas = generator.take_definitions(true);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Storefront events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "dev": {
                "host": "127.0.0.1:9092",
                "protocol": "kafka",
                "description": "The broker of `storefront dev` and of the compose file",
            },
        },
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": messages,
            "messageTraits": {"CloudEvent": cloud_event(), "DeadLetter": dead_letter_trait()},
            "schemas": schemas,
        },
    })
}

fn reference(path: &str) -> Value {
    json!({"$ref": format!("#/{path}")})
}

/// The name of a message is that of its event's type.
fn message_name(topic: Topic) -> &'static str {
    match topic {
        Topic::PaymentSuccessful => "PaymentSuccessful",
        Topic::OrderSuccessful => "OrderSuccessful",
        Topic::EmailSuccessful => "EmailSuccessful",
    }
}

fn channels() -> Map<String, Value> {
    let channel = |address: &str, message: &str, description: String| {
        json!({
            "address": address,
            "description": description,
            "messages": {message: reference(&format!("components/messages/{message}"))},
            "bindings": {"kafka": {
                "partitions": PARTITIONS_DEFAULT,
                "bindingVersion": BINDING_VERSION,
            }},
        })
    };
    let sources = Topic::ALL.into_iter().map(|topic| {
        let name = topic.name();
        (name.to_owned(), channel(name, message_name(topic), topic.meaning().into()))
    });
    let dead = Names::default().dead_letters().into_iter().map(|(topic, id, name)| {
        let description = format!(
            "Events of `{topic}` that {id} has given up on. A dead letter keeps its partition; it is \
             kept for 30 days at least, and replayed with `{}`.",
            headers::REPLAY_GROUP
        );
        let channel = channel(&name, "DeadLetter", description);
        (name, channel)
    });
    sources.chain(dead).collect()
}

fn operations() -> Map<String, Value> {
    CATALOG.iter().flat_map(|entry| sends(entry).chain(receives(entry))).collect()
}

fn operation(action: &str, id: ServiceId, channel: &str, message: &str, summary: &str) -> Value {
    json!({
        "action": action,
        "summary": summary,
        "tags": [{"name": id.name()}],
        "channel": reference(&format!("channels/{channel}")),
        "messages": [reference(&format!("channels/{channel}/messages/{message}"))],
    })
}

fn sends(entry: &ServiceDef) -> impl Iterator<Item = (String, Value)> {
    let id = entry.id;
    let events = entry.produces.iter().map(move |topic| {
        let summary = format!("{id} sends {topic}");
        let sent = operation("send", id, topic.name(), message_name(*topic), &summary);
        (format!("{id}.send.{topic}"), sent)
    });
    let dead = entry.consumes.iter().filter_map(move |topic| {
        let name = Names::default().dead_letter(*topic, id)?;
        let summary = format!("{id} gives up on an event of {topic}");
        let sent = operation("send", id, &name, "DeadLetter", &summary);
        Some((format!("{id}.send.{name}"), sent))
    });
    events.chain(dead)
}

fn receives(entry: &ServiceDef) -> impl Iterator<Item = (String, Value)> {
    let id = entry.id;
    entry.consumes.iter().map(move |topic| {
        let summary = format!("{id} takes {topic}");
        let mut taken = operation("receive", id, topic.name(), message_name(*topic), &summary);
        taken["bindings"] = json!({"kafka": {
            "groupId": {"type": "string", "enum": [entry.group]},
            "bindingVersion": BINDING_VERSION,
        }});
        (format!("{id}.receive.{topic}"), taken)
    })
}

fn messages(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut messages = Map::new();
    let mut add = |topic, message| messages.insert(message_name(topic).to_owned(), message);
    add(Topic::PaymentSuccessful, message::<PaymentSuccessful>(generator));
    add(Topic::OrderSuccessful, message::<OrderSuccessful>(generator));
    add(Topic::EmailSuccessful, message::<EmailSuccessful>(generator));
    messages.insert("DeadLetter".into(), dead_letter());
    messages
}

fn message<E: Event>(generator: &mut SchemaGenerator) -> Value {
    let topic = E::TOPIC;
    json!({
        "name": E::TYPE,
        "title": message_name(topic),
        "summary": topic.meaning(),
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "required": [headers::TYPE],
            "properties": {headers::TYPE: {"type": "string", "const": E::TYPE}},
        },
        "payload": generator.subschema_for::<E>(),
        "bindings": {"kafka": {
            "key": {"type": "string", "description": "`userId`"},
            "bindingVersion": BINDING_VERSION,
        }},
        "traits": [reference("components/messageTraits/CloudEvent")],
        "examples": [{
            "name": topic.name(),
            "headers": examples::headers(topic),
            "payload": examples::value(topic),
        }],
    })
}

/// Headers of every event.
fn cloud_event() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({"headers": {
        "type": "object",
        "required": [
            headers::SPEC_VERSION, headers::ID, headers::TYPE, headers::SOURCE, headers::TIME,
            headers::CONTENT_TYPE,
        ],
        "properties": {
            headers::SPEC_VERSION: {"type": "string", "const": SPEC_VERSION},
            headers::ID: {
                "type": "string",
                "format": "uuid",
                "description": "UUIDv5 of shop, type and subject: however often the event is sent, \
                    it has this id",
            },
            headers::SOURCE: text("`/shops/NAMESPACE/NAME/SERVICE`"),
            headers::TIME: {
                "type": "string",
                "format": "date-time",
                "description": "When it was written down, which may be before it was sent",
            },
            headers::CONTENT_TYPE: {"type": "string", "const": CONTENT_TYPE},
            headers::TRACEPARENT: text("W3C Trace Context of what caused the event"),
            headers::REPLAY_GROUP: text(
                "On a replayed dead letter: the only consumer group that takes it; every other \
                 group skips it"
            ),
            headers::REPLAY_COUNT: text(
                "On a replayed dead letter, and on what died again: how often it was sent back"
            ),
            headers::REPLAY_BY: text("On a replayed dead letter: who sent it back"),
            headers::REPLAY_AT: {
                "type": "string",
                "format": "date-time",
                "description": "On a replayed dead letter: when it was sent back",
            },
            headers::REPLAY_ANEW: text(
                "With `replay-group`, on an event of which an audit has found nothing: the group takes \
                 it also when it has taken it before"
            ),
            headers::DLQ_LETTER: text(
                "On a replayed dead letter: where the letter stands, `TOPIC/PARTITION/OFFSET`"
            ),
        },
    }})
}

fn dead_letter() -> Value {
    let mut example = examples::headers(Topic::PaymentSuccessful);
    for (name, value) in [
        (headers::DLQ_REASON, "order-id-taken"),
        (headers::DLQ_ERROR, "the event was rejected (order-id-taken)"),
        (headers::DLQ_ATTEMPTS, "1"),
        (headers::DLQ_TOPIC, Topic::PaymentSuccessful.name()),
        (headers::DLQ_PARTITION, "2"),
        (headers::DLQ_OFFSET, "41"),
        (headers::DLQ_TIME, examples::CREATED_AT),
    ] {
        example[name] = value.into();
    }
    json!({
        "name": "dead-letter",
        "title": "DeadLetter",
        "summary": "A record that a group has given up on: its bytes, key and headers as they were, \
            and why",
        "payload": {"description": "The bytes of the record, whatever they are"},
        "bindings": {"kafka": {
            "key": {"description": "The key of the record, whatever it is"},
            "bindingVersion": BINDING_VERSION,
        }},
        "traits": [reference("components/messageTraits/DeadLetter")],
        "examples": [{
            "name": "rejected",
            "headers": example,
            "payload": examples::value(Topic::PaymentSuccessful),
        }],
    })
}

/// Headers that a dead letter has on top of its own. All are text, numbers too.
fn dead_letter_trait() -> Value {
    let number = |description: &str| json!({"type": "string", "pattern": "^[0-9]+$", "description": description});
    json!({"headers": {
        "type": "object",
        "required": [
            headers::DLQ_REASON, headers::DLQ_ERROR, headers::DLQ_ATTEMPTS, headers::DLQ_TOPIC,
            headers::DLQ_PARTITION, headers::DLQ_OFFSET, headers::DLQ_TIME,
        ],
        "properties": {
            headers::DLQ_REASON: {"type": "string", "description": "A fixed word, as in metrics"},
            headers::DLQ_ERROR: {"type": "string", "description": "What went wrong, for people"},
            headers::DLQ_ATTEMPTS: number("How often it was tried"),
            headers::DLQ_TOPIC: {"type": "string", "description": "Where the record stood"},
            headers::DLQ_PARTITION: number("Its partition"),
            headers::DLQ_OFFSET: number("Its offset"),
            headers::DLQ_TIME: {"type": "string", "format": "date-time"},
        },
    }})
}
