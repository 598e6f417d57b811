//! A real API server with two namespaces, and Helm that speaks with it.

use std::{fs, path::PathBuf, time::Duration};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};
use storefront_operator::Storefront;
use storefront_testkit::{Kubernetes, eventually, helm};

use crate::CHART;

/// Where releases are.
pub const HOME: &str = "operator";
/// Where shops are, and more of them.
pub const SHOPS: &str = "shops";
pub const MORE: &str = "more";
/// The name of the release, and so of its objects.
pub const RELEASE: &str = "storefront-operator";
/// Loaded machines take long.
pub const LIMIT: Duration = Duration::from_secs(90);

/// A Storefront from a manifest's text.
pub fn shop(text: &str) -> Value {
    let mut storefront: Value = serde_yaml::from_str(text).unwrap();
    storefront["metadata"]["namespace"] = json!(SHOPS);
    storefront
}

/// `examples/demo.yaml`.
pub fn demo() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/demo.yaml");
    shop(&fs::read_to_string(file).unwrap())
}

pub struct World {
    pub kubernetes: Kubernetes,
    pub client: Client,
    kubeconfig: PathBuf,
}

impl World {
    pub async fn new() -> Self {
        let kubernetes = Kubernetes::private().await.unwrap();
        let client = kubernetes.client().unwrap();
        let kubeconfig = kubernetes.kubeconfig().unwrap();
        let world = Self { kubernetes, client, kubeconfig };
        for name in [HOME, SHOPS, MORE] {
            let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
            let metadata = json!({"name": name, "labels": labels});
            world
                .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
                .await
                .unwrap();
        }
        world
    }

    /// Runs Helm with all rights in the namespace of releases.
    pub async fn helm(&self, words: &[&str]) -> anyhow::Result<String> {
        self.helm_in(HOME, words).await
    }

    /// Runs Helm with all rights in another namespace.
    pub async fn helm_in(&self, namespace: &str, words: &[&str]) -> anyhow::Result<String> {
        let all = [words, &["--namespace", namespace]].concat();
        helm(Some(&self.kubeconfig), &all).await
    }

    /// `helm install` or `upgrade` of our chart.
    pub async fn install(&self, verb: &str, words: &[&str]) -> anyhow::Result<String> {
        self.helm(&[&[verb, RELEASE, CHART], words].concat()).await
    }

    /// An API of objects of any kind.
    pub fn api(&self, object: &Value) -> Api<DynamicObject> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = match text("/apiVersion").split_once('/') {
            Some(parts) => parts,
            None => ("", text("/apiVersion")),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
        match text("/metadata/namespace") {
            "" => Api::all_with(self.client.clone(), &resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }

    pub async fn apply(&self, object: &Value) -> Result<DynamicObject, kube::Error> {
        self.patch(object, PatchParams::apply("test").force()).await
    }

    /// Whether the API server would keep an object as it is, with every field known, and its pods.
    pub async fn would_take(&self, object: &Value) -> Result<(), kube::Error> {
        let strict = PatchParams::apply("test").force().dry_run().validation_strict();
        self.patch(object, strict.clone()).await?;
        let mut pod = object["spec"]["template"].clone();
        if pod.is_object() {
            (pod["apiVersion"], pod["kind"]) = (json!("v1"), json!("Pod"));
            pod["metadata"]["name"] = json!("one");
            pod["metadata"]["namespace"] = object["metadata"]["namespace"].clone();
            self.patch(&pod, strict).await?;
        }
        Ok(())
    }

    async fn patch(
        &self,
        object: &Value,
        parameters: PatchParams,
    ) -> Result<DynamicObject, kube::Error> {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.api(object).patch(name, &parameters, &Patch::Apply(object)).await
    }

    /// Applies a Storefront, and waits until the operator has done all that it can with it.
    pub async fn comes_to(&self, storefront: &Value, type_: &str, reason: &str) {
        self.apply(storefront).await.unwrap();
        let text = |name: &str| storefront["metadata"][name].as_str().unwrap();
        let (name, namespace) = (text("name"), text("namespace"));
        let shops: Api<Storefront> = Api::namespaced(self.client.clone(), namespace);
        eventually(LIMIT, &format!("{namespace}/{name}: {type_} ({reason})"), async || {
            let shop = shops.get(name).await.unwrap();
            let status = shop.status.unwrap_or_default();
            let found = status.conditions.iter().find(|condition| condition.type_ == type_);
            status.observed_generation == shop.metadata.generation
                && found.is_some_and(|condition| condition.reason == reason)
        })
        .await;
    }

    /// What the operator has asked the API server for until now, whether it was allowed or not.
    pub fn asked(&self) -> Vec<Value> {
        let user = format!("system:serviceaccount:{HOME}:{RELEASE}");
        let mut requests = self.kubernetes.audit().unwrap();
        requests.retain(|request| {
            request["user"]["username"] == *user && request["objectRef"].is_object()
        });
        requests
    }
}
