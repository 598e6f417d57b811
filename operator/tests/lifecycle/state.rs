//! Everything that is there of a shop, so that two shops can be compared: without what differs between any two
//! objects, and with the names of what was made up in place of it.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::{
    Api, ResourceExt,
    api::ListParams,
    core::{ApiResource, DynamicObject, TypeMeta},
};
use serde_json::{Value, json};
use storefront_operator::{Storefront, controller::kinds};

use crate::world::{Place, SHOP};

/// Every kind that a shop becomes.
pub fn resources() -> Vec<ApiResource> {
    let listed = kinds::LISTED.iter().map(|(group, version, kind)| match *group {
        "" => kinds::resource(version, kind),
        group => kinds::resource(&format!("{group}/{version}"), kind),
    });
    let others = [
        ("v1", "Secret"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("kafka.strimzi.io/v1", "KafkaTopic"),
        ("kafka.strimzi.io/v1", "KafkaUser"),
    ];
    listed.chain(others.map(|(version, kind)| kinds::resource(version, kind))).collect()
}

/// Every object of those kinds in the namespace, with its kind.
pub async fn objects(place: &Place) -> Vec<(ApiResource, DynamicObject)> {
    let mut all = Vec::new();
    for resource in resources() {
        let api: Api<DynamicObject> =
            Api::namespaced_with(place.client.clone(), &place.namespace, &resource);
        let list = api.list(&ListParams::default()).await.unwrap();
        all.extend(list.items.into_iter().map(|mut object| {
            // A list does not repeat its kind in each entry.
            object.types = Some(TypeMeta {
                api_version: resource.api_version.clone(),
                kind: resource.kind.clone(),
            });
            (resource.clone(), object)
        }));
    }
    all
}

/// By kind and name.
pub type State = BTreeMap<String, Value>;

pub async fn state(place: &Place) -> State {
    let shop = place.shop().await;
    let objects = objects(place).await;
    let mut words = vec![(place.namespace.clone(), "NAMESPACE".to_owned())];
    words.extend(shop.as_ref().and_then(ResourceExt::uid).map(|uid| (uid, "UID".to_owned())));
    for (resource, object) in &objects {
        if resource.kind == "Secret" {
            let made_up =
                secret(object).into_iter().filter(|(key, _)| key != "url" && key != "brokers");
            words.extend(made_up.map(|(key, value)| (value, key.to_uppercase())));
        }
    }
    let mut state: State = objects
        .iter()
        .map(|(resource, object)| {
            let mut value = serde_json::to_value(object).unwrap();
            if resource.kind == "Secret" {
                value["data"] = json!(secret(object));
            }
            let name = format!("{} {}", resource.kind, object.name_any());
            (name, comparable(value, &words))
        })
        .collect();
    if let Some(shop) = shop {
        state.insert(format!("Storefront {SHOP}"), comparable(of_shop(&shop), &words));
    }
    state
}

/// The Secret's entries in clear.
pub fn secret(object: &DynamicObject) -> BTreeMap<String, String> {
    let data = object.data["data"].as_object().cloned().unwrap_or_default();
    let text = |value: &Value| {
        String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
    };
    data.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// What the operator writes of it: the status, and finalizers.
fn of_shop(shop: &Storefront) -> Value {
    let current = shop.metadata.generation;
    let mut status = serde_json::to_value(&shop.status).unwrap();
    let mark = |generation: &mut Value| {
        let is_current = generation.as_i64() == current;
        *generation = json!(if is_current { "current" } else { "old" });
    };
    if let Some(status) = status.as_object_mut() {
        mark(&mut status["observedGeneration"]);
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            mark(&mut condition["observedGeneration"]);
            condition["lastTransitionTime"] = Value::Null;
        }
    }
    json!({"kind": "Storefront", "metadata": {"finalizers": shop.finalizers()}, "status": status})
}

fn comparable(mut value: Value, words: &[(String, String)]) -> Value {
    let managers = managers(&value);
    if let Some(metadata) = value["metadata"].as_object_mut() {
        for field in ["creationTimestamp", "generation", "resourceVersion", "uid"] {
            metadata.remove(field);
        }
        metadata.insert("managedFields".into(), managers);
    }
    if value["kind"] != "Storefront" && value["spec"].is_object() {
        let fields = value.as_object_mut().unwrap();
        fields.remove("status");
        // Drawn by the API server.
        let spec = &mut value["spec"];
        if spec["clusterIP"].is_string() && spec["clusterIP"] != "None" {
            spec["clusterIP"] = json!("drawn");
            spec["clusterIPs"] = json!(["drawn"]);
        }
    }
    hide_scaled(&mut value);
    hide_hashes(&mut value);
    let mut text = value.to_string();
    for (word, name) in words {
        text = text.replace(word, name);
    }
    serde_json::from_str(&text).unwrap()
}

/// A number of instances that the operator does not decide is that of whoever did so last.
fn hide_scaled(value: &mut Value) {
    let ours = "\"f:replicas\"";
    let managers = value["metadata"]["managedFields"].as_array_mut().unwrap();
    managers.retain(|entry| !entry.as_str().unwrap().contains("storefront-operator-handover"));
    let is_ours = managers.iter().any(|entry| entry.as_str().unwrap().contains(ours));
    if value["kind"] == "Deployment" && !is_ours {
        value["spec"]["replicas"] = json!("not ours");
    }
    for condition in value["status"]["conditions"].as_array_mut().into_iter().flatten() {
        let message = condition["message"].as_str().unwrap_or_default();
        if message.ends_with(" instances are ready") {
            condition["message"] = json!("N instances are ready");
        }
    }
}

/// Hashes are of what has the namespace or a password in it.
fn hide_hashes(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name.ends_with("-hash") && value.is_string() {
                    *value = json!("HASH");
                }
                hide_hashes(value);
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(hide_hashes),
        _ => {}
    }
}

/// Who owns which fields, without when.
fn managers(value: &Value) -> Value {
    let entries = value["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mut entries: Vec<String> = entries
        .into_iter()
        .filter(|entry| entry["subresource"] != "status")
        .map(|mut entry| {
            entry.as_object_mut().unwrap().remove("time");
            entry.to_string()
        })
        .collect();
    entries.sort();
    json!(entries)
}

/// Panics with the first differences between what is there and what should be.
pub fn assert_same(there: &State, wanted: &State, what: &str) {
    let mut differences = Vec::new();
    for name in there.keys().chain(wanted.keys().filter(|name| !there.contains_key(*name))) {
        match (there.get(name), wanted.get(name)) {
            (Some(there), Some(wanted)) => differ(name, there, wanted, &mut differences),
            (Some(_), None) => differences.push(format!("{name} is there, and should not be")),
            _ => differences.push(format!("{name} is missing")),
        }
    }
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}

fn differ(path: &str, there: &Value, wanted: &Value, differences: &mut Vec<String>) {
    match (there, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                let null = Value::Null;
                let (a, b) = (a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null));
                differ(&format!("{path}.{name}"), a, b, differences);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{path}[{index}]"), a, b, differences);
            }
        }
        (a, b) if a != b => differences.push(format!("{path}: is {a}, should be {b}")),
        _ => {}
    }
}

/// Without what is kept for later of parts that do not run now, and is not there in `fresh`.
pub fn without_kept(mut state: State, fresh: &State) -> State {
    state.retain(|name, value| {
        let kept = value["metadata"]["annotations"]["storefront.dev/retain"] == "true";
        fresh.contains_key(name) || !kept
    });
    state
}
