//! The rights that the chart gives are those that the operator uses: none is missing, and none is too many.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    core::v1::Secret,
    rbac::v1::{ClusterRole, PolicyRule, Role},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use storefront_operator::Storefront;
use storefront_testkit::{any_kind, define, eventually};

use crate::{
    operator::Operator,
    world::{HOME, LIMIT, RELEASE, SHOPS, World, demo, shop},
};

/// One right: a verb on a resource (with its subresource) of a group.
type Right = (String, String, String);

fn rights(rules: &[PolicyRule]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let right = |verb: &String| (group.clone(), resource.clone(), verb.clone());
                rights.extend(rule.verbs.iter().map(right));
            }
        }
    }
    rights
}

/// What the operator has asked for so far, and what it was refused.
fn asked(world: &World) -> (BTreeSet<Right>, Vec<Value>) {
    let (mut used, mut refused) = (BTreeSet::new(), Vec::new());
    for request in world.asked() {
        let text = |name: &str| request["objectRef"][name].as_str().unwrap_or_default().to_owned();
        let resource = match text("subresource") {
            none if none.is_empty() => text("resource"),
            subresource => format!("{}/{subresource}", text("resource")),
        };
        let verb = request["verb"].as_str().unwrap().to_owned();
        if verb == "patch" && request["responseStatus"]["code"] == 201 {
            // To apply what is not there is to create it.
            used.insert((text("apiGroup"), resource.clone(), "create".into()));
        }
        used.insert((text("apiGroup"), resource, verb));
        if request["annotations"]["authorization.k8s.io/decision"] == "forbid" {
            refused.push(request);
        }
    }
    (used, refused)
}

impl World {
    /// Wakes the operator, as no watch of Secrets does, and waits for what it says.
    async fn touch(&self, storefront: &Value, type_: &str, reason: &str) {
        let mut touched = storefront.clone();
        touched["metadata"]["annotations"]["test/touched-for"] = json!(reason);
        self.comes_to(&touched, type_, reason).await;
    }

    /// Waits until an object is there, or is not.
    async fn has(&self, object: &str, there: bool) {
        let object: Value = serde_yaml::from_str(object).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap();
        eventually(LIMIT, &format!("{object} is there: {there}"), async || {
            let api = self.api(&object);
            api.get_opt(name).await.unwrap().is_some() == there
        })
        .await;
    }
}

/// Everything that a shop can consist of.
const FULL: &str = "
apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {name: full}
spec:
  payment: {sandbox: {}}
  currency: INR
  catalog: {configMapRef: {name: products}}
  kafka: {strimzi: {cluster: main}, topics: {deletionPolicy: Delete}}
  gateway:
    host: shop.example.com
    ingress: {className: nginx}
    httpRoute: {parentRefs: [{name: public}]}
  services:
    gateway: {autoscaling: {maxReplicas: 3}}
    order: {replicas: 2}
";
/// The same shop with as little as possible: the rest is pruned.
const BARE: &str = "
apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {name: full}
spec:
  payment: {stripe: {secretRef: {name: stripe}}}
  currency: INR
  catalog: {configMapRef: {name: products}}
  kafka: {external: {bootstrapServers: '127.0.0.1:9'}, topics: {deletionPolicy: Delete}}
  database: {external: {secretRef: {name: database, key: url}}}
  services: {email: {enabled: false}}
  networkPolicy: {enabled: false}
";
/// Objects of the first that the second does without.
const PRUNED: &[&str] = &[
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: full-email, namespace: shops}}",
    "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: full-database, namespace: shops}}",
    "{apiVersion: v1, kind: Service, metadata: {name: full-email, namespace: shops}}",
    "{apiVersion: v1, kind: ServiceAccount, metadata: {name: full-email, namespace: shops}}",
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: full-email, namespace: shops}}",
    "{apiVersion: v1, kind: Secret, metadata: {name: full-sandbox, namespace: shops}}",
    "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: full-gateway, namespace: shops}}",
    "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: full-order, namespace: shops}}",
    "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: full-order, namespace: shops}}",
    "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: full-gateway, namespace: shops}}",
    "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: full-gateway, namespace: shops}}",
    "{apiVersion: kafka.strimzi.io/v1, kind: KafkaTopic, metadata: {name: full-payment-successful, namespace: shops}}",
    "{apiVersion: kafka.strimzi.io/v1, kind: KafkaUser, metadata: {name: full-kafka-user, namespace: shops}}",
];

const DISKS: &str = "
apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {name: disks}
spec:
  payment: {sandbox: {}}
  kafka: {managed: {storage: {size: 1Gi, storageClassName: grows}}}
";
const STORAGE_CLASS: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: grows}
provisioner: example.com/none
allowVolumeExpansion: true
";
const DISK: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-disks-kafka-0, namespace: shops}
spec:
  storageClassName: grows
  volumeName: disk
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
";

/// A Secret comes and goes: the Event of the first time is counted up.
async fn a_secret_goes_again(world: &World) {
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: stripe, namespace: shops},
        stringData: {api-key: sk_test_a, webhook-secret: whsec_a}}";
    let database = "{apiVersion: v1, kind: Secret, metadata: {name: database, namespace: shops},
        stringData: {url: 'postgres://a:b@c/d'}}";
    let bare = shop(BARE);
    world.comes_to(&bare, "SecretsReady", "Missing").await;
    for secret in [secret, database] {
        world.apply(&serde_yaml::from_str(secret).unwrap()).await.unwrap();
    }
    world.touch(&bare, "SecretsReady", "Found").await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), SHOPS);
    secrets.delete("stripe", &DeleteParams::default()).await.unwrap();
    world.touch(&bare, "SecretsReady", "Missing").await;
}

/// The disk of a broker grows with its manifest.
async fn a_disk_grows(world: &World) {
    world.apply(&serde_yaml::from_str(STORAGE_CLASS).unwrap()).await.unwrap();
    world.comes_to(&shop(DISKS), "Progressing", "RollingOut").await;
    let disk: Value = serde_yaml::from_str(DISK).unwrap();
    world.apply(&disk).await.unwrap();
    let (disks, name) = (world.api(&disk), "data-disks-kafka-0");
    let bound = Patch::Merge(json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}));
    disks.patch_status(name, &PatchParams::default(), &bound).await.unwrap();
    world.apply(&shop(&DISKS.replace("1Gi", "2Gi"))).await.unwrap();
    eventually(LIMIT, "the disk is larger", async || {
        let disk = disks.get(name).await.unwrap();
        disk.data["spec"]["resources"]["requests"]["storage"] == "2Gi"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_has_the_rights_that_it_uses_and_no_others() {
    let world = World::new().await;
    for (group, kind) in [
        ("gateway.networking.k8s.io", "HTTPRoute"),
        ("kafka.strimzi.io", "KafkaTopic"),
        ("kafka.strimzi.io", "KafkaUser"),
        ("kafka.strimzi.io", "Kafka"),
    ] {
        let definition = any_kind(group, "v1", kind).unwrap();
        define(&world.client, &definition).await.unwrap();
    }
    let products = json!({"products": [{"id": "chai", "name": "Chai", "price": 100}]});
    let products = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "products", "namespace": SHOPS},
        "data": {"catalog.json": products.to_string()},
    });
    world.apply(&products).await.unwrap();
    world.install("install", &[]).await.unwrap();
    let operator = Operator::start(&world).await;

    world.apply(&shop(FULL)).await.unwrap();
    for object in PRUNED {
        world.has(object, true).await;
    }
    a_secret_goes_again(&world).await;
    for object in PRUNED {
        world.has(object, false).await;
    }
    a_disk_grows(&world).await;
    world.comes_to(&demo(), "Progressing", "RollingOut").await;
    for storefront in [demo(), shop(BARE)] {
        let name = storefront["metadata"]["name"].as_str().unwrap();
        world.api(&storefront).delete(name, &DeleteParams::default()).await.unwrap();
        eventually(LIMIT, &format!("{name} is gone"), async || {
            world.api(&storefront).get_opt(name).await.unwrap().is_none()
        })
        .await;
    }
    operator.stop();

    let roles: Api<ClusterRole> = Api::all(world.client.clone());
    let role = roles.get(&format!("{HOME}:{RELEASE}")).await.unwrap();
    let leases: Api<Role> = Api::namespaced(world.client.clone(), "default");
    let leases = leases.get(&format!("{HOME}:{RELEASE}:lease")).await.unwrap();
    let mut given = rights(&role.rules.unwrap());
    given.extend(rights(&leases.rules.unwrap()));
    let unused = || given.difference(&asked(&world).0).cloned().collect::<Vec<_>>();
    // A watch is written down a moment after its end.
    let all_used = eventually(LIMIT * 2, "every right is used", async || unused().is_empty());
    let _ = tokio::time::timeout(LIMIT, all_used).await;
    assert_eq!(unused(), [], "rights that nothing uses");
    assert_eq!(asked(&world).1, Vec::<Value>::new());

    let table = include_str!("../../../docs/operator.md");
    for (_, resource, verb) in &given {
        let row = |line: &&str| line.contains(resource.as_str()) && line.contains(verb.as_str());
        let said = table.lines().filter(|line| line.starts_with("| ")).any(|line| row(&line));
        assert!(said, "docs/operator.md does not say why it may {verb} {resource}");
    }

    // What it does not have to see, it cannot.
    let own = world.kubernetes.client_of(HOME, RELEASE).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(own.clone(), SHOPS);
    secrets.get("database").await.unwrap();
    let refused = secrets.list(&ListParams::default()).await.unwrap_err();
    assert!(refused.to_string().contains("cannot list resource \"secrets\""), "{refused}");
}

/// A client of somebody who is bound to one of the chart's roles for people.
async fn person(world: &World, role: &str) -> Api<Storefront> {
    let group = "rbac.authorization.k8s.io";
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount"}),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
            "roleRef": {
                "apiGroup": group, "kind": "ClusterRole", "name": format!("{HOME}:{RELEASE}:{role}"),
            },
            "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": SHOPS}],
        }),
    ] {
        let mut object = object;
        object["metadata"] = json!({"name": role, "namespace": SHOPS});
        world.apply(&object).await.unwrap();
    }
    Api::namespaced(world.kubernetes.client_of(SHOPS, role).await.unwrap(), SHOPS)
}

/// Nothing adds these roles to the cluster's own here: they are bound by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn people_see_and_change_storefronts_by_the_roles_of_the_cluster() {
    let world = World::new().await;
    world.install("install", &[]).await.unwrap();
    let (viewer, editor) = (person(&world, "view").await, person(&world, "edit").await);
    let storefront: Storefront = serde_json::from_value(demo()).unwrap();
    eventually(LIMIT, "Storefronts are served", async || {
        viewer.list(&ListParams::default()).await.is_ok()
    })
    .await;
    let parameters = PostParams::default();
    let refused = viewer.create(&parameters, &storefront).await.unwrap_err();
    assert!(refused.to_string().contains("cannot create resource"), "{refused}");
    editor.create(&parameters, &storefront).await.unwrap();
    viewer.get("demo").await.unwrap();
    let all = PatchParams::default();
    let mine = Patch::Merge(json!({"status": {"url": "https://example.com"}}));
    let refused = editor.patch_status("demo", &all, &mine).await.unwrap_err();
    assert!(refused.to_string().contains("storefronts/status"), "{refused}");
    editor.delete("demo", &DeleteParams::default()).await.unwrap();
}
