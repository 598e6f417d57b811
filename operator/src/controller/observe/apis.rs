//! Which optional APIs a cluster serves.

use kube::{ResourceExt, discovery::group};

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
    let Some(strimzi) = storefront.spec.strimzi() else { return false };
    let namespace = storefront.namespace().unwrap_or_default();
    for version in ["v1", "v1beta2"] {
        let resource = kinds::resource(&format!("kafka.strimzi.io/{version}"), "Kafka");
        if let Ok(Some(kafka)) = cluster.get(&namespace, &resource, &strimzi.cluster).await {
            let authorization = &kafka.data["spec"]["kafka"]["authorization"]["type"];
            return authorization == "simple";
        }
    }
    false
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
