//! Secrets of others that change, lose a key and get it back. What a service reads again by itself is left to
//! it; what it reads once rolls those who use it and nobody else; what is missing changes nothing that runs.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{Operator, Place, kubernetes, until};

/// Each Secret that a shop can refer to, with its keys.
const SECRETS: [(&str, &[&str]); 4] = [
    ("stripe", &["api-key", "webhook-secret"]),
    ("postgres", &["uri"]),
    ("gmail", &["username", "password"]),
    ("kafka", &["username", "password"]),
];
/// Kafka's clients read their password when they connect, and not again.
const READS_ONCE: &str = "kafka";

fn spec() -> Value {
    json!({
        "currency": "INR",
        "catalog": {"products": [{"id": "chai", "name": "Chai", "price": 100}]},
        "payment": {"stripe": {"secretRef": {"name": "stripe"}}},
        "database": {"external": {"secretRef": {"name": "postgres", "key": "uri"}}},
        "email": {
            "from": "shop@example.com",
            "smtp": {"host": "smtp.example.com", "secretRef": {"name": "gmail"}},
        },
        "kafka": {"external": {
            "bootstrapServers": "127.0.0.1:1",
            "tls": {},
            "sasl": {"mechanism": "SCRAM-SHA-512", "secretRef": {"name": "kafka"}},
        }},
    })
}

/// What is in a Secret after so many rotations.
fn values(keys: &[&'static str], rotation: usize) -> BTreeMap<&'static str, String> {
    keys.iter().map(|key| (*key, format!("{key} {rotation}"))).collect()
}

/// A Secret with these values and no others.
async fn put(place: &Place, name: &str, values: &BTreeMap<&str, String>) {
    let data: BTreeMap<_, _> =
        values.iter().map(|(key, value)| (*key, STANDARD.encode(value))).collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data,
    });
    let apply = PatchParams::apply("test").force();
    place.api::<Secret>().patch(name, &apply, &Patch::Apply(&secret)).await.unwrap();
}

/// What the operator has changed in the namespace, but for what it says: verb, kind and name.
async fn changes(place: &Place) -> Vec<String> {
    let all = kubernetes().await.audit().unwrap();
    let ours = all.iter().filter(|change| {
        let of = &change["objectRef"];
        change["user"]["username"] == "second"
            && of["namespace"] == place.namespace.as_str()
            && of["resource"] != "events"
            && of["subresource"] != "status"
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let change = |change: &Value| {
        let of = &change["objectRef"];
        format!("{} {} {}", text(&change["verb"]), text(&of["resource"]), text(&of["name"]))
    };
    ours.map(change).collect()
}

/// The message of `SecretsReady`, while it is not.
async fn missing(place: &Place) -> Option<String> {
    let conditions = place.shop().await?.status?.conditions;
    let condition = conditions.into_iter().find(|condition| condition.type_ == "SecretsReady")?;
    (condition.status == "False").then_some(condition.message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_changes_rolls_only_who_cannot_read_it_again() {
    let place = Place::new().await;
    let config = kubernetes().await.config("second").unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let operator = Operator::start(client, &place.namespace);
    for (name, keys) in SECRETS {
        put(&place, name, &values(keys, 0)).await;
    }
    place.apply(&spec()).await;
    operator.settles(&place).await;
    assert_eq!(missing(&place).await, None);

    let mut told = Vec::new();
    for (name, keys) in SECRETS {
        // Another value.
        let (before, attempts) = (changes(&place).await.len(), operator.number("reconciles_total"));
        put(&place, name, &values(keys, 1)).await;
        until("the change is seen", async || operator.number("reconciles_total") > attempts).await;
        operator.settles(&place).await;
        let mut changed = changes(&place).await.split_off(before);
        changed.sort();
        let rolls: &[&str] = match name {
            READS_ONCE => &[
                "patch deployments demo-analytics",
                "patch deployments demo-email",
                "patch deployments demo-order",
                "patch deployments demo-payment",
            ],
            _ => &[],
        };
        assert_eq!(changed, rolls, "another value in {name}");

        // A key that goes, and one that has nothing in it.
        let before = changes(&place).await.len();
        for key in keys {
            for value in [None, Some(String::new())] {
                let mut incomplete = values(keys, 1);
                incomplete.remove(key);
                incomplete.extend(value.map(|value| (*key, value)));
                put(&place, name, &incomplete).await;
                until("the key is missed", async || {
                    let said = missing(&place).await;
                    said.is_some_and(|said| {
                        said.contains(&format!("Secret {name} has nothing in {key}"))
                    })
                })
                .await;
                told.extend(missing(&place).await);
                put(&place, name, &values(keys, 1)).await;
                until("nothing is missed", async || missing(&place).await.is_none()).await;
            }
        }
        // The Secret as a whole.
        place.api::<Secret>().delete(name, &DeleteParams::default()).await.unwrap();
        until("the Secret is missed", async || {
            let said = missing(&place).await;
            said.is_some_and(|said| said.contains(&format!("Secret {name} is missing")))
        })
        .await;
        told.extend(missing(&place).await);
        put(&place, name, &values(keys, 1)).await;
        until("nothing is missed", async || missing(&place).await.is_none()).await;
        operator.settles(&place).await;
        assert_eq!(
            changes(&place).await[before..],
            [""; 0],
            "{name} was incomplete, and is as before"
        );
    }
    told.dedup();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("missing_secrets", told.join("\n"));
    });
}
