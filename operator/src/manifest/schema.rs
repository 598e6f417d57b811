//! Checks names, types and sizes against the `CustomResourceDefinition`'s schema, as the API server
//! does, in words for people. Rules over values are CEL rules and are not checked here.

use serde_json::{Map, Number, Value};

use super::{
    TOLD_MAX,
    finding::{Finding, join, shown},
    suggest,
};
use crate::plan::Fault;

/// Fields of `metadata` that people write, and those that come back from a cluster.
const METADATA: &[&str] = &[
    "name",
    "namespace",
    "labels",
    "annotations",
    "generateName",
    "finalizers",
    "ownerReferences",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];
const ROOT: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
/// A field without a value counts as absent, as in the API server.
pub(super) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(entries) => Value::Array(entries.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// Lists as far as they may be: what is too much in one is told as that, and rules that compare each entry
/// with each other would take minutes over all of it.
#[cfg(feature = "cel")]
pub(super) fn within_limits(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let of = |name: &str| &schema["properties"][name];
            let fields = fields.iter();
            let kept = fields.map(|(name, value)| (name.clone(), within_limits(of(name), value)));
            Value::Object(kept.collect())
        }
        Value::Array(entries) => {
            let entries = entries.iter().take(limit(schema));
            Value::Array(entries.map(|entry| within_limits(&schema["items"], entry)).collect())
        }
        other => other.clone(),
    }
}

/// How many entries a list may have.
fn limit(schema: &Value) -> usize {
    let limit = schema["maxItems"].as_u64();
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Everything about the object's shape that is wrong.
pub(super) fn check(schema: &Value, object: &Value) -> Vec<Finding> {
    let mut check = Check { root: schema, findings: Vec::new() };
    if let Value::Object(fields) = object {
        check.names(fields, ROOT, "");
        match fields.get("metadata") {
            Some(Value::Object(metadata)) => check.metadata(metadata),
            Some(other) => {
                check.add("metadata", format!("{}; write name: demo below it", typed(other)));
            }
            None => check.add("metadata.name", "is missing; write metadata: {name: demo}"),
        }
        match fields.get("spec") {
            Some(spec) => check.value(&schema["properties"]["spec"], spec, "spec"),
            None => check.add("spec.payment", "is missing; write payment: {sandbox: {}}"),
        }
    }
    check.findings
}

struct Check<'a> {
    root: &'a Value,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.findings.push(Finding::new(path, message));
    }

    fn metadata(&mut self, metadata: &Map<String, Value>) {
        self.names(metadata, METADATA, "metadata");
        match metadata.get("name") {
            Some(Value::String(_)) => {}
            Some(other) => self.add("metadata.name", format!("{}; write a text", typed(other))),
            None => self.add("metadata.name", "is missing; write a name such as demo"),
        }
        match metadata.get("namespace") {
            None => {}
            Some(Value::String(namespace)) => {
                if let Some(fault) = Fault::of_namespace(namespace) {
                    self.add("metadata.namespace", fault.to_string());
                }
            }
            Some(other) => {
                self.add("metadata.namespace", format!("{}; write a text", typed(other)));
            }
        }
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        if schema["x-kubernetes-int-or-string"] == true {
            if !value.is_string() && !value.is_i64() && !value.is_u64() {
                self.add(path, format!("{}; write a number or a text", typed(value)));
            }
            return;
        }
        match (schema["type"].as_str().unwrap_or_default(), value) {
            ("object", Value::Object(fields)) => self.object(schema, fields, path),
            ("array", Value::Array(entries)) => self.array(schema, entries, path),
            ("string", Value::String(text)) => self.text(schema, text, path),
            ("boolean", Value::Bool(_)) => {}
            ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.number(schema, number, path);
            }
            (expected, other) => {
                let wanted = match expected {
                    "object" => "fields below it".to_owned(),
                    "array" => "a list, one entry a line after '- '".to_owned(),
                    "string" => "a text (in quotes)".to_owned(),
                    "boolean" => "true or false".to_owned(),
                    "integer" => "a whole number".to_owned(),
                    other => other.to_owned(),
                };
                self.add(path, format!("{}; write {wanted}{}", typed(other), example(schema)));
            }
        }
    }

    /// A rule over a number says in words of its own how large it may be.
    fn number(&mut self, schema: &Value, number: &Number, path: &str) {
        let has_rules = schema["x-kubernetes-validations"].is_array();
        let fits = match schema["format"].as_str() {
            Some("int32") => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            _ => number.is_i64(),
        };
        if !fits && !has_rules {
            self.add(path, format!("{number} is too large; write a number nearer to 0"));
        }
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let rest = &schema["additionalProperties"];
        if rest.is_null() {
            let known: Vec<_> = properties.keys().map(String::as_str).collect();
            self.names(fields, &known, path);
        }
        if let Some(limit) = schema["maxProperties"].as_u64()
            && fields.len() as u64 > limit
        {
            self.add(path, format!("has {} entries; at most {limit} are allowed", fields.len()));
        }
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().unwrap_or_default();
            if !fields.contains_key(name) {
                let meaning = &properties.get(name).unwrap_or(&Value::Null)["description"];
                let path = join(path, name);
                self.add(&path, format!("is missing{}", explained(meaning)));
            }
        }
        for (key, value) in fields {
            match properties.get(key) {
                Some(schema) => self.value(schema, value, &join(path, key)),
                None if rest.is_object() => self.value(rest, value, &join(path, key)),
                None => {}
            }
        }
    }

    fn array(&mut self, schema: &Value, entries: &[Value], path: &str) {
        let limit = limit(schema);
        if entries.len() > limit {
            self.add(path, format!("has {} entries; at most {limit} are allowed", entries.len()));
        }
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let before = &entries[..index.min(limit)];
            if let Some(again) = said_again(schema, before, entry) {
                self.add(&path, format!("{} is there twice; write it once", shown(again)));
            }
            self.value(&schema["items"], entry, &path);
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        if let Some(limit) = schema["maxLength"].as_u64() {
            let length = text.chars().count();
            if length as u64 > limit {
                self.add(path, format!("has {length} characters; at most {limit} are allowed"));
            }
        }
        if let Some(allowed) = schema["enum"].as_array() {
            let allowed: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
            if !allowed.contains(&text) {
                let text = shown(&Value::from(text));
                self.add(path, format!("{text} is unknown; write {}", choice(&allowed)));
            }
        }
    }

    /// Reports fields that do not exist, with the one that was likely meant.
    fn names(&mut self, fields: &Map<String, Value>, known: &[&str], path: &str) {
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            let mut meant = None;
            let advice = if self.findings.len() >= TOLD_MAX {
                // Nobody is told of it, and to find out takes its time.
                String::new()
            } else if let Some(near) = suggest::nearest(name, known.iter().copied()) {
                meant = (!fields.contains_key(near)).then(|| join(path, near));
                format!("did you mean {near}?")
            } else if let Some(place) = only_place(&self.root["properties"]["spec"], name) {
                meant = Some(join(&place, name));
                format!("it belongs under {place}")
            } else if known.is_empty() {
                "nothing can be set here, write {}".to_owned()
            } else {
                let mut known = known.to_vec();
                known.sort_unstable();
                format!("known here are {}", known.join(", "))
            };
            let message = format!("is no known field: {advice}");
            self.findings.push(Finding { meant, ..Finding::new(&join(path, name), message) });
        }
    }
}

/// What an entry of a list without duplicates has in common with one before it: all of it, or its name. A
/// rule over the list says it in words of its own.
fn said_again<'a>(schema: &Value, before: &[Value], entry: &'a Value) -> Option<&'a Value> {
    if schema["x-kubernetes-list-type"] == "set" {
        return before.contains(entry).then_some(entry);
    }
    if schema["x-kubernetes-validations"].is_array() {
        return None;
    }
    let name = schema["x-kubernetes-list-map-keys"][0].as_str()?;
    let key = entry.get(name)?;
    before.iter().any(|other| other.get(name) == Some(key)).then_some(key)
}

/// The block that has a field of this name, if there is just one.
fn only_place(spec: &Value, name: &str) -> Option<String> {
    let mut places = Vec::new();
    collect_places(spec, name, "spec", &mut places);
    places.pop().filter(|_| places.is_empty())
}

fn collect_places(schema: &Value, name: &str, path: &str, places: &mut Vec<String>) {
    for (key, child) in schema["properties"].as_object().into_iter().flatten() {
        if key == name {
            places.push(path.to_owned());
        }
        let path = join(path, key);
        collect_places(child, name, &path, places);
        collect_places(&child["items"], name, &format!("{path}[]"), places);
    }
}

/// A value with its type, for a message about a wrong type.
fn typed(value: &Value) -> String {
    match value {
        Value::Null => "this is empty".to_owned(),
        Value::Bool(_) => format!("{value} is a yes or no"),
        Value::Number(number) if number.is_f64() => format!("{value} has a fraction"),
        Value::Number(_) => format!("{value} is a number"),
        Value::String(_) => format!("{} is a text", shown(value)),
        Value::Array(_) => "this is a list".to_owned(),
        Value::Object(_) => "this is a block of fields".to_owned(),
    }
}

/// `a, b or c`.
fn choice(allowed: &[&str]) -> String {
    match allowed {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// What a field is for: the first sentence of its description, and the example.
fn explained(description: &Value) -> String {
    let text = description.as_str().unwrap_or_default();
    let paragraph = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let sentence = paragraph.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let example = text.split("Example: ").nth(1).map(|e| format!("; for example {}", tidy(e)));
    if sentence.is_empty() {
        return String::new();
    }
    format!(": {sentence}{}", example.unwrap_or_default())
}

/// The example in a field's description.
fn example(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split("Example: ").nth(1).map_or_else(String::new, |e| format!(", such as {}", tidy(e)))
}

/// The first code span of an example.
fn tidy(example: &str) -> &str {
    example.split('`').nth(1).unwrap_or(example).trim()
}
