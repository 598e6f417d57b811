//! The API server that all cases share, and what a case has of it: a namespace with one shop, and an operator
//! for that namespace alone.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use storefront_operator::{
    Storefront,
    controller::{self, Run, leader::Fence, metrics::Metrics},
    crd,
    render::Options,
};
use storefront_testkit::{self as testkit, Kubernetes};
use tokio::{
    sync::{OnceCell, oneshot},
    task::JoinHandle,
};

/// Loaded machines take long.
pub const LIMIT: Duration = Duration::from_secs(120);
/// Name of the shop of every case: what is rendered is the same then, but for the namespace.
pub const SHOP: &str = "demo";

/// How often the API server is asked: many cases do so at once.
const LOOK_EVERY: Duration = Duration::from_millis(100);

static KUBERNETES: OnceCell<Kubernetes> = OnceCell::const_new();
static TOUCHES: AtomicUsize = AtomicUsize::new(0);

/// The shared API server, which serves Storefronts, the Gateway API and Strimzi's kinds.
pub async fn kubernetes() -> Kubernetes {
    let start = async || {
        let kubernetes = Kubernetes::private().await.unwrap();
        define(&kubernetes.client().unwrap()).await;
        kubernetes
    };
    KUBERNETES.get_or_init(start).await.clone()
}

/// Makes an API server serve what shops need.
pub async fn define(client: &Client) {
    testkit::define(client, &crd::definition().unwrap()).await.unwrap();
    for (group, kind) in [
        ("gateway.networking.k8s.io", "HTTPRoute"),
        ("kafka.strimzi.io", "KafkaTopic"),
        ("kafka.strimzi.io", "KafkaUser"),
    ] {
        let definition = testkit::any_kind(group, "v1", kind).unwrap();
        testkit::define(client, &definition).await.unwrap();
    }
}

/// Waits until that holds; panics with `what` when it does not in time.
pub async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let in_time = tokio::time::timeout(LIMIT, wait(holds)).await;
    assert!(in_time.is_ok(), "not within {LIMIT:?}: {what}");
}

async fn wait(holds: impl AsyncFn() -> bool) {
    while !holds().await {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A namespace with one shop in it.
#[derive(Clone)]
pub struct Place {
    pub client: Client,
    pub namespace: String,
}

impl Place {
    /// A new one on the shared API server.
    pub async fn new() -> Self {
        Self::on(&kubernetes().await).await
    }

    pub async fn on(kubernetes: &Kubernetes) -> Self {
        let place = Self {
            client: kubernetes.client().unwrap(),
            namespace: format!("case-{:08x}", fastrand::u32(..)),
        };
        let namespaces: Api<Namespace> = Api::all(place.client.clone());
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place.namespace}});
        let apply = PatchParams::apply("test");
        namespaces.patch(&place.namespace, &apply, &Patch::Apply(&namespace)).await.unwrap();
        place
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What `kubectl apply --server-side` does.
    pub async fn apply(&self, spec: &Value) {
        self.try_apply(spec).await.unwrap();
    }

    pub async fn try_apply(&self, spec: &Value) -> kube::Result<Storefront> {
        let storefront = json!({
            "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {"name": SHOP},
            "spec": spec,
        });
        let apply = PatchParams::apply("test").force();
        self.api::<Storefront>().patch(SHOP, &apply, &Patch::Apply(&storefront)).await
    }

    pub async fn delete(&self) {
        self.api::<Storefront>().delete(SHOP, &DeleteParams::default()).await.unwrap();
    }

    pub async fn shop(&self) -> Option<Storefront> {
        self.api::<Storefront>().get_opt(SHOP).await.unwrap()
    }

    /// Wakes the operator without asking for anything.
    pub async fn touch(&self) {
        let touch = TOUCHES.fetch_add(1, Ordering::Relaxed).to_string();
        let touch = json!({"metadata": {"annotations": {"test/touch": touch}}});
        let parameters = PatchParams { field_manager: Some("test".into()), ..Default::default() };
        let _ = self.api::<Storefront>().patch(SHOP, &parameters, &Patch::Merge(&touch)).await;
    }

    /// Whether the status tells of the manifest as it is.
    pub async fn is_seen(&self) -> bool {
        let Ok(Some(shop)) = self.api::<Storefront>().get_opt(SHOP).await else { return false };
        shop.status.is_some_and(|status| status.observed_generation == shop.metadata.generation)
    }

    /// Whether one of the conditions has that reason.
    pub async fn says(&self, reason: &str) -> bool {
        let Ok(Some(shop)) = self.api::<Storefront>().get_opt(SHOP).await else { return false };
        let conditions = shop.status.map(|status| status.conditions);
        conditions.into_iter().flatten().any(|condition| condition.reason == reason)
    }
}

impl Place {
    pub async fn is_ready(&self) -> bool {
        let status = self.shop().await.and_then(|shop| shop.status);
        let conditions = status.map(|status| status.conditions);
        let mut ready = conditions.into_iter().flatten().filter(|c| c.type_ == "Ready");
        ready.any(|condition| condition.status == "True")
    }
}

/// An operator in this process. It is gone when it is dropped, as if it were killed.
pub struct Operator {
    metrics: Metrics,
    task: JoinHandle<()>,
    _stop: oneshot::Sender<()>,
}

impl Operator {
    /// With nothing remembered, for one namespace.
    pub fn start(client: Client, namespace: &str) -> Self {
        Self::start_with(client, namespace, Options::default())
    }

    /// The same, as it was installed.
    pub fn start_with(client: Client, namespace: &str, options: Options) -> Self {
        Self::start_counting(client, namespace, options, Metrics::default())
    }

    /// The same, with numbers that are looked at elsewhere, too.
    pub fn start_counting(
        client: Client,
        namespace: &str,
        options: Options,
        metrics: Metrics,
    ) -> Self {
        let run = Run {
            client,
            namespaces: vec![namespace.to_owned()],
            options,
            fence: Fence::open(),
            metrics: metrics.clone(),
            identity: "test".into(),
            watch_secrets: true,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(controller::run(run, async {
            let _ = stopped.await;
        }));
        Self { metrics, task, _stop: stop }
    }

    /// One of its own numbers, all labels together.
    pub fn number(&self, name: &str) -> u64 {
        let text = self.metrics.text();
        let lines = text.lines().filter(|line| {
            line.strip_prefix("storefront_operator_")
                .and_then(|line| line.strip_prefix(name))
                .is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Waits until it has seen the manifest as it is and has found, in a whole attempt, nothing to write.
    pub async fn settles(&self, place: &Place) {
        until("the manifest is seen", async || place.is_seen().await).await;
        // One that has begun before may have looked at what was then.
        until("no attempt is under way", async || self.number("reconciles_under_way") == 0).await;
        let steady = self.number("steady_reconciles_total");
        place.touch().await;
        let found = async || self.number("steady_reconciles_total") > steady;
        let settles = tokio::time::timeout(LIMIT, wait(found));
        if settles.await.is_err() {
            let status = place.shop().await.and_then(|shop| shop.status);
            panic!("no attempt has nothing to write: {status:#?}\n{}", self.metrics.text());
        }
    }
}

impl Operator {
    /// Kills it, and waits until nothing of it runs any more.
    pub async fn killed(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
