//! JSON Schemas of the events, for consumers in other languages. They are kept under version
//! control in `services/contract/schemas/`; `make generate` writes them, a test compares them.

use std::collections::BTreeMap;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::{
    events::{EmailSuccessful, Event, OrderSuccessful, PaymentSuccessful},
    topics::Topic,
};

/// Every event's schema (JSON Schema 2020-12), by topic.
pub fn schemas() -> BTreeMap<Topic, Value> {
    BTreeMap::from([
        schema::<PaymentSuccessful>(),
        schema::<OrderSuccessful>(),
        schema::<EmailSuccessful>(),
    ])
}

/// The file of a topic's schema.
pub fn file_name(topic: Topic) -> String {
    format!("{topic}.schema.json")
}

fn schema<E: Event + JsonSchema>() -> (Topic, Value) {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<E>();
    schema.insert(
        "$id".into(),
        format!("https://storefront.dev/schemas/{}", file_name(E::TOPIC)).into(),
    );
    (E::TOPIC, schema.into())
}
