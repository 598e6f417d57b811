//! Reads the cluster: what is there of a shop, what others have made for it, and which APIs are served.
//! Changes nothing and decides nothing.

mod apis;
mod references;
mod workloads;

use std::collections::BTreeMap;

use kube::{
    ResourceExt,
    core::{ApiResource, DynamicObject},
};

use crate::{
    api::Storefront,
    controller::{cluster::Cluster, error::Error, kinds},
    names,
    plan::Plan,
    render::{Apis, Generated, Object},
    status::Workload,
};
pub use apis::{apis, missing_apis, strimzi_authorization, strimzi_cluster_id};
pub use references::{References, credentials_as_they_are};

/// Objects of a kind that are looked for by name at once.
const LOOKS_AT_ONCE: usize = 8;
/// So many names of a kind are looked for one by one; more in a list of all names, unless that is longer than
/// `NAMES_MAX`.
const NAMES_ALONE: usize = 2;
const NAMES_MAX: u32 = 500;

/// Objects of a shop that are there.
#[derive(Debug, Default)]
pub struct Live {
    pub objects: Vec<DynamicObject>,
}

impl Live {
    pub fn find(&self, kind: &str, name: &str) -> Option<&DynamicObject> {
        let is = |object: &&DynamicObject| {
            object.types.as_ref().is_some_and(|types| types.kind == kind)
                && object.name_any() == name
        };
        self.objects.iter().find(is)
    }

    /// An object as it is now, in the place of what was known of it.
    pub fn put(&mut self, object: DynamicObject) {
        let kind = |object: &DynamicObject| object.types.as_ref().map(|types| types.kind.clone());
        let (name, its) = (object.name_any(), kind(&object));
        self.objects.retain(|there| kind(there) != its || there.name_any() != name);
        self.objects.push(object);
    }
}

/// Everything with the shop's labels, and its Secrets by their names.
pub async fn live(
    cluster: &Cluster,
    namespace: &str,
    shop: &str,
    apis: &Apis,
) -> Result<Live, Error> {
    let selector = selector(shop);
    let resources = listed(apis);
    let lists = resources.iter().map(|resource| cluster.list(namespace, resource, &selector));
    let lists = futures_util::future::try_join_all(lists).await?;
    let mut objects = Vec::new();
    for (resource, list) in resources.iter().zip(lists) {
        objects.extend(list.into_iter().map(|object| typed(object, resource)));
    }
    let secrets = kinds::resource("v1", "Secret");
    let own = own_secrets(shop);
    let own = own.iter().map(|name| cluster.get(namespace, &secrets, name));
    let own = futures_util::future::try_join_all(own).await?;
    objects.extend(own.into_iter().flatten().map(|object| typed(object, &secrets)));
    Ok(Live { objects })
}

/// Adds objects of the wanted names that do not have the shop's labels: somebody else's, or its own without
/// them. While nothing is missing nothing is asked.
pub async fn unlabelled(
    cluster: &Cluster,
    namespace: &str,
    wanted: &[Object],
    live: &mut Live,
) -> Result<(), Error> {
    let mut missing = BTreeMap::<(&str, &str), Vec<&str>>::new();
    for object in wanted {
        // Secrets have been looked for by their names.
        if object.kind() != "Secret" && live.find(object.kind(), object.name()).is_none() {
            let names = missing.entry((object.api_version(), object.kind())).or_default();
            names.push(object.name());
        }
    }
    let looks = missing.into_iter().map(|((version, kind), names)| {
        there(cluster, namespace, kinds::resource(version, kind), names)
    });
    let found = futures_util::future::try_join_all(looks).await?;
    live.objects.extend(found.into_iter().flatten());
    Ok(())
}

/// Objects of a kind that have one of these names. Those of many names are few, as a rule: the names of all
/// tell which.
async fn there(
    cluster: &Cluster,
    namespace: &str,
    resource: ApiResource,
    mut names: Vec<&str>,
) -> Result<Vec<DynamicObject>, Error> {
    if names.len() > NAMES_ALONE
        && let Some(all) = cluster.names(namespace, &resource, NAMES_MAX).await?
    {
        names.retain(|name| all.contains(*name));
    }
    let mut objects = Vec::new();
    for some in names.chunks(LOOKS_AT_ONCE) {
        let looks = some.iter().map(|name| cluster.named(namespace, &resource, name));
        let found = futures_util::future::try_join_all(looks).await?;
        objects.extend(found.into_iter().flatten().map(|object| typed(object, &resource)));
    }
    Ok(objects)
}

/// Labels of everything that is made for a shop.
pub fn selector(shop: &str) -> String {
    format!("app.kubernetes.io/instance={shop},app.kubernetes.io/managed-by=storefront-operator")
}

/// Secrets that the operator makes for a shop, those of disks that are left among them.
pub fn own_secrets(shop: &str) -> [String; 3] {
    [names::SANDBOX, names::DATABASE, names::KAFKA].map(|part| names::object(shop, part))
}

/// Kinds that are looked for by label.
pub fn listed(apis: &Apis) -> Vec<ApiResource> {
    let mut resources: Vec<_> = kinds::LISTED
        .iter()
        .map(|(group, version, kind)| match *group {
            "" => kinds::resource(version, kind),
            group => kinds::resource(&format!("{group}/{version}"), kind),
        })
        .collect();
    if apis.http_route {
        resources.push(kinds::resource("gateway.networking.k8s.io/v1", "HTTPRoute"));
    }
    if let Some(version) = &apis.strimzi {
        let strimzi = format!("kafka.strimzi.io/{version}");
        resources.extend(["KafkaTopic", "KafkaUser"].map(|kind| kinds::resource(&strimzi, kind)));
    }
    resources
}

/// With its kind, which a list does not repeat in each entry.
pub fn typed(mut object: DynamicObject, resource: &ApiResource) -> DynamicObject {
    object.types = Some(kube::core::TypeMeta {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
    });
    object
}

/// Deployments and `StatefulSet`s by component, with why their pods do not come up.
pub async fn workloads(
    cluster: &Cluster,
    namespace: &str,
    shop: &str,
    live: &Live,
) -> Result<BTreeMap<String, Workload>, Error> {
    workloads::of(cluster, namespace, shop, live).await
}

/// What was made up once: taken up from the cluster, or made now; never made anew for a disk that is
/// there already, which nothing could open then.
pub async fn generated(
    cluster: &Cluster,
    namespace: &str,
    storefront: &Storefront,
    live: &Live,
    kafka_credentials: Option<String>,
    random: impl Fn() -> String,
) -> Result<Generated, Error> {
    let shop = storefront.name_any();
    let known = |part: &str, key: &str| {
        let secret = live.find("Secret", &names::object(&shop, part))?;
        references::text(secret, key).filter(|text| !text.is_empty())
    };
    if let Some(wanted) = storefront.spec.managed_brokers()
        && let Some(there) = known(names::KAFKA, "brokers")
        && there != wanted.to_string()
    {
        let name = names::object(&shop, names::KAFKA);
        return Err(Error::OtherBrokers { name, there, wanted });
    }
    for (part, key, managed) in [
        (names::KAFKA, "cluster-id", storefront.spec.managed_brokers().is_some()),
        (names::DATABASE, "password", storefront.spec.manages_database()),
    ] {
        let name = names::object(&shop, part);
        if managed && known(part, key).is_none() {
            let disk = format!("{}-{name}-0", names::DISK);
            let disks = kinds::resource("v1", "PersistentVolumeClaim");
            if cluster.get(namespace, &disks, &disk).await?.is_some() {
                return Err(Error::LostSecret { name, key, disk });
            }
        }
    }
    Ok(Generated {
        kafka_cluster_id: known(names::KAFKA, "cluster-id").unwrap_or_else(cluster_id),
        database_password: known(names::DATABASE, "password").unwrap_or_else(&random),
        sandbox_api_key: known(names::SANDBOX, "api-key")
            .unwrap_or_else(|| format!("sk_test_{}", random())),
        sandbox_webhook_secret: known(names::SANDBOX, "webhook-secret")
            .unwrap_or_else(|| format!("whsec_{}", random())),
        kafka_credentials,
    })
}

/// A random UUID in base64url, as Kafka's own tool makes it. One that begins with `-` would look like a
/// flag to it.
fn cluster_id() -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    loop {
        let id = URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes());
        if !id.starts_with('-') {
            return id;
        }
    }
}

/// What others have made for a shop.
pub async fn others(cluster: &Cluster, namespace: &str, plan: &Plan) -> Result<References, Error> {
    references::look(cluster, namespace, plan).await
}
