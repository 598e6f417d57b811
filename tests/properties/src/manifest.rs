//! A file with a Storefront.

use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;
use storefront_operator::{
    Storefront, crd,
    manifest::{self, Manifest, Problem},
    plan::{Placement, Plan, ServiceSettings, plan},
    render::{Apis, Generated, Input, Options, render},
};

use crate::is_readable;

/// And one that says how many there are beside them.
const PROBLEMS_MAX: usize = 31;
/// Longest place and message.
const TEXT_MAX_LENGTH: usize = 2_000;

/// Bytes are the file's text.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match manifest::load("shop.yaml", text) {
        Err(error) => {
            // More than one may stand in a file then, and each is held to the same.
            let all = manifest::load_all("shop.yaml", text);
            all.into_iter().flatten().for_each(|manifest| is_read_again(&manifest.storefront));
            assert!((1..=PROBLEMS_MAX).contains(&error.problems.len()), "{}", error.problems.len());
            assert_eq!(error.to_string().lines().count(), error.problems.len(), "{error}");
            error.problems.iter().for_each(|problem| is_told(text, problem));
        }
        Ok(Manifest { storefront, ignored, .. }) => {
            for other in &ignored {
                is_readable("an object beside it", other);
            }
            is_read_again(&storefront);
            is_rendered(&storefront);
        }
    }
}

/// A fault is told where it is: at a line of the file, and at a field that there is, or that somebody wrote.
fn is_told(text: &str, Problem { line, path, message }: &Problem) {
    is_readable("a fault", message);
    assert!(message.len() + path.len() <= TEXT_MAX_LENGTH, "{path}: {message}");
    assert!(!path.chars().any(char::is_control), "{path:?}: {message}");
    // A file that ends in the middle is told at its end. YAML has more line breaks than Rust.
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() + 1;
    assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "{line:?} of {lines}: {message}");
    let is_field = ["", "apiVersion", "kind", "metadata", "spec"].contains(&path.as_str())
        || ["metadata.name", "metadata.namespace"].contains(&path.as_str())
        || path.strip_prefix("spec.").is_some_and(|rest| is_in_schema(schema(), rest))
        || documents(text).iter().any(|document| is_in_document(document, path))
        || is_unread_and_written(text, path);
    assert!(is_field, "no field is called {path}: {message}");
}

fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let definition = crd::definition().expect("it is generated");
        let definition = serde_json::to_value(definition).expect("it is JSON");
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
    })
}

fn is_in_schema(schema: &Value, path: &str) -> bool {
    if path.is_empty() {
        return true;
    }
    if let Some(rest) = path.strip_prefix('[') {
        let rest = rest.split_once(']').map(|(_, rest)| rest.trim_start_matches('.'));
        return rest.is_some_and(|rest| is_in_schema(&schema["items"], rest));
    }
    // Names of entries are free, and may have dots.
    schema["additionalProperties"].is_object()
        || schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .any(|(name, schema)| behind(path, name).is_some_and(|rest| is_in_schema(schema, rest)))
}

/// What follows a name in a path.
fn behind<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(name)?;
    if rest.is_empty() || rest.starts_with('[') { Some(rest) } else { rest.strip_prefix('.') }
}

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let read = |one| <serde_yaml::Value as Deserialize>::deserialize(one).ok().map(untagged);
    documents.map_while(read).collect()
}

/// Whether all of a path's names stand in a file of which that crate cannot read everything, as of a number with
/// twenty digits.
fn is_unread_and_written(text: &str, path: &str) -> bool {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let is_unread =
        documents.any(|one| <serde_yaml::Value as Deserialize>::deserialize(one).is_err());
    let mut names = path.split(['.', '[']);
    is_unread && names.all(|name| name.ends_with(']') || text.contains(name))
}

/// Without YAML's tags, which are no part of a name.
fn untagged(value: serde_yaml::Value) -> Value {
    match value {
        serde_yaml::Value::Tagged(tagged) => untagged(tagged.value),
        serde_yaml::Value::Sequence(entries) => entries.into_iter().map(untagged).collect(),
        serde_yaml::Value::Mapping(fields) => {
            let name = |name: serde_yaml::Value| match untagged(name) {
                Value::String(name) => name,
                other => other.to_string(),
            };
            fields.into_iter().map(|(key, value)| (name(key), untagged(value))).collect()
        }
        // What JSON has no word for, such as `.nan`, is no place for a field.
        plain => serde_json::to_value(plain).unwrap_or_default(),
    }
}

/// A name as it is told: a terminal must not obey it.
fn shown(name: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    name.chars().map(escaped).collect()
}

fn is_in_document(value: &Value, path: &str) -> bool {
    match value {
        _ if path.is_empty() => true,
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            behind(path, &shown(name)).is_some_and(|rest| is_in_document(value, rest))
        }),
        Value::Array(entries) => entries.iter().enumerate().any(|(index, value)| {
            behind(path, &format!("[{index}]")).is_some_and(|rest| is_in_document(value, rest))
        }),
        _ => false,
    }
}

/// What is right stays right, and the same, when it comes back from a cluster.
fn is_read_again(storefront: &Storefront) {
    let text = serde_yaml::to_string(storefront).expect("it is YAML");
    let again =
        manifest::load("shop.yaml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let value = |storefront| serde_json::to_value(storefront).expect("it is JSON");
    assert_eq!(value(&again.storefront), value(storefront));
}

/// What is right can be planned and made: settings that services can read, objects that a cluster can take.
fn is_rendered(storefront: &Storefront) {
    let namespace = storefront.metadata.namespace.as_deref().unwrap_or("default");
    let placement = Placement::cluster(storefront, namespace).expect("it has a place");
    let plan = plan(storefront, &placement).expect("it was planned");
    settings_survive(&plan);
    let (options, generated, apis) = (Options::default(), Generated::placeholders(), Apis::all());
    let input = Input {
        storefront,
        plan: &plan,
        placement: &placement,
        options: &options,
        generated: &generated,
        apis: &apis,
    };
    let objects = render(&input);
    assert!(!objects.is_empty(), "nothing is made");
    for object in &objects {
        let name = object.metadata().name.as_deref().unwrap_or_default();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        let fits = (1..=63).contains(&name.len()) && name.bytes().all(plain);
        assert!(fits, "{} {name:?}", object.kind());
        // A cluster takes no larger object.
        let length = serde_json::to_vec(object).expect("it is JSON").len();
        assert!(length <= 1 << 20, "{} {name} has {length} bytes", object.kind());
    }
    assert_eq!(render(&input), objects);
}

fn settings_survive(plan: &Plan) {
    for service in &plan.services {
        let read = ServiceSettings::read(service.id, &service.settings.write());
        assert_eq!(read.expect("a service can start"), service.settings);
    }
}
