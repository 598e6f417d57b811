//! A real Kubernetes API.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use storefront_testkit::{Kubernetes, eventually_some};

const LIMIT: Duration = Duration::from_secs(30);

fn api(kubernetes: &Kubernetes) -> Api<ConfigMap> {
    Api::namespaced(kubernetes.client().unwrap(), "default")
}

async fn apply(kubernetes: &Kubernetes, value: &str) -> Result<ConfigMap, kube::Error> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "shop"},
        "data": {"currency": value},
    });
    api(kubernetes).patch("shop", &PatchParams::apply("test").force(), &Patch::Apply(object)).await
}

fn changes(kubernetes: &Kubernetes) -> Vec<Value> {
    let mut changes = kubernetes.audit().unwrap();
    changes.retain(|event| event["objectRef"]["name"] == "shop");
    changes
}

#[tokio::test]
async fn it_keeps_objects_through_a_kill_and_tells_who_changed_what() {
    let kubernetes = Kubernetes::private().await.unwrap();
    apply(&kubernetes, "INR").await.unwrap();

    kubernetes.kill().unwrap();
    assert!(apply(&kubernetes, "JPY").await.is_err(), "it is dead");
    kubernetes.start().await.unwrap();
    let kept = api(&kubernetes).get("shop").await.unwrap();
    assert_eq!(kept.data.unwrap()["currency"], "INR");

    // The log is written a moment after the answer.
    let change = eventually_some(LIMIT, "the change in the audit log", async || {
        changes(&kubernetes).into_iter().next()
    })
    .await;
    assert_eq!((&change["verb"], &change["user"]["username"]), (&json!("patch"), &json!("admin")));
}

#[tokio::test]
async fn what_is_wrong_is_refused_as_in_a_cluster() {
    let kubernetes = Kubernetes::private().await.unwrap();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Shop"}});
    let error = api(&kubernetes)
        .patch("Shop", &PatchParams::apply("test").force(), &Patch::Apply(object))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("lowercase RFC 1123 subdomain"), "{error}");
}
