//! `plan` and `status` beside a real Kubernetes API and the operator at work: what was planned is what the
//! operator then writes, by the API server's own audit log.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};
use storefront_operator::{
    Storefront,
    controller::{self, Run, leader::Fence, metrics::Metrics},
    crd,
    render::Options,
};
use storefront_testkit::{Kubernetes, define};
use tempfile::TempDir;
use tokio::sync::oneshot;

const NAMESPACE: &str = "shops";
/// Nobody looks after it: the operator watches the other one.
const UNWATCHED: &str = "unwatched";
/// Loaded machines take long.
const LIMIT: Duration = Duration::from_secs(60);

struct World {
    kubernetes: Kubernetes,
    client: Client,
    folder: TempDir,
}

/// Action, kind and name.
type Done = BTreeSet<(String, String, String)>;

impl World {
    async fn new() -> Self {
        let kubernetes = Kubernetes::private().await.unwrap();
        let client = kubernetes.client().unwrap();
        Self { kubernetes, client, folder: TempDir::new().unwrap() }
    }

    /// Runs the command as somebody.
    async fn run(&self, kubeconfig: &PathBuf, words: &[&str]) -> Output {
        self.run_on(Stdio::null(), kubeconfig, words).await
    }

    async fn run_on(&self, input: Stdio, kubeconfig: &PathBuf, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_storefront"));
        command.args(words).arg("--kubeconfig").arg(kubeconfig).stdin(input);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn admin(&self, words: &[&str]) -> Output {
        self.run(&self.kubernetes.kubeconfig().unwrap(), words).await
    }

    async fn put(&self, api_version: &str, kind: &str, object: &Value) -> DynamicObject {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let mut object = object.clone();
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let apply = PatchParams::apply("test").force();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        api.patch(&name, &apply, &Patch::Apply(&object)).await.unwrap()
    }

    async fn install(&self) -> oneshot::Sender<()> {
        define(&self.client, &crd::definition().unwrap()).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let run = Run {
            client: self.client.clone(),
            namespaces: vec![NAMESPACE.into()],
            options: Options::default(),
            fence: Fence::open(),
            metrics: Metrics::default(),
            identity: "test".into(),
            watch_secrets: true,
        };
        tokio::spawn(controller::run(run, async {
            let _ = stopped.await;
        }));
        stop
    }

    fn write(&self, spec: &Value) -> String {
        let manifest = json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
            "metadata": {"name": "demo", "namespace": NAMESPACE}, "spec": spec,
        });
        let file = self.folder.path().join("shop.yaml");
        fs::write(&file, manifest.to_string()).unwrap();
        file.display().to_string()
    }

    /// What is planned for a spec.
    async fn plan(&self, spec: &Value) -> Value {
        let output = self.admin(&["plan", &self.write(spec), "--output", "json"]).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let planned: Value = serde_json::from_slice(&output.stdout).unwrap();
        planned["storefronts"][0].clone()
    }

    /// Applies a spec, and waits until the operator has seen it.
    async fn apply(&self, spec: &Value) {
        let metadata = json!({"name": "demo", "namespace": NAMESPACE});
        let object = json!({"metadata": metadata, "spec": spec});
        self.put("storefront.dev/v1alpha1", "Storefront", &object).await;
        let storefronts: Api<Storefront> = Api::namespaced(self.client.clone(), NAMESPACE);
        until("the operator has seen it", async || {
            let storefront = storefronts.get("demo").await.unwrap();
            let seen = storefront.status.and_then(|status| status.observed_generation);
            seen == storefront.metadata.generation
        })
        .await;
    }

    /// What the operator has written since so many changes, but for what it says about the shop.
    fn written(&self, since: usize) -> Done {
        let changes = self.kubernetes.audit().unwrap();
        let said = ["events", "leases", "storefronts"];
        let ours = changes[since..].iter().filter(|change| {
            let uri = change["requestURI"].as_str().unwrap();
            let resource = change["objectRef"]["resource"].as_str().unwrap_or_default();
            let is_operator = uri.contains("fieldManager=storefront-operator&")
                || uri.ends_with("fieldManager=storefront-operator")
                || change["verb"] == "delete";
            // The API server itself has a name of its own.
            is_operator && change["user"]["username"] == "admin" && !said.contains(&resource)
        });
        ours.map(|change| {
            let action = match (&change["verb"], change["responseStatus"]["code"].as_i64()) {
                (verb, _) if verb == "delete" => "delete",
                (_, Some(201)) => "create",
                (_, Some(200)) => "change",
                other => panic!("{other:?}: {change}"),
            };
            let object = &change["objectRef"];
            let name = object["name"].as_str().unwrap().to_owned();
            (action.to_owned(), kind(object["resource"].as_str().unwrap()), name)
        })
        .collect()
    }

    /// Plans, applies, and compares; then there is no difference any more.
    async fn happens_as_planned(&self, what: &str, spec: &Value) -> Value {
        let planned = self.plan(spec).await;
        let before = self.kubernetes.audit().unwrap().len();
        self.apply(spec).await;
        let done = self.written(before);
        assert_eq!(done, expected(&planned), "{what}");
        assert!(!done.is_empty(), "{what} does nothing");
        self.make_topics(&planned).await;
        let again = self.admin(&["plan", &self.write(spec), "--check"]).await;
        let page = text(&again.stdout);
        assert_eq!(again.status.code(), Some(0), "{what}: {page}{}", text(&again.stderr));
        assert!(page.contains("demo in shops: no difference"), "{what}: {page}");
        planned
    }

    /// No broker runs: that the planned topics are there is written by hand into the status, as the
    /// operator would find them.
    async fn make_topics(&self, planned: &Value) {
        let planned = planned["topics"].as_array().unwrap().iter();
        let topics = planned.filter(|line| line["action"] == "create").map(|line| {
            let name = &line["topic"];
            json!({
                "name": name, "partitions": 3, "replicationFactor": 1,
                "underReplicated": 0, "leaderless": 0,
            })
        });
        let topics: Vec<_> = topics.collect();
        if topics.is_empty() {
            return;
        }
        let storefronts: Api<Storefront> = Api::namespaced(self.client.clone(), NAMESPACE);
        let status = Patch::Merge(json!({"status": {"topics": topics}}));
        storefronts.patch_status("demo", &PatchParams::default(), &status).await.unwrap();
    }

    /// A kubeconfig of somebody who may do what these rules say.
    async fn somebody(&self, name: &str, rules: &Value) -> PathBuf {
        let rbac = "rbac.authorization.k8s.io/v1";
        let metadata = json!({"name": name, "namespace": NAMESPACE});
        self.put("v1", "ServiceAccount", &json!({"metadata": metadata})).await;
        self.put(rbac, "Role", &json!({"metadata": metadata, "rules": rules})).await;
        let binding = json!({
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
        });
        self.put(rbac, "RoleBinding", &binding).await;
        self.kubernetes.kubeconfig_of(NAMESPACE, name).await.unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a plan says will be written.
fn expected(planned: &Value) -> Done {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = planned["changes"].as_array().unwrap().iter();
    let written = changes.filter(|it| it["kind"] != "Storefront" && it["action"] != "keep");
    written.map(|it| (text(&it["action"]), text(&it["kind"]), text(&it["name"]))).collect()
}

fn kind(resource: &str) -> String {
    let kind = match resource {
        "configmaps" => "ConfigMap",
        "deployments" => "Deployment",
        "horizontalpodautoscalers" => "HorizontalPodAutoscaler",
        "ingresses" => "Ingress",
        "networkpolicies" => "NetworkPolicy",
        "poddisruptionbudgets" => "PodDisruptionBudget",
        "secrets" => "Secret",
        "serviceaccounts" => "ServiceAccount",
        "services" => "Service",
        "statefulsets" => "StatefulSet",
        other => other,
    };
    kind.to_owned()
}

/// Components that a plan restarts.
fn restarts(planned: &Value) -> Vec<&str> {
    let changes = planned["changes"].as_array().unwrap().iter();
    changes.filter_map(|it| it["restart"]["component"].as_str()).collect()
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds().await {
        assert!(Instant::now() < end, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_is_planned_and_looked_at_and_the_operator_does_what_was_planned() {
    let world = World::new().await;
    for name in [NAMESPACE, UNWATCHED] {
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let apply = PatchParams::apply("test");
        namespaces.patch(name, &apply, &Patch::Apply(&namespace)).await.unwrap();
    }
    without_an_operator(&world).await;
    let _stop = world.install().await;
    plans_come_true(&world).await;
    what_was_changed_by_hand_is_put_back(&world).await;
    edits_are_refused(&world).await;
    several_documents_are_planned(&world).await;
    what_kubectl_could_not_apply_is_told(&world).await;
    a_status_is_shown(&world).await;
    a_shop_of_a_newer_operator_hides_no_other(&world).await;
    rights_are_asked_for(&world).await;
}

async fn without_an_operator(world: &World) {
    for words in [&["status"][..], &["plan", &world.write(&json!({"payment": {"sandbox": {}}}))]] {
        let output = world.admin(words).await;
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stderr);
        assert!(
            told.contains("knows no Storefronts: install the operator, `helm install"),
            "{told}"
        );
    }
}

async fn plans_come_true(world: &World) {
    let new = json!({"payment": {"sandbox": {}}});
    let planned = world.happens_as_planned("a new shop", &new).await;
    assert_eq!(planned["topics"].as_array().unwrap().len(), 9);
    assert_eq!(restarts(&planned), Vec::<&str>::new());

    let edit = json!({
        "payment": {"sandbox": {}},
        "email": {"from": "Demo <demo@example.com>"},
        "services": {"order": {"replicas": 3}, "analytics": {"podMetadata": {"labels": {"team": "a"}}}},
    });
    let planned = world.happens_as_planned("an edit", &edit).await;
    assert_eq!(restarts(&planned), ["email", "analytics"]);

    let less = json!({
        "payment": {"sandbox": {}},
        "gateway": {"host": "shop.example.com", "ingress": {}},
        "services": {"email": {"enabled": false}, "gateway": {"autoscaling": {"maxReplicas": 5}}},
    });
    let planned = world.happens_as_planned("services that come and go", &less).await;
    // A label that is not wanted any more rolls its pods as well.
    assert!(restarts(&planned).contains(&"analytics"), "{planned}");

    let elsewhere = json!({
        "payment": {"sandbox": {}},
        "database": {"external": {"secretRef": {"name": "postgres", "key": "url"}}},
    });
    let planned = world.happens_as_planned("a database of somebody else", &elsewhere).await;
    let kept: Vec<_> = planned["changes"].as_array().unwrap().iter().collect();
    let kept = kept.iter().find(|it| it["action"] == "keep").unwrap();
    assert_eq!((&kept["kind"], &kept["name"]), (&json!("Secret"), &json!("demo-database")));
    let notes = planned["notes"].to_string();
    assert!(notes.contains("Secret postgres is missing"), "{notes}");
}

async fn what_was_changed_by_hand_is_put_back(world: &World) {
    let spec = |paused: bool| json!({"payment": {"sandbox": {}}, "paused": paused});
    world.happens_as_planned("back to the beginning", &spec(false)).await;
    world.apply(&spec(true)).await;
    let deployments: Api<k8s_openapi::api::apps::v1::Deployment> =
        Api::namespaced(world.client.clone(), NAMESPACE);
    let by_hand = json!({
        "metadata": {"annotations": {"theirs": "1"}},
        "spec": {"template": {"spec": {"containers": [{"name": "payment", "image": "mine:1"}]}}},
    });
    let merge = PatchParams::default();
    deployments.patch("demo-payment", &merge, &Patch::Strategic(&by_hand)).await.unwrap();
    let planned = world.happens_as_planned("a change by hand", &spec(false)).await;
    assert_eq!(restarts(&planned), ["payment"]);
    let change = planned["changes"].as_array().unwrap().iter();
    let change = change.clone().find(|it| it["kind"] == "Deployment").unwrap();
    let path = "spec.template.spec.containers[payment].image";
    assert_eq!(change["differences"][0]["path"], path);
    assert_eq!(change["differences"][0]["before"], "mine:1");
}

async fn edits_are_refused(world: &World) {
    let spec = json!({"payment": {"sandbox": {}}, "currency": "EUR"});
    let output = world.admin(&["plan", &world.write(&spec), "--check"]).await;
    assert_eq!(output.status.code(), Some(1));
    let page = text(&output.stdout);
    assert!(
        page.contains("currency cannot change, because orders already kept are in it"),
        "{page}"
    );
    let spec = json!({"payment": {"sandbox": {}}, "services": {"order": {"replicas": 2}}});
    let output = world.admin(&["plan", &world.write(&spec), "--check"]).await;
    assert_eq!(output.status.code(), Some(3), "something would change");
}

async fn several_documents_are_planned(world: &World) {
    let documents = "\
apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {name: demo, namespace: shops}
spec: {payment: {sandbox: {}}, paused: false}
---
apiVersion: v1
kind: Secret
metadata: {name: stripe}
stringData: {api-key: sk_test_hunter2}
---
apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {name: second}
spec:
  currency: INR
  catalog: {products: [{id: chai, name: Chai, price: 100}]}
  payment: {stripe: {secretRef: {name: stripe}}}
";
    let file = world.folder.path().join("shops.yaml");
    fs::write(&file, documents).unwrap();
    let admin = world.kubernetes.kubeconfig().unwrap();
    let input = || Stdio::from(fs::File::open(&file).unwrap());
    let words = ["plan", "-", "--namespace", NAMESPACE, "--output", "json"];
    let output = world.run_on(input(), &admin, &words).await;
    let planned = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!planned.contains("hunter2"), "{planned}");
    let planned: Value = serde_json::from_str(&planned).unwrap();
    let [demo, second] = [0, 1].map(|number| planned["storefronts"][number].clone());
    assert_eq!((&demo["name"], &demo["changes"]), (&json!("demo"), &json!([])));
    assert_eq!(
        second["changes"][0],
        json!({
            "action": "create", "kind": "Storefront", "name": "second", "differences": [],
        })
    );
    let notes = second["notes"].to_string();
    assert!(notes.contains("Secret stripe is in the file"), "{notes}");
    let elsewhere = ["plan", "-", "--namespace", UNWATCHED];
    let output = world.run_on(input(), &admin, &elsewhere).await;
    let told = text(&output.stderr);
    let expected = "the manifest says namespace shops and --namespace unwatched: write the same";
    assert!(output.status.code() == Some(1) && told.contains(expected), "{told}");
}

async fn what_kubectl_could_not_apply_is_told(world: &World) {
    let plan = async |documents: &str, words: &[&str]| {
        let file = world.folder.path().join("wrong.yaml");
        fs::write(&file, documents).unwrap();
        let output = world.admin(&[&["plan", file.to_str().unwrap()], words].concat()).await;
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let shop = |metadata: &str| {
        format!(
            "apiVersion: storefront.dev/v1alpha1\nkind: Storefront\nmetadata: {metadata}\n\
             spec: {{payment: {{sandbox: {{}}}}}}\n---\n"
        )
    };
    let nowhere = shop("{name: demo, namespace: nowhere}");
    let (code, told) = plan(&nowhere, &[]).await;
    let expected = "namespace nowhere is not there: make it first, kubectl --kubeconfig";
    assert!(code == Some(1) && told.contains("refused") && told.contains(expected), "{told}");
    // It comes with the file.
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: nowhere}\n---\n";
    let (code, told) = plan(&format!("{namespace}{nowhere}"), &[]).await;
    assert!(code == Some(0) && told.contains("to create"), "{told}");

    let twice = shop("{name: demo}") + &shop("{name: demo, namespace: shops}");
    let (code, told) = plan(&twice, &["--namespace", NAMESPACE]).await;
    let expected = "the file has Storefront demo of namespace shops more than once";
    assert!(code == Some(1) && told.contains(expected), "{told}");
}

async fn a_status_is_shown(world: &World) {
    fn of<'a>(words: &[&'a str]) -> Vec<&'a str> {
        [&["status"], words, &["--namespace", NAMESPACE]].concat()
    }
    let output = world.admin(&of(&["demo"])).await;
    let page = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{page}");
    // There are no nodes, so that nothing comes up.
    for expected in ["demo in shops: not ready", "gateway      0/1", "DatabaseReady (Starting)"] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(page.contains("docker.io/apache/kafka:4.1.0"), "{page}");
    assert_eq!(world.admin(&of(&["demo", "--check"])).await.status.code(), Some(3));
    let output = world.admin(&of(&["demo", "--wait", "--timeout", "500ms"])).await;
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("error: not ready after 500 ms: demo: "), "{told}");
    let output = world.admin(&of(&["dema"])).await;
    let told = text(&output.stderr);
    assert!(told.contains("no Storefront dema in namespace shops: there are demo"), "{told}");

    // One that is ready: its status is written by hand, as no operator looks after it.
    let metadata = json!({"name": "well", "namespace": UNWATCHED});
    let object = json!({"metadata": metadata, "spec": {"payment": {"sandbox": {}}}});
    world.put("storefront.dev/v1alpha1", "Storefront", &object).await;
    let storefronts: Api<Storefront> = Api::namespaced(world.client.clone(), UNWATCHED);
    let status = json!({"status": {"observedGeneration": 1, "lag": 0, "conditions": [{
        "type": "Ready", "status": "True", "reason": "Running", "message": "",
        "lastTransitionTime": "2026-11-25T10:00:00Z",
    }]}});
    let merge = PatchParams::default();
    storefronts.patch_status("well", &merge, &Patch::Merge(&status)).await.unwrap();
    let output = world.admin(&["status", "well", "--namespace", UNWATCHED, "--wait"]).await;
    let page = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{page}");
    assert!(page.contains("well in unwatched: ready for "), "{page}");
    let output = world.admin(&["status", "--all-namespaces", "--output", "json"]).await;
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ready: Vec<_> = all["storefronts"].as_array().unwrap().iter().collect();
    let ready: Vec<_> = ready.iter().map(|it| (&it["name"], &it["ready"])).collect();
    assert_eq!(ready, [(&json!("demo"), &json!(false)), (&json!("well"), &json!(true))]);
}

/// With a value that this command does not know.
async fn a_shop_of_a_newer_operator_hides_no_other(world: &World) {
    let mut definition = serde_json::to_value(crd::definition().unwrap()).unwrap();
    let policy = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/kafka/properties\
                  /topics/properties/deletionPolicy/enum";
    definition.pointer_mut(policy).unwrap().as_array_mut().unwrap().push(json!("Archive"));
    let crds = "apiextensions.k8s.io/v1";
    world.put(crds, "CustomResourceDefinition", &definition).await;
    let external = json!({"bootstrapServers": "b:9092"});
    let newer = |policy: &str| {
        json!({
            "payment": {"sandbox": {}},
            "kafka": {"external": external, "topics": {"deletionPolicy": policy}},
        })
    };
    let storefront = json!({
        "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
        "metadata": {"name": "newer", "namespace": UNWATCHED}, "spec": newer("Archive"),
    });
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("storefront.dev", "v1alpha1", "Storefront"));
    let shops: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), UNWATCHED, &resource);
    let apply = PatchParams::apply("test").force();
    until("the newer definition is served", async || {
        shops.patch("newer", &apply, &Patch::Apply(&storefront)).await.is_ok()
    })
    .await;

    let output = world.admin(&["status", "--all-namespaces"]).await;
    let page = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for shop in ["demo", "newer", "well"] {
        assert!(page.lines().any(|line| line.contains(&format!(" {shop} "))), "{shop}: {page}");
    }
    let output = world.admin(&["status", "newer", "--namespace", UNWATCHED]).await;
    let page = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    let said = "this command cannot read spec.kafka.topics.deletionPolicy: unknown variant";
    assert!(page.contains(said), "{page}");
    // Another shop at the same brokers, and that one with what is known here.
    let plan = async |name: &str, namespace: &str| {
        let manifest = json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
            "metadata": {"name": name, "namespace": namespace}, "spec": newer("Retain"),
        });
        let file = world.folder.path().join("known.yaml");
        fs::write(&file, manifest.to_string()).unwrap();
        let output = world.admin(&["plan", &file.display().to_string()]).await;
        (text(&output.stdout) + &text(&output.stderr))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let page = plan("another", NAMESPACE).await;
    let twin = "Storefront unwatched/newer uses the same brokers and prefix, and is older";
    assert!(page.contains(twin), "{page}");
    let page = plan("newer", UNWATCHED).await;
    let note = "what this command cannot read of the Storefront as it is, spec.kafka.topics.deletionPolicy";
    assert!(page.contains(note), "{page}");
}

async fn rights_are_asked_for(world: &World) {
    let nobody = world.somebody("nobody", &json!([])).await;
    let output = world.run(&nobody, &["status", "--namespace", NAMESPACE]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: you may not list storefronts.storefront.dev in namespace shops: ask for a role that \
         allows it\n"
    );
    // As the role `view` is: everything but Secrets.
    let groups = ["", "apps", "autoscaling", "networking.k8s.io", "policy", "storefront.dev"];
    let resources = [
        "configmaps",
        "deployments",
        "events",
        "horizontalpodautoscalers",
        "ingresses",
        "networkpolicies",
        "poddisruptionbudgets",
        "serviceaccounts",
        "services",
        "statefulsets",
        "storefronts",
    ];
    let view = json!([{"apiGroups": groups, "resources": resources, "verbs": ["get", "list"]}]);
    let viewer = world.somebody("viewer", &view).await;
    let spec = json!({"payment": {"sandbox": {}}, "paused": false});
    let before = world.kubernetes.audit().unwrap().len();
    let output = world.run(&viewer, &["plan", &world.write(&spec), "--check"]).await;
    let page = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{page}{}", text(&output.stderr));
    assert!(page.contains("no difference") && page.contains("you may not get them"), "{page}");
    let output = world.run(&viewer, &["status", "demo", "--namespace", NAMESPACE]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // Whatever is looked at, nothing is written.
    let looks = world.kubernetes.audit().unwrap();
    let theirs = looks[before..]
        .iter()
        .filter(|it| it["user"]["username"].as_str().is_some_and(|name| name.ends_with(":viewer")));
    let verbs: BTreeSet<_> = theirs.map(|it| it["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, BTreeSet::from(["get", "list"]));
}
