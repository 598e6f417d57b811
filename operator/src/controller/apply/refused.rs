//! What to do when the API server understands an object and does not take it beside what is there: fields of
//! others that stay do not go together with ours, or a field cannot change.

use kube::{
    ResourceExt,
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};

use super::replace;
use crate::controller::{cluster::Cluster, error::Error};

/// Who overwrites; it owns nothing when it is done.
const OVERWRITER: &str = "storefront-operator-overwriter";

/// Makes room for `wanted`, after which it can be applied, unless it is refused whatever is there: then
/// nothing is touched, and what runs goes on.
pub(super) async fn make_room(
    cluster: &Cluster,
    namespace: &str,
    resource: &ApiResource,
    there: &DynamicObject,
    wanted: &Value,
    refusal: Error,
) -> Result<(), Error> {
    if !cluster.would_create(namespace, resource, wanted).await? {
        return Err(refusal);
    }
    let name = there.name_any();
    tracing::info!(object.kind = resource.kind, object.name = name, "{}", refusal.story());
    match resource.kind.as_str() {
        "StatefulSet" => {
            replace(cluster, namespace, resource, there, wanted).await?;
            Err(Error::Replacing { kind: resource.kind.clone(), name })
        }
        // Somebody has made it immutable, which cannot be taken back.
        "ConfigMap" => cluster.delete(namespace, resource, there, false).await,
        _ => overwrite(cluster, namespace, resource, there, wanted).await,
    }
}

/// Puts our fields in the place of those that are there: lists as a whole, and nothing where a field of
/// others excludes one of ours.
async fn overwrite(
    cluster: &Cluster,
    namespace: &str,
    resource: &ApiResource,
    there: &DynamicObject,
    wanted: &Value,
) -> Result<(), Error> {
    let name = there.name_any();
    let mut ours = wanted.clone();
    ours["metadata"]["uid"] = json!(there.metadata.uid);
    // Here others decide, or the API server, what we do not; and nothing excludes anything.
    if !matches!(resource.kind.as_str(), "Deployment" | "Secret" | "Service") {
        for field in there.data["spec"].as_object().into_iter().flat_map(|spec| spec.keys()) {
            if ours["spec"][field].is_null() {
                ours["spec"][field] = Value::Null;
            }
        }
    }
    let written = cluster.merge_as(OVERWRITER, namespace, resource, &name, &ours).await?;
    forget_overwriter(cluster, namespace, resource, &written).await
}

/// Whether an object was overwritten, and not applied after it.
pub(super) fn is_overwritten(there: &DynamicObject) -> bool {
    there.managed_fields().iter().any(|entry| entry.manager.as_deref() == Some(OVERWRITER))
}

/// Else a field that is not wanted any more one day would stay as somebody's.
pub(super) async fn forget_overwriter(
    cluster: &Cluster,
    namespace: &str,
    resource: &ApiResource,
    there: &DynamicObject,
) -> Result<(), Error> {
    let others: Vec<_> = there
        .managed_fields()
        .iter()
        .filter(|entry| entry.manager.as_deref() != Some(OVERWRITER))
        .collect();
    let forgotten = json!({"metadata": {
        "managedFields": others,
        "resourceVersion": there.metadata.resource_version,
    }});
    let name = there.name_any();
    cluster.merge_as(OVERWRITER, namespace, resource, &name, &forgotten).await.map(|_| ())
}
