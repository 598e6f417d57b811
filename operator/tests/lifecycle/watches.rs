//! Watches that end, fall silent, or bring what this operator cannot read: what is edited meanwhile is made
//! true all the same, of every shop that can be read.

use std::{collections::BTreeMap, time::Instant};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service},
        events::v1::Event,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};
use storefront_operator::{
    controller::{FINALIZER, kinds},
    crd,
};

use crate::{
    faults::{End, Fate, Faults},
    state::objects,
    world::{Operator, Place, SHOP, kubernetes, until},
};

fn shop(orders: u32) -> Value {
    json!({"payment": {"sandbox": {}}, "services": {"order": {"replicas": orders}}})
}

impl Place {
    async fn orders(&self) -> Option<i32> {
        self.api::<Deployment>().get(&format!("{SHOP}-order")).await.unwrap().spec.unwrap().replicas
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_while_all_watches_are_broken_is_made_true() {
    edit_after(&[End::Broken, End::Gone, End::Broken]).await;
}

/// It takes as long as a watch may say nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_while_all_watches_are_silent_is_made_true() {
    edit_after(&[End::Silent]).await;
}

async fn edit_after(ends: &[End]) {
    let place = Place::new().await;
    let faults = Faults::new(|call| if call.is_watch() { Fate::Endable } else { Fate::Pass });
    let config = kubernetes().await.config("first").unwrap();
    let operator = Operator::start(faults.client(config), &place.namespace);
    place.apply(&shop(1)).await;
    operator.settles(&place).await;
    let services = place.api::<Service>();
    for (number, end) in ends.iter().enumerate() {
        let before = faults.ended();
        // One that is just beginning anew ends the next time.
        until("watches end", async || {
            faults.end_watches(*end);
            faults.ended() - before > kinds::LISTED.len()
        })
        .await;
        let orders = 2 + u32::try_from(number).unwrap();
        let began = Instant::now();
        place.apply(&shop(orders)).await;
        services.delete(&format!("{SHOP}-gateway"), &DeleteParams::default()).await.unwrap();
        until("the edit is made true", async || {
            place.orders().await == i32::try_from(orders).ok()
                && services.get_opt(&format!("{SHOP}-gateway")).await.unwrap().is_some()
        })
        .await;
        println!("{end:?}: made true after {:?}", began.elapsed());
        operator.settles(&place).await;
    }
}

/// As a newer operator would have defined it: with one more value of a choice that this one knows.
async fn define_newer(place: &Place) {
    let mut definition = serde_json::to_value(crd::definition().unwrap()).unwrap();
    let policy = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/kafka/properties\
                  /topics/properties/deletionPolicy/enum";
    definition.pointer_mut(policy).unwrap().as_array_mut().unwrap().push(json!("Archive"));
    let definitions: Api<CustomResourceDefinition> = Api::all(place.client.clone());
    let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
    let apply = PatchParams::apply("test").force();
    definitions.patch(&name, &apply, &Patch::Apply(&definition)).await.unwrap();
}

/// Storefronts as anybody sees them who does not know their fields.
fn shops(place: &Place) -> Api<DynamicObject> {
    let resource = kinds::resource("storefront.dev/v1alpha1", "Storefront");
    Api::namespaced_with(place.client.clone(), &place.namespace, &resource)
}

async fn apply(place: &Place, name: &str, spec: &Value) -> kube::Result<DynamicObject> {
    let storefront = json!({
        "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
        "metadata": {"name": name}, "spec": spec,
    });
    let parameters = PatchParams::apply("test").force();
    shops(place).patch(name, &parameters, &Patch::Apply(&storefront)).await
}

/// Why the edit is not made true.
async fn degraded(place: &Place) -> Option<(String, String)> {
    let shop = shops(place).get(SHOP).await.unwrap();
    let conditions = shop.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let degraded = conditions.into_iter().find(|condition| condition["type"] == "Degraded")?;
    let is_current = degraded["observedGeneration"].as_i64() == shop.metadata.generation;
    let text = |field: &str| degraded[field].as_str().unwrap_or_default().to_owned();
    (is_current && degraded["status"] == "True").then(|| (text("reason"), text("message")))
}

/// The version of everything that is there but of Storefronts.
async fn versions(place: &Place) -> BTreeMap<String, Option<String>> {
    let objects = objects(place).await.into_iter();
    let version = |(resource, object): (ApiResource, DynamicObject)| {
        (format!("{} {}", resource.kind, object.name_any()), object.resource_version())
    };
    objects.map(version).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_with_a_value_of_a_newer_operator_is_told_so_and_holds_up_no_other() {
    let place = Place::new().await;
    define_newer(&place).await;
    let operator = Operator::start(place.client.clone(), &place.namespace);
    let kafka = |policy: &str| json!({"external": {"bootstrapServers": "127.0.0.1:1"}, "topics": {"deletionPolicy": policy}});
    let spec = |policy: &str, orders: u32| {
        json!({
            "payment": {"sandbox": {}}, "kafka": kafka(policy),
            "services": {"order": {"replicas": orders}},
        })
    };
    place.apply(&spec("Retain", 1)).await;
    operator.settles(&place).await;
    let before = versions(&place).await;

    // The value, with another edit that could be made true.
    until("the newer definition is served", async || {
        apply(&place, SHOP, &spec("Archive", 2)).await.is_ok()
    })
    .await;
    let told = async || degraded(&place).await.is_some_and(|(reason, _)| reason == "Unreadable");
    until("it is told", told).await;
    insta::assert_snapshot!(degraded(&place).await.unwrap().1, @"this operator cannot read spec.kafka.topics.deletionPolicy: unknown variant `Archive`, expected `Retain` or `Delete`: change that, or upgrade the operator if a newer one has taken it; until then everything stays as it is");
    assert_eq!(versions(&place).await, before);

    // Another shop comes, and another one to an operator that finds this one unreadable.
    let other = async |name: &str| {
        apply(&place, name, &json!({"payment": {"sandbox": {}}})).await.unwrap();
        let (deployments, order) = (place.api::<Deployment>(), format!("{name}-order"));
        until("the other shop is made", async || {
            deployments.get_opt(&order).await.unwrap().is_some()
        })
        .await;
    };
    other("beside").await;
    drop(operator);
    let operator = Operator::start(place.client.clone(), &place.namespace);
    other("later").await;
    let now = versions(&place).await;
    assert!(before.iter().all(|(name, version)| now.get(name) == Some(version)));

    // Back to what is known.
    place.apply(&spec("Retain", 2)).await;
    operator.settles(&place).await;
    assert_eq!(place.orders().await, Some(2));
    assert!(!told().await);

    // And unreadable until its end, with topics of which it was said once that they go with it.
    place.apply(&spec("Delete", 2)).await;
    operator.settles(&place).await;
    apply(&place, SHOP, &spec("Archive", 2)).await.unwrap();
    until("it is told", told).await;
    let shops = shops(&place);
    assert_eq!(shops.get(SHOP).await.unwrap().finalizers(), [FINALIZER]);
    write_down_topics(&place).await;
    shops.delete(SHOP, &DeleteParams::default()).await.unwrap();
    until("it is gone", async || shops.get_opt(SHOP).await.unwrap().is_none()).await;
    let events = place.api::<Event>().list(&ListParams::default()).await.unwrap();
    let mut left = events.items.into_iter().filter(|it| it.reason.as_deref() == Some("TopicsLeft"));
    insta::assert_snapshot!(left.next().unwrap().note.unwrap(), @"the topics stay, delete them by hand: this operator cannot read spec.kafka.topics.deletionPolicy: unknown variant `Archive`, expected `Retain` or `Delete`: change that, or upgrade the operator if a newer one has taken it; until then everything stays as it is");
}

/// As the operator does it before it makes topics.
async fn write_down_topics(place: &Place) {
    let ledger = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("{SHOP}-topics"), "labels": {
            "app.kubernetes.io/instance": SHOP,
            "app.kubernetes.io/managed-by": "storefront-operator",
        }},
        "data": {"topics": "order-successful"},
    });
    let (name, apply) = (format!("{SHOP}-topics"), PatchParams::apply("test"));
    place.api::<ConfigMap>().patch(&name, &apply, &Patch::Apply(&ledger)).await.unwrap();
}
