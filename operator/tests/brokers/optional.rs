//! APIs that a cluster may serve or not: Strimzi's, in the versions that it has had, and the Gateway API,
//! each by the definitions that they are installed with.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret, VolumeProjection},
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde::Deserialize;
use serde_json::{Value, json};
use storefront_operator::{Storefront, controller::kinds};
use storefront_testkit::{define, eventually, eventually_some, gateway_api};

use crate::world::{LIMIT, World};

const STRIMZI: &str = include_str!("crds/strimzi.yaml");

/// Strimzi's definitions, with these versions served.
fn strimzi(served: &[&str]) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(STRIMZI);
    let documents = documents.map(|document| Value::deserialize(document).unwrap());
    let with_versions = |mut definition: Value| {
        for version in definition["spec"]["versions"].as_array_mut().unwrap() {
            version["served"] = served.contains(&version["name"].as_str().unwrap()).into();
        }
        definition
    };
    documents.map(with_versions).collect()
}

async fn install(world: &World, definitions: Vec<Value>) {
    for definition in definitions {
        let definition = serde_json::from_value(definition).unwrap();
        define(&world.client, &definition).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strimzi_makes_the_topics_and_the_user_in_whichever_version_it_serves() {
    let world = World::new("strimzi").await;
    let shop = world.shop("demo");
    shop.apply(&json!({
        "payment": {"sandbox": {}}, "kafka": {"strimzi": {"cluster": "main"}, "prefix": "blue."},
    }))
    .await;
    let told = shop.comes_to("Degraded", "True", "Missing").await;
    assert!(told.contains("main-cluster-ca-cert"), "{told}");

    // One of those that have had no other version.
    install(&world, strimzi(&["v1beta2"])).await;
    let all = || {
        let topics =
            ["email-successful", "order-successful", "payment-successful"].map(String::from);
        let mut all: BTreeSet<_> = topics.into();
        for (topic, group) in [
            ("email-successful", "analytic-service"),
            ("order-successful", "analytic-service"),
            ("order-successful", "email-service"),
            ("payment-successful", "analytic-service"),
            ("payment-successful", "email-service"),
            ("payment-successful", "order-service"),
        ] {
            all.insert(format!("{topic}.{group}.dlq"));
        }
        all.iter().map(|topic| format!("demo-{topic}")).collect::<BTreeSet<_>>()
    };
    let (old, new) = ("kafka.strimzi.io/v1beta2", "kafka.strimzi.io/v1");
    eventually(LIMIT, "topics", async || world.names(old, "KafkaTopic").await == all()).await;
    let user = BTreeSet::from(["demo-kafka-user".to_owned()]);
    assert_eq!(world.names(old, "KafkaUser").await, user);

    // The Secrets as its operators make them: the user's has no name in it.
    let password = "Ohs8Kaaf2aiM";
    let jaas = format!(
        "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"demo-kafka-user\" password=\"{password}\";"
    );
    world.secret("demo-kafka-user", &[("password", password), ("sasl.jaas.config", &jaas)]).await;
    let ca = [("ca.crt", "-----BEGIN CERTIFICATE-----"), ("ca.password", "a"), ("ca.p12", "b")];
    world.secret("main-cluster-ca-cert", &ca).await;
    shop.comes_to("SecretsReady", "True", "Found").await;
    assert_finds_its_files(&world, password).await;
    let told = shop.comes_to("KafkaReady", "False", "Unreachable").await;
    assert!(told.contains("main-kafka-bootstrap.strimzi.svc:9093"), "{told}");
    assert!(told.ends_with("check spec.kafka.strimzi"), "{told}");

    // It is upgraded, and in the end serves the new version alone. What is there is the same.
    let topic = async |version: &str| {
        let topics = world.objects(&kinds::resource(version, "KafkaTopic"));
        topics.get("demo-payment-successful").await.unwrap()
    };
    let before = topic(old).await;
    assert_eq!(before.data["spec"]["topicName"], "blue.payment-successful");
    install(&world, strimzi(&["v1"])).await;
    world
        .apply(&json!({
            "apiVersion": new, "kind": "Kafka", "metadata": {"name": "main"},
            "spec": {"kafka": {"authorization": {"type": "simple"}}},
        }))
        .await;
    // Now that its cluster asks for rights, the user has them.
    let users = world.objects(&kinds::resource(new, "KafkaUser"));
    let rights = eventually_some(LIMIT * 2, "the user's rights", async || {
        let user = users.get("demo-kafka-user").await.ok()?;
        user.data["spec"]["authorization"]["acls"].as_array().cloned()
    })
    .await;
    let on = |kind: &str| {
        let named = rights.iter().filter(|right| right["resource"]["type"] == kind);
        named.map(|right| right["resource"]["name"].as_str().unwrap()).collect::<BTreeSet<_>>()
    };
    assert_eq!(on("topic").len(), 9);
    assert_eq!(
        on("group"),
        BTreeSet::from(["blue.analytic-service", "blue.email-service", "blue.order-service"])
    );
    assert_eq!(world.names(new, "KafkaTopic").await, all());
    let after = topic(new).await;
    assert_eq!(before.metadata.uid, after.metadata.uid);
    assert_eq!(before.data["spec"], after.data["spec"]);
    twins_at_strimzis_brokers(&world).await;
}

/// Whose brokers they are is known before there is a user who could ask them.
async fn twins_at_strimzis_brokers(world: &World) {
    let (elder, younger) = (world.shop("elder"), world.shop("younger"));
    let servers = "127.0.0.1:1";
    elder
        .apply(&json!({
            "payment": {"sandbox": {}},
            "kafka": {"external": {"bootstrapServers": servers}, "prefix": "green."},
        }))
        .await;
    elder.comes_to("KafkaReady", "False", "Unreachable").await;
    // As it was when its brokers last answered.
    let known =
        json!({"status": {"brokers": format!("external {servers}"), "clusterId": "main-id"}});
    let shops = world.api::<Storefront>();
    shops.patch_status("elder", &PatchParams::default(), &Patch::Merge(&known)).await.unwrap();

    let kafka = async |id: &str| {
        let spec = json!({"kafka": {"authorization": {"type": "simple"}}});
        let mut kafka = json!({
            "apiVersion": "kafka.strimzi.io/v1", "kind": "Kafka", "metadata": {"name": "main"},
            "spec": spec,
        });
        if !id.is_empty() {
            kafka["status"] = json!({"clusterId": id});
        }
        world.apply(&kafka).await;
    };
    let users = async || {
        world.names("kafka.strimzi.io/v1", "KafkaUser").await.contains("younger-kafka-user")
    };
    younger
        .apply(&json!({
            "payment": {"sandbox": {}}, "kafka": {"strimzi": {"cluster": "main"}, "prefix": "green."},
        }))
        .await;
    let told = younger.comes_to("Degraded", "True", "BrokersUnknown").await;
    assert!(told.contains("Kafka main does not say in its status which brokers it is"), "{told}");
    kafka("main-id").await;
    younger.comes_to("Ready", "False", "Conflict").await;
    assert!(!users().await, "it was made");
    kafka("other-id").await;
    eventually(LIMIT, "they are others", users).await;
}

/// Each file that a service's settings name is mounted, out of objects that are there.
async fn assert_finds_its_files(world: &World, password: &str) {
    let order = world.api::<Deployment>().get("demo-order").await.unwrap();
    let pod = order.spec.unwrap().template.spec.unwrap();
    let mut files = BTreeMap::new();
    for volume in pod.volumes.unwrap() {
        let mounts = pod.containers[0].volume_mounts.as_ref().unwrap();
        let Some(mount) = mounts.iter().find(|mount| mount.name == volume.name) else { continue };
        for source in volume.projected.and_then(|projected| projected.sources).into_iter().flatten()
        {
            for (path, value) in projected(world, &source).await {
                files.insert(format!("{}/{path}", mount.mount_path), value);
            }
        }
    }
    let settings: ConfigMap = world.api().get("demo-order").await.unwrap();
    let settings = settings.data.unwrap();
    let file = |setting: &str| files.get(&settings[setting]).cloned();
    assert_eq!(file("KAFKA_SASL_USERNAME_FILE").as_deref(), Some("demo-kafka-user"), "{files:#?}");
    assert_eq!(file("KAFKA_SASL_PASSWORD_FILE").as_deref(), Some(password), "{files:#?}");
    assert!(file("KAFKA_CA_FILE").is_some(), "{files:#?}");
    let named = settings.iter().filter(|(name, _)| name.ends_with("_FILE"));
    for (name, path) in named {
        assert!(files.contains_key(path), "{name}: nothing is mounted at {path}");
    }
}

/// What the kubelet would write.
async fn projected(world: &World, source: &VolumeProjection) -> Vec<(String, String)> {
    let (values, items): (BTreeMap<String, String>, _) = match (&source.secret, &source.config_map)
    {
        (Some(secret), _) => {
            let found: Secret = get(world.api(), &secret.name, secret.optional).await;
            let values = found.data.unwrap_or_default();
            let text = |bytes: Vec<u8>| {
                String::from_utf8(bytes).unwrap_or_else(|error| STANDARD.encode(error.into_bytes()))
            };
            (values.into_iter().map(|(key, bytes)| (key, text(bytes.0))).collect(), &secret.items)
        }
        (_, Some(map)) => {
            let found: ConfigMap = get(world.api(), &map.name, map.optional).await;
            (found.data.unwrap_or_default(), &map.items)
        }
        _ => return Vec::new(),
    };
    let optional = source.secret.as_ref().is_some_and(|secret| secret.optional == Some(true));
    let mut files = Vec::new();
    for item in items.iter().flatten() {
        match values.get(&item.key) {
            Some(value) => files.push((item.path.clone(), value.clone())),
            None => {
                assert!(optional, "no key {} for {}: the pod would not start", item.key, item.path);
            }
        }
    }
    files
}

async fn get<K>(api: Api<K>, name: &str, optional: Option<bool>) -> K
where
    K: Clone + std::fmt::Debug + Default + serde::de::DeserializeOwned,
{
    match api.get_opt(name).await.unwrap() {
        Some(object) => object,
        None if optional == Some(true) => K::default(),
        None => panic!("{name} is missing: the pod would not start"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_is_made_once_the_gateway_api_is_there() {
    let world = World::new("routes").await;
    let shop = world.shop("demo");
    let spec = json!({
        "payment": {"sandbox": {}},
        "gateway": {
            "host": "shop.example.com",
            "httpRoute": {"parentRefs": [{"name": "public", "namespace": "gateways"}]},
        },
    });
    shop.apply(&spec).await;
    let told = shop.comes_to("Degraded", "True", "ApiMissing").await;
    assert_eq!(
        told,
        "spec.gateway.httpRoute needs the Gateway API, which this cluster does not serve: install it, or leave the field out"
    );
    let definitions = gateway_api(&["httproutes", "gateways"]).unwrap();
    let definitions = definitions.iter().map(|text| serde_yaml::from_str(text).unwrap());
    install(&world, definitions.collect()).await;
    let routes = world.objects(&kinds::resource("gateway.networking.k8s.io/v1", "HTTPRoute"));
    let route = eventually_some(LIMIT, "the route", async || routes.get("demo-gateway").await.ok());
    let route = route.await;
    let expected = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "gateways"});
    assert_eq!(route.data["spec"]["parentRefs"][0], expected);
    assert_eq!(route.data["spec"]["hostnames"], json!(["shop.example.com"]));
    let backend = &route.data["spec"]["rules"][0]["backendRefs"][0];
    assert_eq!((&backend["name"], &backend["port"]), (&json!("demo-gateway"), &json!(8080)));
    shop.comes_to("Degraded", "False", "AsExpected").await;

    // It goes with the field that asked for it.
    shop.apply(&json!({"payment": {"sandbox": {}}, "gateway": {"host": "shop.example.com"}})).await;
    let gone = async || routes.get_opt("demo-gateway").await.unwrap().is_none();
    eventually(LIMIT, "the route is gone", gone).await;
}
