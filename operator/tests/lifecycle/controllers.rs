//! What a cluster's own controllers would do: nothing runs them here.

use std::collections::BTreeSet;

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::json;

use crate::{state::objects, world::Place};

/// As if all pods ran.
pub async fn run_pods(place: &Place) {
    for (resource, object) in objects(place).await {
        if !matches!(resource.kind.as_str(), "Deployment" | "StatefulSet") {
            continue;
        }
        let replicas = &object.data["spec"]["replicas"];
        let status = json!({"status": {
            "observedGeneration": object.metadata.generation,
            "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas,
            "availableReplicas": replicas,
        }});
        let api: Api<DynamicObject> =
            Api::namespaced_with(place.client.clone(), &place.namespace, &resource);
        let parameters =
            PatchParams { field_manager: Some("cluster".into()), ..Default::default() };
        // It may be gone meanwhile.
        let _ = api.patch_status(&object.name_any(), &parameters, &Patch::Merge(&status)).await;
    }
}

/// As the garbage collector does: what has owners, none of which is there, goes; what was deleted apart from
/// what belongs to it goes, too.
pub async fn collect_garbage(place: &Place) {
    let there: BTreeSet<String> =
        place.shop().await.and_then(|shop| shop.uid()).into_iter().collect();
    for (resource, object) in objects(place).await {
        let api: Api<DynamicObject> =
            Api::namespaced_with(place.client.clone(), &place.namespace, &resource);
        let owners = object.owner_references();
        let is_garbage =
            !owners.is_empty() && !owners.iter().any(|owner| there.contains(&owner.uid));
        if is_garbage {
            let _ = api.delete(&object.name_any(), &DeleteParams::background()).await;
        }
        release(&api, &object).await;
    }
}

/// Lets go of what waits for what belongs to it.
async fn release(api: &Api<DynamicObject>, object: &DynamicObject) {
    let waits =
        object.finalizers().iter().any(|name| name == "orphan" || name == "foregroundDeletion");
    if object.metadata.deletion_timestamp.is_some() && waits {
        let none = json!({"metadata": {"finalizers": null}});
        let _ = api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(&none)).await;
    }
}

/// Goes on until it is dropped.
pub struct Controllers(tokio::task::JoinHandle<()>);

impl Controllers {
    /// Collects garbage, again and again.
    pub fn start(place: &Place) -> Self {
        let place = place.clone();
        Self(tokio::spawn(async move {
            loop {
                collect_garbage(&place).await;
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }))
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        self.0.abort();
    }
}
