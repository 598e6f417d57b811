//! Which optional APIs a cluster serves.

use kube::{ResourceExt, core::DynamicObject, discovery::group};

use crate::{
    api::Storefront,
    controller::{
        cluster::{Cluster, answer},
        error::Error,
        kinds,
    },
    render::Apis,
    status::MissingApi,
};

/// Asks for each of them.
pub async fn apis(cluster: &Cluster, storefront: &Storefront) -> Result<Apis, Error> {
    let mut served = Vec::new();
    for (name, kind) in kinds::OPTIONAL {
        served.push(version(cluster, name, kind).await?);
    }
    Ok(Apis {
        // Older versions are other objects: what is rendered would be refused.
        http_route: served[0].as_deref() == Some("v1"),
        strimzi: served[1].clone().filter(|_| served[2].is_some()),
        strimzi_authorization: strimzi_authorization(cluster, storefront).await,
    })
}

/// The version in which a kind is served, the preferred one first.
async fn version(cluster: &Cluster, name: &str, kind: &str) -> Result<Option<String>, Error> {
    let found = match answer(group(&cluster.client, name)).await {
        Ok(found) => found,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
        Err(kube::Error::Discovery(_)) => return Ok(None),
        Err(source) => return Err(Error::Read { what: format!("the API {name}"), source }),
    };
    Ok(found.recommended_kind(kind).map(|(resource, _)| resource.version))
}

/// Whether the Strimzi cluster checks what a user may do. Not known is no.
pub async fn strimzi_authorization(cluster: &Cluster, storefront: &Storefront) -> bool {
    let kafka = strimzi_kafka(cluster, storefront).await;
    kafka.is_some_and(|kafka| kafka.data["spec"]["kafka"]["authorization"]["type"] == "simple")
}

/// The id that the brokers of a Strimzi cluster have given to it, as its status has it.
pub async fn strimzi_cluster_id(cluster: &Cluster, storefront: &Storefront) -> Option<String> {
    let kafka = strimzi_kafka(cluster, storefront).await?;
    kafka.data["status"]["clusterId"].as_str().map(str::to_owned)
}

async fn strimzi_kafka(cluster: &Cluster, storefront: &Storefront) -> Option<DynamicObject> {
    let name = &storefront.spec.strimzi()?.cluster;
    let namespace = storefront.namespace().unwrap_or_default();
    for version in ["v1", "v1beta2"] {
        let resource = kinds::resource(&format!("kafka.strimzi.io/{version}"), "Kafka");
        if let Ok(Some(kafka)) = cluster.get(&namespace, &resource, name).await {
            return Some(kafka);
        }
    }
    None
}

/// What the manifest needs and the cluster does not serve.
pub fn missing_apis(storefront: &Storefront, apis: &Apis) -> Vec<MissingApi> {
    let gateway = storefront.spec.gateway.as_ref();
    let route = gateway.is_some_and(|gateway| gateway.http_route.is_some());
    let needed = [
        (
            route && !apis.http_route,
            MissingApi { field: "spec.gateway.httpRoute", api: "the Gateway API" },
        ),
        (
            storefront.spec.strimzi().is_some() && apis.strimzi.is_none(),
            MissingApi { field: "spec.kafka.strimzi", api: "Strimzi" },
        ),
    ];
    needed.into_iter().filter(|(missing, _)| *missing).map(|(_, api)| api).collect()
}
