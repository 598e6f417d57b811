//! Brings the cluster to what was rendered: applies what differs, in order, then deletes what is not
//! wanted any more. Writes nothing when there is nothing to change.

pub mod compare;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    ResourceExt,
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    controller::{
        cluster::{Cluster, FIELD_MANAGER},
        error::Error,
        kinds,
        observe::Live,
    },
    render::{Object, RETAIN},
};

/// What was applied last: together with a look at the object it says whether there is a difference,
/// also when a field is not wanted any more.
pub const APPLIED_HASH: &str = "storefront.dev/applied-hash";

/// Field manager of a number of instances that a scaler is about to take over.
const HANDOVER: &str = "storefront-operator-handover";

/// Applies and prunes. Counts into `written` what was written, also when it fails on the way.
pub async fn apply(
    cluster: &Cluster,
    namespace: &str,
    uid: &str,
    objects: &[Object],
    live: &Live,
    written: &mut usize,
) -> Result<(), Error> {
    for object in objects {
        hand_over_replicas(cluster, namespace, objects, object, live).await?;
        *written += usize::from(apply_one(cluster, namespace, object, live).await?);
    }
    *written += prune(cluster, namespace, uid, objects, live).await?;
    Ok(())
}

async fn apply_one(
    cluster: &Cluster,
    namespace: &str,
    object: &Object,
    live: &Live,
) -> Result<bool, Error> {
    let wanted = with_hash(object)?;
    let (kind, name) = (object.kind(), object.name());
    let resource = kinds::resource(object.api_version(), kind);
    let there = live.find(kind, name);
    if let Some(there) = there {
        not_taken(object, there)?;
        if is_applied(&wanted, there) {
            return Ok(false);
        }
        // It is on its way out, and would refuse again.
        if kind == "StatefulSet" && there.metadata.deletion_timestamp.is_some() {
            return Err(Error::Replacing { kind: kind.to_owned(), name: name.to_owned() });
        }
    }
    let applied = cluster.apply(namespace, &resource, name, &wanted).await;
    if let (Err(error), Some(there)) = (&applied, there)
        && kind == "StatefulSet"
        && error.is_refused()
    {
        replace(cluster, namespace, &resource, there, &wanted).await?;
        return Err(Error::Replacing { kind: kind.to_owned(), name: name.to_owned() });
    }
    applied?;
    tracing::info!(object.kind = kind, object.name = name, "applied");
    Ok(true)
}

/// A scaler takes over the number of instances as it is: a field that its only owner gives up would go
/// back to its default, and a busy service to one instance. So somebody else owns it for that moment.
async fn hand_over_replicas(
    cluster: &Cluster,
    namespace: &str,
    objects: &[Object],
    object: &Object,
    live: &Live,
) -> Result<(), Error> {
    let Some(there) = replicas_to_hand_over(objects, object, live) else { return Ok(()) };
    let (kind, name) = (object.kind(), object.name());
    let resource = kinds::resource(object.api_version(), kind);
    let replicas = json!({
        "apiVersion": object.api_version(),
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"replicas": there.data["spec"]["replicas"]},
    });
    cluster.apply_as(HANDOVER, namespace, &resource, name, &replicas).await.map(|_| ())
}

/// The Deployment in the cluster whose number of instances is ours and is about to be a scaler's.
pub fn replicas_to_hand_over<'a>(
    objects: &[Object],
    object: &Object,
    live: &'a Live,
) -> Option<&'a DynamicObject> {
    let (kind, name) = (object.kind(), object.name());
    let is_scaled = objects
        .iter()
        .any(|other| other.kind() == "HorizontalPodAutoscaler" && other.name() == name);
    let there = live.find(kind, name).filter(|_| kind == "Deployment" && is_scaled)?;
    let ours = there.managed_fields().iter().any(|fields| {
        let owned = fields.fields_v1.as_ref().map(|fields| &fields.0["f:spec"]["f:replicas"]);
        fields.manager.as_deref() == Some(FIELD_MANAGER) && owned.is_some_and(|o| !o.is_null())
    });
    ours.then_some(there)
}

/// The template of a disk cannot change: the set goes without its pods and disks, and is made anew once it
/// is gone, which the next attempt sees.
async fn replace(
    cluster: &Cluster,
    namespace: &str,
    resource: &ApiResource,
    there: &DynamicObject,
    wanted: &Value,
) -> Result<(), Error> {
    grow_disks(cluster, namespace, there, wanted).await?;
    cluster.delete(namespace, resource, there, true).await
}

/// Asks for larger disks where the manifest does.
async fn grow_disks(
    cluster: &Cluster,
    namespace: &str,
    there: &DynamicObject,
    wanted: &Value,
) -> Result<(), Error> {
    let disks = kinds::resource("v1", "PersistentVolumeClaim");
    let template = &wanted["spec"]["volumeClaimTemplates"][0];
    let size = &template["spec"]["resources"]["requests"]["storage"];
    let replicas = wanted["spec"]["replicas"].as_u64().unwrap_or_default();
    let template_name = template["metadata"]["name"].as_str().unwrap_or_default();
    for number in 0..replicas {
        let name = format!("{template_name}-{}-{number}", there.name_any());
        if cluster.get(namespace, &disks, &name).await?.is_some() {
            let disk = json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name},
                "spec": {"resources": {"requests": {"storage": size}}},
            });
            cluster.apply(namespace, &disks, &name, &disk).await?;
        }
    }
    Ok(())
}

/// What is applied: the object, with a hash of itself.
pub fn with_hash(object: &Object) -> Result<Value, Error> {
    let mut value = serde_json::to_value(object).map_err(|source| Error::Json {
        kind: object.kind().to_owned(),
        name: object.name().to_owned(),
        source,
    })?;
    let hash = hex::encode(&Sha256::digest(value.to_string())[..8]);
    value["metadata"]["annotations"][APPLIED_HASH] = json!(hash);
    Ok(value)
}

/// Whether there is nothing to apply.
pub fn is_applied(wanted: &Value, there: &DynamicObject) -> bool {
    let Ok(live) = serde_json::to_value(there) else { return false };
    compare::holds(wanted, &live)
}

/// An object that another controller owns is not ours to change. A Storefront of our own name with
/// another uid is gone: what it has left is taken up before it is collected.
pub fn not_taken(object: &Object, there: &DynamicObject) -> Result<(), Error> {
    let ours = object.metadata().owner_references.iter().flatten().next();
    let is_ours = |owner: &OwnerReference| {
        ours.is_some_and(|ours| (&ours.kind, &ours.name) == (&owner.kind, &owner.name))
    };
    let owners = there.owner_references();
    match owners.iter().find(|owner| owner.controller == Some(true) && !is_ours(owner)) {
        None => Ok(()),
        Some(owner) => Err(Error::Taken {
            kind: there.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default(),
            name: there.name_any(),
            owner: format!("{} {}", owner.kind, owner.name),
        }),
    }
}

/// Deletes what is ours, is there, and was not rendered. What is retained stays.
async fn prune(
    cluster: &Cluster,
    namespace: &str,
    uid: &str,
    objects: &[Object],
    live: &Live,
) -> Result<usize, Error> {
    let mut deleted = 0;
    for there in &live.objects {
        let Some(types) = &there.types else { continue };
        if !is_pruned(there, objects, uid) {
            continue;
        }
        let name = there.name_any();
        let resource = kinds::resource(&types.api_version, &types.kind);
        cluster.delete(namespace, &resource, there, false).await?;
        tracing::info!(object.kind = types.kind, object.name = name, "deleted");
        deleted += 1;
    }
    Ok(deleted)
}

/// Whether an object is ours and not wanted any more, and goes.
pub fn is_pruned(there: &DynamicObject, objects: &[Object], uid: &str) -> bool {
    let Some(types) = &there.types else { return false };
    let name = there.name_any();
    let wanted = objects.iter().any(|o| o.kind() == types.kind && o.name() == name);
    let ours = there.owner_references().iter().any(|owner| owner.uid == uid);
    let goes_already = there.metadata.deletion_timestamp.is_some();
    let retained = there.annotations().contains_key(RETAIN);
    !wanted && ours && !goes_already && !retained
}
