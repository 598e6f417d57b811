//! Schemas of Kubernetes' own types, cut to what `kubectl explain` needs: a line for each field, and
//! a bound for every list, map and text.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

const LIST_MAX: u64 = 32;
const MAP_MAX: u64 = 32;
/// A qualified name, `253/63`, is the longest text in these types.
const TEXT_MAX: u64 = 317;
/// As long as a condition's message may be.
const MESSAGE_MAX: u64 = 32_768;
/// The definition holds these schemas once a part: what is said beyond this is Kubernetes' own
/// documentation's to say.
const DESCRIPTION_MAX: usize = 90;
/// Rarely used parts of an affinity that would make the definition half as large again.
const LEFT_OUT: &[&str] =
    &["matchFields", "matchLabelKeys", "mismatchLabelKeys", "namespaceSelector"];

/// The schema of a type that people write, for `#[schemars(schema_with = …)]`.
pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    cut(T::json_schema(generator), TEXT_MAX)
}

/// The schema of a type of the status.
pub(super) fn status<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    cut(T::json_schema(generator), MESSAGE_MAX)
}

fn cut(mut schema: Schema, text_max: u64) -> Schema {
    if let Some(fields) = schema.as_object_mut() {
        let mut node = Value::Object(std::mem::take(fields));
        cut_node(&mut node, text_max);
        if let Value::Object(mut cut) = node {
            // The field's own documentation takes its place.
            cut.remove("description");
            *fields = cut;
        }
    }
    schema
}

fn cut_node(node: &mut Value, text_max: u64) {
    let Value::Object(fields) = node else { return };
    if let Some(Value::String(text)) = fields.get_mut("description") {
        *text = shortened(text);
    }
    match fields.get("type").and_then(Value::as_str) {
        Some("array") => bound(fields, "maxItems", LIST_MAX),
        Some("string") => bound(fields, "maxLength", text_max),
        Some("object") if fields.contains_key("additionalProperties") => {
            bound(fields, "maxProperties", MAP_MAX);
        }
        _ => {}
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
        properties.values_mut().for_each(|child| cut_node(child, text_max));
    }
    if let Some(items) = fields.get_mut("items") {
        // An entry is described by its list.
        if let Value::Object(entry) = &mut *items {
            entry.remove("description");
        }
        cut_node(items, text_max);
    }
}

fn bound(fields: &mut Map<String, Value>, name: &str, limit: u64) {
    fields.entry(name).or_insert_with(|| limit.into());
}

/// The first sentence, or as much of it as there is room for.
fn shortened(text: &str) -> String {
    let sentence = text.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let mut short = String::new();
    for word in sentence.split_whitespace() {
        if short.len() + word.len() > DESCRIPTION_MAX {
            short.push('…');
            return short;
        }
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
    }
    short.push('.');
    short
}
