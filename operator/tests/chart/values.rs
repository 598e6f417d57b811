//! `values.yaml` and its schema: strict, complete, and in step with the program.

use std::{collections::BTreeMap, fs};

use serde_json::Value;
use storefront_operator::render::Options;
use storefront_testkit::helm;

use crate::{CHART, renders::cases};

fn yaml(file: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(format!("{CHART}/{file}")).unwrap()).unwrap()
}

#[tokio::test]
async fn helm_finds_nothing_to_complain_about() {
    let mut words = vec!["lint".to_owned(), "--strict".to_owned(), CHART.to_owned()];
    for (_, values) in cases() {
        words.extend(["--values".to_owned(), values.display().to_string()]);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let said = helm(None, &words).await.unwrap();
        assert!(said.contains("1 chart(s) linted, 0 chart(s) failed"), "{said}");
    }
}

/// Each is a mistake that people make; the answer names the place.
#[tokio::test]
async fn mistakes_are_refused_by_name() {
    let mut said = BTreeMap::new();
    for mistake in [
        "image.tga=1",
        "image.digest=latest",
        "image.pullPolicy=always",
        "crds.kep=true",
        "replicas=two",
        "replicaCount=2",
        "watch.namespace=shops",
        "watch.namespaces={Shops}",
        "watchSecrets=true",
        "resources.limit.memory=1Gi",
        "rbac.create=yes",
        "serviceAccount.anotations.a=b",
        "tolerations[0].efect=NoSchedule",
        "affinity.podAntiafinity.x=y",
        "networkPolicy.apiServerPorts={https}",
        "podDisruptionBudget.minAvailable=half",
        "imagePullSecrets={registry}",
        "logLevel=",
    ] {
        let refused = helm(None, &["template", "x", CHART, "--set", mistake]).await.unwrap_err();
        let refused = refused.to_string();
        let lines = refused.lines().filter(|line| line.starts_with("- "));
        said.insert(mistake, lines.collect::<Vec<_>>().join("\n"));
    }
    insta::assert_yaml_snapshot!("mistakes", said);
}

/// Values of Kubernetes' own kinds, which are known there and described as wholes.
const WHOLES: &[&str] = &[".affinity", ".resources"];

/// Walks the defaults and the schema side by side.
fn compare(path: &str, defaults: &Value, schema: &Value, faults: &mut Vec<String>) {
    let described = schema["description"].as_str().unwrap_or_default();
    if !path.is_empty() && described.is_empty() {
        faults.push(format!("{path} has no description in the schema"));
    }
    let (Some(defaults), Some(known)) = (defaults.as_object(), schema["properties"].as_object())
    else {
        return;
    };
    if WHOLES.contains(&path) {
        return;
    }
    if schema["additionalProperties"] != Value::Bool(false) {
        faults.push(format!("{path} takes names that nobody knows"));
    }
    for (name, value) in defaults {
        let path = format!("{path}.{name}");
        match known.get(name) {
            Some(schema) => compare(&path, value, schema, faults),
            None => faults.push(format!("{path} is not in the schema")),
        }
    }
    let own = known.keys().filter(|name| !defaults.contains_key(*name));
    faults.extend(own.map(|name| format!("{path}.{name} is in the schema only")));
}

#[test]
fn every_value_is_in_the_schema_with_its_description_and_the_other_way_round() {
    let mut defaults = yaml("values.yaml");
    // What a chart is given as a part of another one.
    for name in ["global", "enabled"] {
        defaults[name] = Value::Null;
    }
    let mut faults = Vec::new();
    compare("", &defaults, &yaml("values.schema.json"), &mut faults);
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn versions_and_images_are_those_of_the_program() {
    let (chart, values, own) = (yaml("Chart.yaml"), yaml("values.yaml"), Options::default());
    assert_eq!(chart["version"], own.tag);
    assert_eq!(chart["appVersion"], own.tag);
    let images = &values["shopImages"];
    assert_eq!(images["services"]["registry"], own.registry);
    assert_eq!(images["kafka"]["image"], own.kafka_image);
    assert_eq!(images["kafka"]["version"], own.kafka_version);
    assert_eq!(images["postgres"]["image"], own.postgres_image);
}
