//! People, and other controllers, at what the operator has made: what is the operator's comes back, and what
//! is theirs stays.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt, stream};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PersistentVolumeClaim, Secret, Service},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};

use crate::{
    controllers::run_pods,
    state::{assert_same, objects, state},
    world::{Operator, Place, until},
};

/// Every kind but Strimzi's, which takes the place of the managed brokers.
fn wide() -> Value {
    json!({
        "payment": {"sandbox": {}},
        "gateway": {
            "host": "shop.example.com",
            "ingress": {"className": "nginx"},
            "httpRoute": {"parentRefs": [{"name": "public"}]},
        },
        "services": {
            "gateway": {"autoscaling": {"minReplicas": 2, "maxReplicas": 5}},
            "order": {"replicas": 2},
        },
    })
}

fn with_strimzi() -> Value {
    json!({"payment": {"sandbox": {}}, "kafka": {"strimzi": {"cluster": "main"}}})
}

async fn running(spec: &Value) -> (Place, Operator) {
    let place = Place::new().await;
    let operator = Operator::start(place.client.clone(), &place.namespace);
    place.apply(spec).await;
    operator.settles(&place).await;
    run_pods(&place).await;
    operator.settles(&place).await;
    (place, operator)
}

fn api(place: &Place, resource: &ApiResource) -> Api<DynamicObject> {
    Api::namespaced_with(place.client.clone(), &place.namespace, resource)
}

/// Objects that are looked at at the same time.
const AT_ONCE: usize = 4;

/// The objects of both, and of the second only those that the first has not.
async fn each(spec: &Value, place: &Place) -> impl Stream<Item = (ApiResource, DynamicObject)> {
    let mut objects = objects(place).await;
    if *spec == with_strimzi() {
        objects.retain(|(resource, _)| resource.group == "kafka.strimzi.io");
    }
    stream::iter(objects)
}

/// Prints the slowest.
fn report(times: &Mutex<Vec<(Duration, String)>>) {
    let mut times = times.lock().unwrap();
    times.sort();
    let (slowest, name) = times.last().unwrap();
    println!("the slowest of {} to come back: {name} in {slowest:?}", times.len());
}

/// What was made up is made anew when nothing holds it, as there is no disk: everything else is as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_deleted_comes_back() {
    for spec in [wide(), with_strimzi()] {
        let (place, operator) = running(&spec).await;
        let before = state(&place).await;
        let times = Mutex::new(Vec::new());
        let delete = async |(resource, object): (ApiResource, DynamicObject)| {
            let name = format!("{} {}", resource.kind, object.name_any());
            let began = Instant::now();
            let api = api(&place, &resource);
            api.delete(&object.name_any(), &DeleteParams::background()).await.unwrap();
            until(&format!("{name} is back"), async || {
                let there = api.get_opt(&object.name_any()).await.unwrap();
                there.is_some_and(|there| there.uid() != object.uid())
            })
            .await;
            times.lock().unwrap().push((began.elapsed(), name));
        };
        each(&spec, &place).await.for_each_concurrent(AT_ONCE, delete).await;
        report(&times);
        run_pods(&place).await;
        operator.settles(&place).await;
        assert_same(&state(&place).await, &before, "after everything was deleted once");
    }
}

/// One field of each kind that somebody may want to change, as a merge patch.
fn edit(kind: &str, object: &DynamicObject) -> Value {
    let first = |list: &Value, change: &Value| {
        let mut list = list.clone();
        for (field, value) in change.as_object().unwrap() {
            list[0][field] = value.clone();
        }
        list
    };
    let spec = &object.data["spec"];
    match kind {
        "ServiceAccount" => json!({"automountServiceAccountToken": true}),
        "ConfigMap" => {
            let key = object.data["data"].as_object().unwrap().keys().next().unwrap().clone();
            json!({"data": {key: null}})
        }
        // The port that was there and this one have the same name, so they cannot both be there.
        "Service" => json!({"spec": {"ports": first(&spec["ports"], &json!({"port": 4711}))}}),
        "StatefulSet" => {
            let containers = &spec["template"]["spec"]["containers"];
            let containers = first(containers, &json!({"image": "example.com/other:1"}));
            json!({"spec": {"template": {"spec": {"containers": containers}}}})
        }
        "Deployment" => {
            let containers = &spec["template"]["spec"]["containers"];
            let ports = first(&containers[0]["ports"], &json!({"containerPort": 4711}));
            let containers = first(containers, &json!({"ports": ports}));
            json!({"spec": {"template": {"spec": {"containers": containers}}}})
        }
        "HorizontalPodAutoscaler" => json!({"spec": {"maxReplicas": 99}}),
        "NetworkPolicy" => json!({"spec": {"ingress": [{}]}}),
        "Ingress" => json!({"spec": {"ingressClassName": "other"}}),
        // It can have only one of the two.
        "PodDisruptionBudget" => json!({"spec": {"maxUnavailable": null, "minAvailable": 1}}),
        "HTTPRoute" => json!({"spec": {"hostnames": ["other.example.com"]}}),
        "KafkaTopic" => json!({"spec": {"partitions": 99}}),
        "KafkaUser" => json!({"spec": {"authentication": {"type": "tls"}}}),
        other => panic!("how is {other} edited?"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_edited_comes_back_and_marks_of_others_stay() {
    for spec in [wide(), with_strimzi()] {
        let (place, operator) = running(&spec).await;
        let before = state(&place).await;
        let merge = PatchParams { field_manager: Some("hand".into()), ..Default::default() };
        let theirs = json!({"metadata": {
            "annotations": {"example.com/theirs": "1"},
            "labels": {"example.com/theirs": "1", "app.kubernetes.io/part-of": "other"},
            "finalizers": ["example.com/theirs"],
        }});
        let times = Mutex::new(Vec::new());
        let meddle = async |(resource, object): (ApiResource, DynamicObject)| {
            let name = format!("{} {}", resource.kind, object.name_any());
            // What was made up and is taken away is made up anew: it is not as it was.
            if resource.kind == "Secret" {
                return;
            }
            let api = api(&place, &resource);
            let began = Instant::now();
            let edit = edit(&resource.kind, &object);
            api.patch(&object.name_any(), &merge, &Patch::Merge(&theirs)).await.unwrap();
            let edited = api.patch(&object.name_any(), &merge, &Patch::Merge(&edit)).await.unwrap();
            assert_ne!(edited.data, object.data, "{name} was not changed");
            until(&format!("{name} is as it was"), async || {
                let there = api.get(&object.name_any()).await.unwrap();
                let marks = (there.annotations(), there.labels(), there.finalizers());
                assert!(marks.0.contains_key("example.com/theirs"), "{name}");
                assert!(marks.1.contains_key("example.com/theirs"), "{name}");
                assert_eq!(marks.2, ["example.com/theirs"], "{name}");
                let mut data = (there.data.clone(), object.data.clone());
                for data in [&mut data.0, &mut data.1] {
                    data["status"] = Value::Null;
                }
                data.0 == data.1 && there.labels()["app.kubernetes.io/part-of"] == "storefront"
            })
            .await;
            times.lock().unwrap().push((began.elapsed(), name));
            // Their marks go as they came, and then everything is as it was.
            let gone = json!({"metadata": {
                "annotations": {"example.com/theirs": null},
                "labels": {"example.com/theirs": null},
                "finalizers": null,
            }});
            api.patch(&object.name_any(), &merge, &Patch::Merge(&gone)).await.unwrap();
        };
        each(&spec, &place).await.for_each_concurrent(AT_ONCE, meddle).await;
        report(&times);
        run_pods(&place).await;
        operator.settles(&place).await;
        assert_same(&state(&place).await, &before, "after everything was edited once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_decide_is_left_to_them() {
    let (place, operator) = running(&wide()).await;
    let deployments = place.api::<Deployment>();
    // A scaler, as the autoscaler does it; a mesh that adds its container; somebody who scales by hand what the
    // manifest says nothing about.
    let scale = json!({"spec": {"replicas": 4}});
    let by =
        |manager: &str| PatchParams { field_manager: Some(manager.into()), ..Default::default() };
    deployments
        .patch_scale("demo-gateway", &by("autoscaler"), &Patch::Merge(&scale))
        .await
        .unwrap();
    deployments.patch_scale("demo-email", &by("kubectl"), &Patch::Merge(&scale)).await.unwrap();
    let mesh = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "demo-order"},
        "spec": {"template": {
            "metadata": {"annotations": {"mesh/injected": "yes"}},
            "spec": {
                "containers": [{
                    "name": "proxy", "image": "example.com/proxy:1",
                    "volumeMounts": [{"name": "mesh", "mountPath": "/mesh"}],
                }],
                "volumes": [{"name": "mesh", "emptyDir": {}}],
            },
        }},
    });
    let apply = PatchParams::apply("mesh");
    deployments.patch("demo-order", &apply, &Patch::Apply(&mesh)).await.unwrap();
    let port = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "demo-order"},
        "spec": {"ports": [{"name": "debug", "port": 9999}]},
    });
    let services = place.api::<Service>();
    services.patch("demo-order", &apply, &Patch::Apply(&port)).await.unwrap();
    // What the manifest does say something about is the operator's.
    deployments.patch_scale("demo-order", &by("kubectl"), &Patch::Merge(&scale)).await.unwrap();
    let replicas = async |name: &str| deployments.get(name).await.unwrap().spec.unwrap().replicas;
    until("the order service has two instances again", async || {
        replicas("demo-order").await == Some(2)
    })
    .await;
    run_pods(&place).await;
    operator.settles(&place).await;
    // Also when the operator has something to apply to the same objects.
    let mut spec = wide();
    spec["podMetadata"] = json!({"labels": {"team": "shops"}});
    place.apply(&spec).await;
    operator.settles(&place).await;
    let order = deployments.get("demo-order").await.unwrap().spec.unwrap();
    let metadata = order.template.metadata.unwrap();
    assert_eq!(metadata.labels.unwrap()["team"], "shops");
    assert_eq!(metadata.annotations.unwrap()["mesh/injected"], "yes");
    let pod = order.template.spec.unwrap();
    let names: Vec<_> = pod.containers.iter().map(|container| container.name.as_str()).collect();
    assert_eq!(names, ["order", "proxy"]);
    assert!(pod.volumes.unwrap().iter().any(|volume| volume.name == "mesh"));
    let ports = services.get("demo-order").await.unwrap().spec.unwrap().ports.unwrap();
    assert!(ports.iter().any(|port| port.name.as_deref() == Some("debug")));
    assert_eq!(replicas("demo-gateway").await, Some(4));
    assert_eq!(replicas("demo-email").await, Some(4));
}

/// The password of a disk that is there cannot be made up anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_whose_disk_is_there_is_asked_for_and_taken_back() {
    let (place, operator) = running(&wide()).await;
    let disk = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-demo-database-0"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    let disks = place.api::<PersistentVolumeClaim>();
    let apply = PatchParams::apply("test");
    disks.patch("data-demo-database-0", &apply, &Patch::Apply(&disk)).await.unwrap();
    let secrets = place.api::<Secret>();
    let mut secret = secrets.get("demo-database").await.unwrap();
    let password = secret.data.clone().unwrap()["password"].clone();
    let before = state(&place).await;
    secrets.delete("demo-database", &DeleteParams::default()).await.unwrap();
    until("the Secret is asked for", async || place.says("LostSecret").await).await;
    assert!(secrets.get_opt("demo-database").await.unwrap().is_none());
    // As from a backup.
    secret.metadata.uid = None;
    secret.metadata.resource_version = None;
    secret.metadata.managed_fields = None;
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    operator.settles(&place).await;
    assert_eq!(secrets.get("demo-database").await.unwrap().data.unwrap()["password"], password);
    let mut now = state(&place).await;
    // Who owns it differs: it was brought by hand.
    let owners = before["Secret demo-database"]["metadata"]["managedFields"].clone();
    now.get_mut("Secret demo-database").unwrap()["metadata"]["managedFields"] = owners;
    assert_same(&now, &before, "after the Secret was brought back");
}

/// Another controller with another opinion, which writes as soon as the operator has: neither is told to stop, and the
/// operator does not write for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changes_it_back_each_time_is_named_and_met_ever_later() {
    const THEIRS: &str = "example.com/other:1";
    let (place, operator) = running(&json!({"payment": {"sandbox": {}}})).await;
    let deployments: Api<Deployment> = place.api();
    let image = |deployment: Deployment| {
        deployment.spec.unwrap().template.spec.unwrap().containers[0].image.clone().unwrap()
    };
    let ours = image(deployments.get("demo-order").await.unwrap());
    let restored = AtomicUsize::new(0);
    let fights = async {
        let patch = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "order", "image": THEIRS},
        ]}}}});
        let parameters = PatchParams { field_manager: Some("rival".into()), ..Default::default() };
        loop {
            deployments.patch("demo-order", &parameters, &Patch::Strategic(&patch)).await.unwrap();
            until("the operator has put it back", async || {
                image(deployments.get("demo-order").await.unwrap()) == ours
            })
            .await;
            restored.fetch_add(1, Ordering::SeqCst);
        }
    };
    let told = async {
        until("the rival is named", async || place.says("Contested").await).await;
        let status = place.shop().await.unwrap().status.unwrap();
        status.condition("Degraded").unwrap().message.clone()
    };
    let message = tokio::select! { message = told => message, () = fights => unreachable!() };
    assert_eq!(
        message,
        "rival changes spec.template.spec.containers[0].image of Deployment demo-order each time it is put back: have \
         rival leave it alone"
    );
    // Five at once, the last of which the rival may not have seen yet, and then one after a second, two, four…; as fast as
    // it can it would be tens.
    let times = restored.load(Ordering::SeqCst);
    assert!((4..=9).contains(&times), "put back {times} times");
    operator.killed().await;
}
