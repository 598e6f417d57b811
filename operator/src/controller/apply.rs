//! Brings the cluster to what was rendered: applies what differs, in order, then deletes what is not
//! wanted any more. Writes nothing when there is nothing to change.

pub mod compare;
pub mod contest;
mod refused;

use std::time::Instant;

use contest::Contests;
use kube::{
    ResourceExt,
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    api::{API_VERSION, KIND},
    controller::{
        cluster::{Cluster, FIELD_MANAGER, owns},
        error::Error,
        kinds,
        observe::{Live, typed},
    },
    render::{Object, RETAIN},
};

/// What was applied last: together with a look at the object it says whether there is a difference,
/// also when a field is not wanted any more.
pub const APPLIED_HASH: &str = "storefront.dev/applied-hash";

/// Field manager of a number of instances that a scaler is about to take over.
const HANDOVER: &str = "storefront-operator-handover";

const INSTANCE: &str = "app.kubernetes.io/instance";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// How far an attempt has got, also when it has failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Writes to the cluster.
    pub writes: usize,
    /// Objects that are as wanted, in their order, before one that is not.
    pub reached: usize,
}

/// Applies and prunes. Counts into `done`, also when it fails on the way. When it does not, `live` is what is
/// there then, by what the API server has answered.
pub async fn apply(
    cluster: &Cluster,
    namespace: &str,
    uid: &str,
    objects: &[Object],
    live: &mut Live,
    contests: &Contests,
    done: &mut Done,
) -> Result<(), Error> {
    // Before anything is written: half a shop is of no use to anybody.
    for object in objects {
        live.find(object.kind(), object.name()).map_or(Ok(()), |there| not_taken(object, there))?;
    }
    let mut applied = Vec::new();
    for object in objects {
        hand_over_replicas(cluster, namespace, objects, object, live).await?;
        let contest = (contests, uid);
        if let Some(answer) = apply_one(cluster, namespace, object, live, contest).await? {
            applied.push(answer);
            done.writes += 1;
        }
        done.reached += 1;
    }
    contests.keep_wanted(uid, objects);
    done.writes += prune(cluster, namespace, uid, objects, live).await?;
    for object in applied {
        live.put(object);
    }
    Ok(())
}

async fn apply_one(
    cluster: &Cluster,
    namespace: &str,
    object: &Object,
    live: &Live,
    (contests, uid): (&Contests, &str),
) -> Result<Option<DynamicObject>, Error> {
    let wanted = with_hash(object)?;
    let (kind, name) = (object.kind(), object.name());
    let resource = kinds::resource(object.api_version(), kind);
    let there = live.find(kind, name);
    if let Some(there) = there {
        if refused::is_overwritten(there) {
            refused::forget_overwriter(cluster, namespace, &resource, there).await?;
        } else if is_applied(&wanted, there) {
            return Ok(None);
        }
        // It is on its way out, and would refuse again.
        if kind == "StatefulSet" && there.metadata.deletion_timestamp.is_some() {
            return Err(Error::Replacing { kind: kind.to_owned(), name: name.to_owned() });
        }
    }
    if !contests.may_apply(uid, &wanted, there, Instant::now()) {
        return Ok(None);
    }
    let applied = match (cluster.apply(namespace, &resource, name, &wanted).await, there) {
        (Err(error), Some(there)) if error.is_refused() => {
            refused::make_room(cluster, namespace, &resource, there, &wanted, error).await?;
            cluster.apply(namespace, &resource, name, &wanted).await?
        }
        (applied, _) => applied?,
    };
    contests.applied(uid, &wanted, Instant::now());
    tracing::info!(object.kind = kind, object.name = name, "applied");
    Ok(Some(typed(applied, &resource)))
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
    // A scaler leaves alone what has no instance: that one begins with the default.
    if there.data["spec"]["replicas"] == 0 {
        return None;
    }
    owns(there, &["f:spec", "f:replicas"]).then_some(there)
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

/// Whether an object of that name may be made or written over.
pub fn not_taken(object: &Object, there: &DynamicObject) -> Result<(), Error> {
    let shop = object.metadata().labels.as_ref().and_then(|labels| labels.get(INSTANCE));
    is_of(shop.map(String::as_str).unwrap_or_default(), there)
}

/// An object that another controller owns is not ours to change, and neither is one that nobody owns,
/// unless it says that it is this shop's: by our labels, as what a backup has brought back or somebody
/// has handed over, or by staying when its shop went. A Storefront of our own name with another uid is
/// gone: what it has left is taken up before it is collected.
pub(crate) fn is_of(shop: &str, there: &DynamicObject) -> Result<(), Error> {
    let kind = || there.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
    let owner = there.owner_references().iter().find(|owner| owner.controller == Some(true));
    if let Some(owner) = owner {
        let group = |api_version: &str| api_version.split('/').next().map(str::to_owned);
        let same_group = group(&owner.api_version) == group(API_VERSION);
        let ours = same_group && (&*owner.kind, &*owner.name) == (KIND, shop);
        let taken = || Error::Taken {
            kind: kind(),
            name: there.name_any(),
            owner: format!("{} {}", owner.kind, owner.name),
        };
        return if ours { Ok(()) } else { Err(taken()) };
    }
    let label = |name: &str| there.labels().get(name).map(String::as_str);
    let labelled = label(INSTANCE) == Some(shop) && label(MANAGED_BY) == Some(FIELD_MANAGER);
    let retained = there.annotations().contains_key(RETAIN);
    if labelled || (retained && label(INSTANCE).is_none_or(|instance| instance == shop)) {
        return Ok(());
    }
    Err(Error::Foreign { kind: kind(), name: there.name_any(), shop: shop.to_owned() })
}

/// Deletes what is ours, is there, and was not rendered. What is retained stays.
async fn prune(
    cluster: &Cluster,
    namespace: &str,
    uid: &str,
    objects: &[Object],
    live: &mut Live,
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
    live.objects.retain(|there| !is_pruned(there, objects, uid));
    Ok(deleted)
}

/// Whether an object is ours and not wanted any more, and goes.
pub fn is_pruned(there: &DynamicObject, objects: &[Object], uid: &str) -> bool {
    let Some(types) = &there.types else { return false };
    let name = there.name_any();
    let wanted = objects.iter().any(|o| o.kind() == types.kind && o.name() == name);
    // Who is only collected with the shop, as somebody may want for an object of their own, is not ours.
    let ours =
        there.owner_references().iter().any(|it| it.uid == uid && it.controller == Some(true));
    let goes_already = there.metadata.deletion_timestamp.is_some();
    let retained = there.annotations().contains_key(RETAIN);
    !wanted && ours && !goes_already && !retained
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(metadata: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {},
        }))
        .unwrap()
    }

    fn owned(api_version: &str, kind: &str, name: &str) -> DynamicObject {
        let owner = json!({
            "apiVersion": api_version, "kind": kind, "name": name, "uid": "1", "controller": true,
        });
        there(&json!({"name": "demo-order", "ownerReferences": [owner]}))
    }

    fn labelled(instance: &str, managed_by: &str) -> DynamicObject {
        let labels = json!({INSTANCE: instance, MANAGED_BY: managed_by});
        there(&json!({"name": "demo-order", "labels": labels}))
    }

    #[test]
    fn what_is_ours_is_taken_up() {
        for ours in [
            // Of a Storefront that is gone, too.
            owned("storefront.dev/v1alpha1", "Storefront", "demo"),
            owned("storefront.dev/v1", "Storefront", "demo"),
            // Restored from a backup, or handed over by somebody.
            labelled("demo", "storefront-operator"),
            there(&json!({"name": "demo-database", "annotations": {RETAIN: "true"}})),
        ] {
            is_of("demo", &ours).unwrap();
        }
    }

    #[test]
    fn what_is_somebody_elses_stays_theirs() {
        for (foreign, says) in [
            (
                owned("storefront.dev/v1alpha1", "Storefront", "other"),
                "belongs to Storefront other",
            ),
            (owned("other.dev/v1", "Storefront", "demo"), "belongs to Storefront demo"),
            (owned("apps/v1", "Deployment", "demo"), "belongs to Deployment demo"),
            (there(&json!({"name": "demo-order"})), "is not this shop's"),
            (labelled("demo", "Helm"), "is not this shop's"),
            (labelled("other", "storefront-operator"), "is not this shop's"),
            // Another shop's, which has gone without it.
            (
                there(&json!({
                    "name": "demo-database",
                    "labels": {INSTANCE: "other"},
                    "annotations": {RETAIN: "true"},
                })),
                "is not this shop's",
            ),
        ] {
            let refused = is_of("demo", &foreign).unwrap_err();
            assert_eq!((refused.reason(), refused.is_permanent()), ("Conflict", false));
            assert!(refused.to_string().contains(says), "{refused}");
        }
    }

    #[test]
    fn only_what_the_shop_controls_is_pruned() {
        let pruned = |owner: &Value, annotations: &Value| {
            let metadata = json!({
                "name": "demo-order", "ownerReferences": [owner], "annotations": annotations,
            });
            is_pruned(&there(&metadata), &[], "1")
        };
        let owner = |uid: &str, controller: bool| {
            json!({
                "apiVersion": API_VERSION, "kind": KIND, "name": "demo", "uid": uid,
                "controller": controller,
            })
        };
        assert!(pruned(&owner("1", true), &json!({})));
        assert!(!pruned(&owner("1", false), &json!({})));
        assert!(!pruned(&owner("2", true), &json!({})));
        assert!(!pruned(&owner("1", true), &json!({RETAIN: "true"})));
    }
}
