//! While nothing changes nothing is written, neither to the API server nor to the brokers, by their own word.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use storefront_testkit::Kafka;

use crate::{
    controllers::run_pods,
    world::{Operator, Place, kubernetes, until},
};

const WINDOW: Duration = Duration::from_secs(60);
/// Each operator begins with nothing remembered, and asks the brokers anew.
const OPERATORS: u32 = 4;
/// What changes something on a broker.
const CHANGES: [&str; 6] = [
    "ALTER_CONFIGS",
    "CREATE_PARTITIONS",
    "CREATE_TOPICS",
    "DELETE_RECORDS",
    "DELETE_TOPICS",
    "INCREMENTAL_ALTER_CONFIGS",
];

/// What the operators, as a user of their own, have changed in these namespaces.
async fn changes(namespaces: &BTreeSet<String>) -> Vec<Value> {
    let mut changes = kubernetes().await.audit().unwrap();
    changes.retain(|change| {
        let namespace = change["objectRef"]["namespace"].as_str().unwrap_or_default();
        change["user"]["username"] == "second" && namespaces.contains(namespace)
    });
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_is_as_it_should_be_is_not_written_to_for_a_minute() {
    let kafka = Kafka::private_with_requests().await.unwrap();
    // One is ready, one has brokers that do not answer, one misses a Secret.
    let ready = json!({
        "payment": {"sandbox": {}},
        "kafka": {
            "external": {"bootstrapServers": kafka.bootstrap()},
            "topics": {"replicationFactor": 1, "config": {"retention.ms": 86_400_000}},
        },
        "services": {"gateway": {"autoscaling": {"maxReplicas": 5}}, "order": {"replicas": 2}},
    });
    let unreachable = json!({"payment": {"sandbox": {}}});
    let incomplete = json!({
        "currency": "INR",
        "catalog": {"products": [{"id": "chai", "name": "Chai", "price": 100}]},
        "payment": {"stripe": {"secretRef": {"name": "stripe"}}},
    });
    let config = kubernetes().await.config("second").unwrap();
    let operate = |place: &Place| {
        Operator::start(kube::Client::try_from(config.clone()).unwrap(), &place.namespace)
    };
    let mut places = Vec::new();
    for spec in [&ready, &unreachable, &incomplete] {
        let place = Place::new().await;
        let operator = operate(&place);
        place.apply(spec).await;
        operator.settles(&place).await;
        if *spec != incomplete {
            run_pods(&place).await;
        }
        places.push((place, operator));
    }
    until("the first is ready", async || places[0].0.is_ready().await).await;
    until("the brokers are missed", async || places[1].0.says("Unreachable").await).await;
    for (place, operator) in &places {
        operator.settles(place).await;
    }

    let namespaces: BTreeSet<_> = places.iter().map(|(place, _)| place.namespace.clone()).collect();
    let (before, asked) = (changes(&namespaces).await.len(), kafka.requests().unwrap().len());
    let mut attempts = 0;
    for _ in 0..OPERATORS {
        let began = Instant::now();
        for (place, operator) in &mut places {
            *operator = operate(place);
        }
        while began.elapsed() < WINDOW / OPERATORS {
            for (place, operator) in &places {
                let last = operator.number("reconciles_total");
                place.touch().await;
                until("an attempt", async || operator.number("reconciles_total") > last).await;
                attempts += 1;
            }
        }
    }
    let changes = changes(&namespaces).await;
    assert_eq!(changes.len(), before, "{:#?}", changes.last());
    let mut requests: BTreeMap<String, usize> = BTreeMap::new();
    for request in kafka.requests().unwrap().into_iter().skip(asked) {
        *requests.entry(request).or_default() += 1;
    }
    println!("{attempts} attempts; the broker was asked {requests:?}");
    assert!(requests["DESCRIBE_CONFIGS"] >= OPERATORS as usize, "the broker was not looked at");
    assert_eq!(CHANGES.map(|change| requests.get(change)), [None; CHANGES.len()]);
    // Both would have counted: what is changed now is written.
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "stripe"},
        "stringData": {"api-key": "sk_test_a", "webhook-secret": "whsec_a"},
    });
    let secrets = places[2].0.api::<Secret>();
    secrets.patch("stripe", &PatchParams::apply("test"), &Patch::Apply(&secret)).await.unwrap();
    until("a write", async || self::changes(&namespaces).await.len() > before).await;
}
