//! `values.yaml` and its schema: strict, complete, and in step with the program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;
use storefront_contract::ServiceId;
use storefront_operator::render::Options;
use storefront_testkit::helm;

use crate::{
    CHART,
    renders::{cases, objects},
};

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
        "fullnameOverride=1a",
        "lease.namespace=Kube",
        "resources.limit.memory=1Gi",
        "rbac.create=yes",
        "serviceAccount.anotations.a=b",
        "tolerations[0].efect=NoSchedule",
        "affinity.podAntiafinity.x=y",
        "networkPolicy.apiServerPorts={https}",
        "podDisruptionBudget.minAvailable=half",
        "imagePullSecrets={registry}",
        "logLevel=",
        r"commonLabels.app\.kubernetes\.io/name=shop",
        r"podLabels.app\.kubernetes\.io/instance=other",
    ] {
        let refused = helm(None, &["template", "x", CHART, "--set", mistake]).await.unwrap_err();
        let refused = refused.to_string();
        let lines = refused.lines().filter(|line| line.starts_with("- "));
        said.insert(mistake, lines.collect::<Vec<_>>().join("\n"));
    }
    insta::assert_yaml_snapshot!("mistakes", said);
}

/// A Service's name is the strictest: a letter, no dots, 63 characters. Helm takes all of these.
#[tokio::test]
async fn names_are_right_whatever_the_release_is_called() {
    let longest = format!("{}.{}", "a".repeat(20), "9-".repeat(15) + "9z");
    let is_right = |name: &str| {
        let mut letters = name.bytes();
        name.len() <= 63
            && letters.next().is_some_and(|first| first.is_ascii_lowercase())
            && letters.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
            && !name.ends_with('-')
    };
    for release in ["my.release", "1a", "0.storefront-operator", "a", &longest] {
        let words = ["template", release, CHART, "--namespace", "operator"];
        for object in objects(&helm(None, &words).await.unwrap()) {
            let (kind, name) = (&object["kind"], object["metadata"]["name"].as_str().unwrap());
            // Names in a cluster's own kinds have more in them.
            let name = name.strip_prefix("operator:").unwrap_or(name);
            let name = name.split(':').next().unwrap();
            let right = kind == "CustomResourceDefinition" || is_right(name);
            assert!(right, "{release}: {kind} {name}");
            assert!(kind != "Storefront" || name.len() <= 40, "{release}: {name}");
        }
    }
}

#[tokio::test]
async fn a_monitor_of_nothing_is_refused() {
    let nothing = "metrics.serviceMonitor.enabled=true,metrics.service.create=false";
    let refused = helm(None, &["template", "x", CHART, "--set", nothing]).await.unwrap_err();
    let says = "metrics.serviceMonitor.enabled needs metrics.service.create";
    assert!(refused.to_string().contains(says), "{refused}");
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

/// What Artifact Hub shows, and what those fetch who mirror images.
#[test]
fn annotations_name_every_image_and_the_definition() {
    let annotations = &yaml("Chart.yaml")["annotations"];
    let list = |name: &str| -> Vec<Value> {
        let text = annotations[format!("artifacthub.io/{name}")].as_str().unwrap();
        serde_yaml::from_str(text).unwrap()
    };
    let own = Options::default();
    let services = ServiceId::ALL.map(ServiceId::name);
    let of_ours = ["operator", "sandbox"].into_iter().chain(services);
    let mut wanted: BTreeSet<_> =
        of_ours.map(|name| format!("{}/storefront-{name}:{}", own.registry, own.tag)).collect();
    wanted.insert(format!("{}/storefront:{}", own.registry, own.tag));
    wanted.insert(format!("{}:{}", own.kafka_image, own.kafka_version));
    wanted.insert(own.postgres_image);
    let listed =
        list("images").iter().map(|image| image["image"].as_str().unwrap().to_owned()).collect();
    assert_eq!(wanted, listed);

    let definition = storefront_operator::crd::definition().unwrap();
    let crds = list("crds");
    assert_eq!(crds[0]["name"], definition.metadata.name.unwrap());
    assert_eq!(crds[0]["version"], definition.spec.versions[0].name);
    let example = serde_yaml::to_string(&list("crdsExamples")[0]).unwrap();
    storefront_operator::manifest::load("example", &example).unwrap();
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
