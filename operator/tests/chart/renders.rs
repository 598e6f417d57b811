//! What the chart renders for the values that are in `ci/`: a snapshot each, and each is an object that a
//! real API server takes, in a namespace that enforces the restricted standard.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionSpec;
use serde_json::{Value, json};
use storefront_operator::render::Options;
use storefront_testkit::{define, helm, monitoring_definitions};

use crate::{CHART, world::World};

/// The values of `ci/`, by their names.
pub fn cases() -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(format!("{CHART}/ci")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let name = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name.strip_suffix("-values.yaml").unwrap().to_owned()
    };
    files.iter().map(|file| (name(file), file.clone())).collect()
}

/// What Helm renders with these flags.
pub async fn template(words: &[&str]) -> String {
    let all = [&["template", "shops", CHART, "--namespace", "operator"], words].concat();
    helm(None, &all).await.unwrap()
}

async fn rendered(values: &Path) -> String {
    template(&["--values", values.to_str().unwrap()]).await
}

/// One object after the other.
pub fn objects(rendered: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(rendered);
    let objects = documents.map(|document| {
        <Value as serde::Deserialize>::deserialize(document).expect("what is rendered is YAML")
    });
    objects.filter(|object| !object.is_null()).collect()
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test]
async fn each_case_renders_what_was_reviewed() {
    let cases = cases();
    assert!(cases.len() >= 8, "{cases:?}");
    for (name, values) in cases {
        let rendered = rendered(&values).await;
        // These are long; other tests read them.
        let cut = ["\nspec:\n  group:", "\ndata:\n  operator.json:", "\ndata:\n  shops.json:"];
        let parts = rendered.split("---\n").map(|part| {
            match cut.iter().find_map(|begin| part.find(begin)) {
                Some(end) => format!("{}\n# and so on\n", &part[..end]),
                None => part.to_owned(),
            }
        });
        let rendered = parts.collect::<Vec<_>>().join("---\n");
        let rendered = rendered.replace(&Options::default().tag, "VERSION");
        insta::assert_snapshot!(name, rendered);
    }
}

#[tokio::test]
async fn the_definition_is_that_of_the_types() {
    let rendered = rendered(&cases()[0].1).await;
    let objects = objects(&rendered);
    let found = objects.iter().find(|object| object["kind"] == "CustomResourceDefinition").unwrap();
    let found_spec: CustomResourceDefinitionSpec =
        serde_json::from_value(found["spec"].clone()).unwrap();
    let of_types = storefront_operator::crd::definition().unwrap().spec;
    assert!(found_spec == of_types, "the chart's definition is an old one: run `make generate`");
    assert_eq!(found["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
}

#[tokio::test]
async fn in_chosen_namespaces_nothing_of_the_cluster_is_touched() {
    let (_, values) = cases().into_iter().find(|(name, _)| name == "namespaced").unwrap();
    for object in objects(&rendered(&values).await) {
        assert_ne!(text(&object, "/metadata/namespace"), "", "{object:#}");
    }
}

#[tokio::test]
async fn objects_have_the_usual_labels_and_selectors_that_never_change() {
    for (name, values) in cases() {
        for object in objects(&rendered(&values).await) {
            let labels = &object["metadata"]["labels"];
            if labels["app.kubernetes.io/name"] == "notes" {
                continue; // one of extraObjects, as it was written
            }
            for label in ["name", "instance", "part-of", "managed-by", "version"] {
                let label = format!("app.kubernetes.io/{label}");
                assert!(labels[&label].is_string(), "{name}: {label} of {object:#}");
            }
            assert!(labels["helm.sh/chart"].is_string(), "{name}: {object:#}");
            if object["kind"] == "Deployment" {
                let selector = object["spec"]["selector"]["matchLabels"].as_object().unwrap();
                let keys: BTreeSet<_> = selector.keys().map(String::as_str).collect();
                let fixed = ["component", "instance", "name"];
                assert!(keys.iter().eq(fixed.map(|key| format!("app.kubernetes.io/{key}")).iter()));
                // By it shops let the operator through to their brokers.
                assert_eq!(selector["app.kubernetes.io/name"], "storefront-operator");
            }
        }
    }
}

/// Stronger than a schema: the API server itself is asked, and nothing is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_api_server_takes_each_of_them() {
    let world = World::new().await;
    let files = fs::read_dir(monitoring_definitions().unwrap()).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    let foreign = files.flat_map(|file| objects(&fs::read_to_string(file).unwrap()));
    let foreign = foreign.map(|definition| serde_json::from_value(definition).unwrap());
    for definition in foreign.chain([storefront_operator::crd::definition().unwrap()]) {
        define(&world.client, &definition).await.unwrap();
    }
    for name in ["monitoring"] {
        let metadata = json!({"name": name});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        world.apply(&namespace).await.unwrap();
    }
    let mut known = BTreeSet::new();
    for (name, values) in cases() {
        for object in objects(&rendered(&values).await) {
            // Most are the same in most cases.
            if !known.insert(object.to_string()) {
                continue;
            }
            let (kind, named) = (text(&object, "/kind"), text(&object, "/metadata/name"));
            let taken = world.would_take(&object).await;
            assert!(taken.is_ok(), "{name}: {kind} {named}: {taken:?}");
        }
    }
}
