//! The controller on a real Kubernetes API, in this process: a shop comes up, stays still, is repaired,
//! and goes.

#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, routing::post};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Namespace, Secret, Service},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use storefront_operator::{
    Storefront,
    controller::{self, Run, leader::Fence, metrics::Metrics},
    crd,
    render::Options,
};
use storefront_testkit::{Kubernetes, Running, define};
use tokio::{net::TcpListener, sync::oneshot};

const NAMESPACE: &str = "shops";
/// Loaded machines take long.
const LIMIT: Duration = Duration::from_secs(60);

/// A cluster that knows what a Storefront is, with a namespace for them and nobody who looks after any.
async fn definition_alone() -> (Kubernetes, Client) {
    let kubernetes = Kubernetes::private().await.unwrap();
    let client = kubernetes.client().unwrap();
    define(&client, &crd::definition().unwrap()).await.unwrap();
    let apply = PatchParams::apply("test");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    namespaces.patch(NAMESPACE, &apply, &Patch::Apply(&namespace)).await.unwrap();
    (kubernetes, client)
}

struct World {
    kubernetes: Kubernetes,
    client: Client,
    fence: Fence,
    metrics: Metrics,
    _stop: oneshot::Sender<()>,
}

impl World {
    async fn new() -> Self {
        let (kubernetes, client) = definition_alone().await;
        let (stop, stopped) = oneshot::channel();
        let (fence, metrics) = (Fence::open(), Metrics::default());
        let run = Run {
            client: client.clone(),
            namespaces: Vec::new(),
            options: Options::default(),
            fence: fence.clone(),
            metrics: metrics.clone(),
            identity: "test".into(),
            watch_secrets: true,
        };
        tokio::spawn(controller::run(run, async {
            let _ = stopped.await;
        }));
        Self { kubernetes, client, fence, metrics, _stop: stop }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    async fn apply(&self, spec: Value) {
        let storefront = json!({
            "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {"name": "demo"},
            "spec": spec,
        });
        let apply = PatchParams::apply("test").force();
        self.api::<Storefront>().patch("demo", &apply, &Patch::Apply(&storefront)).await.unwrap();
    }

    /// Status and reason of a condition.
    async fn condition(&self, type_: &str) -> Option<(String, String)> {
        let storefront = self.api::<Storefront>().get("demo").await.ok()?;
        let current = storefront.metadata.generation;
        let status = storefront.status.filter(|status| status.observed_generation == current)?;
        let found = status.conditions.into_iter().find(|condition| condition.type_ == type_)?;
        Some((found.status, found.reason))
    }

    async fn comes_to(&self, type_: &str, status: &str, reason: &str) {
        let wanted = Some((status.to_owned(), reason.to_owned()));
        until(&format!("{type_} is {status} ({reason})"), async || {
            self.condition(type_).await == wanted
        })
        .await;
    }

    async fn deployments(&self) -> BTreeSet<String> {
        let list = self.api::<Deployment>().list(&ListParams::default()).await.unwrap();
        list.items.iter().map(ResourceExt::name_any).collect()
    }

    /// Changes that are neither ours nor a Lease's are none.
    fn changes(&self) -> usize {
        let changes = self.kubernetes.audit().unwrap();
        changes.iter().filter(|change| change["objectRef"]["resource"] != "leases").count()
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds().await {
        assert!(Instant::now() < end, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn names(parts: &[&str]) -> BTreeSet<String> {
    parts.iter().map(|part| format!("demo-{part}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_comes_up_stays_still_and_is_repaired() {
    let world = World::new().await;
    world.apply(json!({"payment": {"sandbox": {}}})).await;
    world.comes_to("Progressing", "True", "RollingOut").await;
    let all = names(&["analytics", "email", "gateway", "order", "payment", "sandbox"]);
    assert_eq!(world.deployments().await, all);
    let sets = world.api::<StatefulSet>().list(&ListParams::default()).await.unwrap();
    assert_eq!(sets.items.len(), 2);

    // Nothing changes: an attempt that is forced by a touch of ours finds nothing to write.
    let before = world.changes();
    let touch = json!({"metadata": {"annotations": {"test/touch": "1"}}});
    let merge = PatchParams::default();
    let storefronts = world.api::<Storefront>();
    storefronts.patch("demo", &merge, &Patch::Merge(&touch)).await.unwrap();
    let still = tokio::time::timeout(
        Duration::from_secs(3),
        until("a change", async || world.changes() > before + 1),
    );
    assert!(still.await.is_err(), "{:#?}", world.kubernetes.audit().unwrap().last());

    // What is deleted or changed by hand comes back; what others own stays.
    let (deployments, services) = (world.api::<Deployment>(), world.api::<Service>());
    deployments.delete("demo-order", &DeleteParams::default()).await.unwrap();
    services.delete("demo-gateway", &DeleteParams::default()).await.unwrap();
    let by_hand = json!({
        "metadata": {"annotations": {"theirs": "yes"}},
        "spec": {"replicas": 4, "template": {"spec": {"containers": [{"name": "payment", "image": "other"}]}}},
    });
    deployments.patch("demo-payment", &merge, &Patch::Strategic(&by_hand)).await.unwrap();
    until("everything is back", async || {
        let payment = deployments.get("demo-payment").await.unwrap();
        let image =
            payment.spec.clone().unwrap().template.spec.unwrap().containers[0].image.clone();
        let theirs = payment.annotations().contains_key("theirs");
        assert!(theirs && payment.spec.unwrap().replicas == Some(4));
        let back = services.get_opt("demo-gateway").await.unwrap().is_some();
        back && world.deployments().await == all && image.unwrap().contains("storefront-payment")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_prunes_and_a_secret_is_asked_for() {
    let world = World::new().await;
    world.apply(json!({"payment": {"sandbox": {}}})).await;
    world.comes_to("Progressing", "True", "RollingOut").await;
    let password = async || {
        let secret = world.api::<Secret>().get("demo-database").await.unwrap();
        secret.data.unwrap()["password"].clone()
    };
    let made = password().await;
    world
        .apply(json!({
            "currency": "INR",
            "catalog": {"products": [{"id": "chai", "name": "Chai", "price": 100}]},
            "payment": {"stripe": {"secretRef": {"name": "stripe"}}},
            "services": {"email": {"enabled": false}},
        }))
        .await;
    world.comes_to("SecretsReady", "False", "Missing").await;
    let left = names(&["analytics", "gateway", "order", "payment"]);
    until("email and the stand-in are gone", async || world.deployments().await == left).await;
    let stripe = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "stripe"},
        "stringData": {"api-key": "sk_test_a", "webhook-secret": "whsec_a"},
    });
    let apply = PatchParams::apply("test");
    world.api::<Secret>().patch("stripe", &apply, &Patch::Apply(&stripe)).await.unwrap();
    world.comes_to("SecretsReady", "True", "Found").await;
    // What belongs to a disk is made once.
    assert_eq!(password().await, made);
    let kept = world.api::<Secret>().get("demo-database").await.unwrap();
    assert_eq!(kept.owner_references(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_shop_and_a_closed_fence_are_left_alone() {
    let world = World::new().await;
    world.apply(json!({"payment": {"sandbox": {}}, "paused": true})).await;
    world.comes_to("Progressing", "False", "Paused").await;
    assert!(world.deployments().await.is_empty());
    world.apply(json!({"payment": {"sandbox": {}}})).await;
    world.comes_to("Progressing", "True", "RollingOut").await;
    world.fence.close();
    let deployments = world.api::<Deployment>();
    deployments.delete("demo-order", &DeleteParams::default()).await.unwrap();
    let back = until("it is back", async || world.deployments().await.len() == 6);
    let back = tokio::time::timeout(Duration::from_secs(3), back).await;
    assert!(back.is_err(), "an operator without the lease wrote");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_is_refused_until_it_is_handed_over() {
    let world = World::new().await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "demo-order"},
        "data": {"theirs": "yes"},
    });
    let maps = world.api::<ConfigMap>();
    let apply = PatchParams::apply("somebody");
    maps.patch("demo-order", &apply, &Patch::Apply(&theirs)).await.unwrap();
    world.apply(json!({"payment": {"sandbox": {}}})).await;
    world.comes_to("Degraded", "True", "Conflict").await;
    let storefront = world.api::<Storefront>().get("demo").await.unwrap();
    let conditions = storefront.status.unwrap().conditions;
    let told = conditions.iter().find(|condition| condition.type_ == "Degraded").unwrap();
    let hand_over = "kubectl label --overwrite configmap demo-order \
                     app.kubernetes.io/managed-by=storefront-operator app.kubernetes.io/instance=demo";
    assert!(told.message.starts_with("ConfigMap demo-order is there already"), "{told:?}");
    assert!(told.message.ends_with(hand_over), "{told:?}");
    // Nothing of the shop was made, and nothing of theirs was touched.
    assert!(world.deployments().await.is_empty());
    let untouched = maps.get("demo-order").await.unwrap();
    assert_eq!((untouched.data.unwrap().len(), untouched.metadata.labels), (1, None));

    let labels = json!({"metadata": {"labels": {
        "app.kubernetes.io/managed-by": "storefront-operator",
        "app.kubernetes.io/instance": "demo",
    }}});
    maps.patch("demo-order", &PatchParams::default(), &Patch::Merge(&labels)).await.unwrap();
    world.comes_to("Progressing", "True", "RollingOut").await;
    let taken = maps.get("demo-order").await.unwrap();
    assert!(taken.data.as_ref().unwrap().contains_key("KAFKA_BROKERS"), "{:?}", taken.data);
    assert_eq!(taken.owner_references()[0].kind, "Storefront");
}

/// A frozen API server keeps its connections open: an attempt has to end all the same, and the loop with it
/// goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_freezes_holds_up_no_attempt() {
    let world = World::new().await;
    let told = |number: &str| {
        let text = world.metrics.text();
        let line = text.lines().find(|line| line.starts_with(number)).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    // One without its Secret is looked at every 15 seconds.
    let stripe = json!({
        "currency": "INR",
        "catalog": {"products": [{"id": "chai", "name": "Chai", "price": 100}]},
        "payment": {"stripe": {"secretRef": {"name": "stripe"}}},
    });
    world.apply(stripe).await;
    until("an attempt begins", async || told("storefront_operator_reconciles_under_way") > 0.0)
        .await;
    world.kubernetes.pause().unwrap();
    let failed = "storefront_operator_errors_total";
    until("an attempt has failed", async || told(failed) > 0.0).await;
    assert_eq!(world.metrics.pulse().stuck(Instant::now()), None);
    world.kubernetes.resume().unwrap();
    world.comes_to("SecretsReady", "False", "Missing").await;
    let success = "storefront_operator_storefront_last_success_timestamp_seconds";
    until("an attempt succeeds", async || told(success) > 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_gone_is_told_of_no_more() {
    let world = World::new().await;
    world.apply(json!({"payment": {"sandbox": {}}})).await;
    world.comes_to("Progressing", "True", "RollingOut").await;
    assert!(world.metrics.text().contains("storefront_ready"));
    // Without a finalizer no attempt sees it go.
    world.api::<Storefront>().delete("demo", &DeleteParams::default()).await.unwrap();
    until("no number is about it", async || !world.metrics.text().contains("name=\"demo\"")).await;
}

/// The program's own spans, as a collector gets them.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_a_trace_of_its_steps() {
    let (kubernetes, client) = definition_alone().await;
    let received = Arc::new(Mutex::new(Vec::<Value>::new()));
    let collector = received.clone();
    let router = Router::new().route(
        "/v1/traces",
        post(async move |body: String| {
            collector.lock().unwrap().push(serde_json::from_str(&body).unwrap());
            "{}"
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let storefront: Storefront = serde_json::from_value(json!({
        "apiVersion": "storefront.dev/v1alpha1",
        "kind": "Storefront",
        "metadata": {"name": "demo"},
        "spec": {"payment": {"sandbox": {}}},
    }))
    .unwrap();
    let storefronts: Api<Storefront> = Api::namespaced(client, NAMESPACE);
    storefronts.create(&PostParams::default(), &storefront).await.unwrap();
    let environment = [
        ("KUBECONFIG", kubernetes.kubeconfig().unwrap().to_string_lossy().into_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json".to_owned()),
        // Spans wait for others, usually for 5 s.
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    let program = Path::new(env!("CARGO_BIN_EXE_storefront-operator"));
    let arguments = ["--listen=127.0.0.1:0".to_owned()];
    let operator = Running::start(program, &arguments, environment.into()).unwrap();

    let steps = || {
        let requests = received.lock().unwrap().clone();
        let resources = requests.iter().flat_map(|r| r["resourceSpans"].as_array().unwrap());
        let scopes = resources.flat_map(|resource| resource["scopeSpans"].as_array().unwrap());
        let spans: Vec<_> = scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).collect();
        let attempt = spans.iter().find(|span| span["name"] == "attempt")?;
        let parts = spans.iter().filter(|span| span["parentSpanId"] == attempt["spanId"]);
        let parts: BTreeSet<_> = parts.map(|s| s["name"].as_str().unwrap().to_owned()).collect();
        Some(((*attempt).clone(), parts))
    };
    let all = ["apply", "brokers", "observe", "plan", "render", "status"].map(str::to_owned);
    let whole = || steps().filter(|(_, parts)| all.iter().all(|step| parts.contains(step)));
    until("a trace has come", async || whole().is_some()).await;
    let (attempt, _) = whole().unwrap();
    let said = |name: &str| {
        let attributes = attempt["attributes"].as_array().unwrap();
        let found = attributes.iter().find(|attribute| attribute["key"] == name);
        found.map(|found| found["value"].clone()).unwrap_or_default()
    };
    assert_eq!(said("storefront"), json!({"stringValue": "demo"}));
    assert_eq!(said("namespace"), json!({"stringValue": NAMESPACE}));
    assert_eq!(said("result"), json!({"stringValue": "done"}));
    assert!(said("generation").to_string().contains('1'), "{attempt:#}");
    let first = received.lock().unwrap()[0].to_string();
    assert!(first.contains("storefront-operator"), "the service has no name: {first}");
    operator.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_goes_rolls_nobody() {
    let world = World::new().await;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kafka"},
        "stringData": {"username": "shop", "password": "secret"},
    });
    let (secrets, apply) = (world.api::<Secret>(), PatchParams::apply("test"));
    secrets.patch("kafka", &apply, &Patch::Apply(&secret)).await.unwrap();
    let sasl = json!({"mechanism": "PLAIN", "secretRef": {"name": "kafka"}});
    world
        .apply(json!({
            "payment": {"sandbox": {}},
            "kafka": {"external": {"bootstrapServers": "127.0.0.1:1", "tls": {}, "sasl": sasl}},
        }))
        .await;
    world.comes_to("SecretsReady", "True", "Found").await;
    let template = async || {
        let order = world.api::<Deployment>().get("demo-order").await.unwrap();
        order.spec.unwrap().template.metadata.unwrap().annotations.unwrap()
    };
    let before = template().await;
    assert!(before.contains_key("storefront.dev/kafka-credentials-hash"), "{before:?}");
    secrets.delete("kafka", &DeleteParams::default()).await.unwrap();
    world.comes_to("SecretsReady", "False", "Missing").await;
    assert_eq!(template().await, before);
    // One with another password is a rotation, and rolls those who use it.
    let mut rotated = secret.clone();
    rotated["stringData"]["password"] = json!("another");
    secrets.patch("kafka", &apply, &Patch::Apply(&rotated)).await.unwrap();
    until("those who use it roll", async || template().await != before).await;
}
