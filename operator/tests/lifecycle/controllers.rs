//! What a cluster's own controllers would do: nothing runs them here.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{state::objects, world::Place};

const LOOK_EVERY: Duration = Duration::from_millis(200);

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
    let shop = place.shop().await.and_then(|shop| shop.uid());
    for (resource, object) in objects(place).await {
        let api: Api<DynamicObject> =
            Api::namespaced_with(place.client.clone(), &place.namespace, &resource);
        let owners = object.owner_references();
        let is_owned = owners.iter().any(|owner| Some(&owner.uid) == shop.as_ref());
        if !owners.is_empty() && !is_owned {
            let _ = api.delete(&object.name_any(), &DeleteParams::background()).await;
        }
    }
}

/// Lets go, again and again, of sets that were deleted apart from their pods, until it is dropped.
pub struct Controllers(JoinHandle<()>);

impl Controllers {
    pub fn start(place: &Place) -> Self {
        let sets = place.api::<StatefulSet>();
        Self(tokio::spawn(async move {
            loop {
                let all = sets.list(&ListParams::default()).await;
                for set in all.into_iter().flat_map(|list| list.items) {
                    if set.metadata.deletion_timestamp.is_some() {
                        let none = json!({"metadata": {"finalizers": null}});
                        let (name, merge) = (set.name_any(), PatchParams::default());
                        let _ = sets.patch(&name, &merge, &Patch::Merge(&none)).await;
                    }
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }))
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        self.0.abort();
    }
}
