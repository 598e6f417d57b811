//! A controller in this process that looks after one namespace of a real Kubernetes API.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace},
    events::v1::Event,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};
use storefront_operator::{
    Storefront,
    controller::{self, Run, kinds, leader::Fence, metrics::Metrics},
    crd,
    render::Options,
};
use storefront_testkit::{define, eventually};
use tokio::sync::oneshot;

/// Loaded machines take long.
pub const LIMIT: Duration = Duration::from_secs(90);

/// One namespace with its controller, which ends with it.
pub struct World {
    pub client: Client,
    pub namespace: String,
    pub metrics: Metrics,
    _stop: oneshot::Sender<()>,
}

impl World {
    pub async fn new(namespace: &str) -> Self {
        let client = storefront_testkit::kubernetes().await.unwrap().client().unwrap();
        define(&client, &crd::definition().unwrap()).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let apply = PatchParams::apply("test");
        namespaces.patch(namespace, &apply, &Patch::Apply(&object)).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let metrics = Metrics::default();
        let run = Run {
            client: client.clone(),
            namespaces: vec![namespace.to_owned()],
            options: Options::default(),
            fence: Fence::open(),
            metrics: metrics.clone(),
            identity: "test".into(),
            watch_secrets: true,
        };
        tokio::spawn(controller::run(run, async {
            let _ = stopped.await;
        }));
        Self { client, namespace: namespace.to_owned(), metrics, _stop: stop }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A shop without a manifest yet.
    pub fn shop(&self, name: &str) -> Shop<'_> {
        Shop { world: self, name: name.to_owned() }
    }

    /// Applies an object of any kind, by its own `apiVersion` and `kind`, as somebody else.
    pub async fn apply(&self, object: &Value) {
        let text = |field: &str| object[field].as_str().unwrap();
        let resource = kinds::resource(text("apiVersion"), text("kind"));
        let api = self.objects(&resource);
        let name = object["metadata"]["name"].as_str().unwrap();
        let apply = PatchParams::apply("test").force();
        api.patch(name, &apply, &Patch::Apply(object)).await.unwrap();
    }

    pub async fn secret(&self, name: &str, values: &[(&str, &str)]) {
        let values: BTreeMap<_, _> = values.iter().copied().collect();
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values,
        }))
        .await;
    }

    pub fn objects(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, resource)
    }

    /// Names of a kind's objects; none where it is not served.
    pub async fn names(&self, api_version: &str, kind: &str) -> BTreeSet<String> {
        let objects = self.objects(&kinds::resource(api_version, kind));
        let list = objects.list(&ListParams::default()).await;
        list.into_iter().flatten().map(|object| object.name_any()).collect()
    }

    /// Attempts until now, of all shops.
    pub fn attempts(&self) -> u64 {
        let text = self.metrics.text();
        let counts = text.lines().filter(|line| line.starts_with("storefront_operator_reconciles"));
        let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum()
    }
}

/// A shop on brokers of others with no more than one service: brokers are what is looked at here.
pub fn on_brokers(kafka: &Value) -> Value {
    let off = json!({"enabled": false});
    json!({
        "payment": {"sandbox": {}},
        "kafka": kafka,
        "services": {"analytics": off, "email": off, "gateway": off, "payment": off},
    })
}

/// One Storefront.
pub struct Shop<'a> {
    world: &'a World,
    pub name: String,
}

impl Shop<'_> {
    pub async fn apply(&self, spec: &Value) {
        let storefront = json!({
            "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {"name": self.name},
            "spec": spec,
        });
        let apply = PatchParams::apply("test").force();
        let api = self.world.api::<Storefront>();
        api.patch(&self.name, &apply, &Patch::Apply(&storefront)).await.unwrap();
    }

    pub async fn get(&self) -> Option<Storefront> {
        self.world.api().get_opt(&self.name).await.unwrap()
    }

    pub async fn delete(&self) {
        self.world.api::<Storefront>().delete(&self.name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn is_gone(&self) {
        let gone = async || self.get().await.is_none();
        eventually(LIMIT, &format!("{} is gone", self.name), gone).await;
    }

    /// Waits for a condition's status and reason, and answers with its message.
    pub async fn comes_to(&self, type_: &str, status: &str, reason: &str) -> String {
        let look = async || {
            let shop = self.get().await?;
            let current = shop.metadata.generation;
            let known = shop.status.filter(|status| status.observed_generation == current)?;
            let found = known.conditions.into_iter().find(|found| found.type_ == type_)?;
            (found.status == status && found.reason == reason).then_some(found.message)
        };
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(message) = look().await {
                return message;
            }
            if Instant::now() > end {
                let told = self.conditions().await;
                panic!("{}: no {type_}={status} {reason} within {LIMIT:?}:\n{told}", self.name);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is said about the shop as a whole and about its brokers, one condition a line.
    pub async fn conditions(&self) -> String {
        const TYPES: [&str; 5] = ["Ready", "Progressing", "Degraded", "KafkaReady", "TopicsReady"];
        let shop = self.get().await.unwrap();
        let conditions = shop.status.unwrap_or_default().conditions;
        let told = conditions.iter().filter(|c| TYPES.contains(&c.type_.as_str()));
        let lines = told.map(|c| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Events about it: type, reason and note.
    pub async fn events(&self) -> Vec<(String, String, String)> {
        let events = self.world.api::<Event>().list(&ListParams::default()).await.unwrap();
        let ours = events.items.into_iter().filter(|event| {
            event.regarding.as_ref().is_some_and(|shop| shop.name.as_ref() == Some(&self.name))
        });
        let parts = ours.map(|event| {
            let text = |text: Option<String>| text.unwrap_or_default();
            (text(event.type_), text(event.reason), text(event.note))
        });
        parts.collect()
    }

    /// The topics that are written down as its own.
    pub async fn ledger(&self) -> Vec<String> {
        let map: Option<ConfigMap> =
            self.world.api().get_opt(&format!("{}-topics", self.name)).await.unwrap();
        let lines = map.and_then(|map| map.data?.get("topics").cloned()).unwrap_or_default();
        lines.lines().map(str::to_owned).collect()
    }
}
