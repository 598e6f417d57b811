//! How Deployments and `StatefulSet`s are, and why their pods do not come up.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{Api, ResourceExt, api::ListParams, core::DynamicObject};
use serde_json::Value;

use super::Live;
use crate::{
    controller::{
        cluster::{Cluster, answer},
        error::Error,
    },
    status::{Trouble, Workload},
};

const INSTANCE: &str = "app.kubernetes.io/instance";
const COMPONENT: &str = "app.kubernetes.io/component";
/// Pods that are looked at to say why a shop does not come up.
const PODS_MAX: u32 = 200;
/// A container waits for these without anything being wrong.
const USUAL: &[&str] = &["ContainerCreating", "PodInitializing"];

pub(super) async fn of(
    cluster: &Cluster,
    namespace: &str,
    shop: &str,
    live: &Live,
) -> Result<BTreeMap<String, Workload>, Error> {
    let sets = live.objects.iter().filter(|object| {
        let kind = object.types.as_ref().map_or("", |types| types.kind.as_str());
        let ours = object.labels().get(INSTANCE).is_some_and(|instance| instance == shop);
        ours && matches!(kind, "Deployment" | "StatefulSet")
    });
    let mut workloads: BTreeMap<String, Workload> = sets
        .filter_map(|set| Some((set.labels().get(COMPONENT)?.clone(), workload(set))))
        .collect();
    if workloads.values().all(|workload| workload.ready >= workload.wanted) {
        return Ok(workloads);
    }
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let selector = format!("app.kubernetes.io/instance={shop}");
    let parameters = ListParams::default().labels(&selector).limit(PODS_MAX);
    let pods = answer(pods.list(&parameters)).await;
    let pods = pods.map_err(|source| Error::Read { what: "pods".into(), source })?;
    for (component, workload) in &mut workloads {
        if workload.ready < workload.wanted {
            let mut ours =
                pods.items.iter().filter(|pod| pod.labels().get(COMPONENT) == Some(component));
            workload.trouble = ours.find_map(trouble);
        }
    }
    Ok(workloads)
}

fn workload(set: &DynamicObject) -> Workload {
    let number = |value: &Value| value.as_i64().and_then(|n| i32::try_from(n).ok());
    let status = |field: &str| number(&set.data["status"][field]).unwrap_or_default();
    Workload {
        wanted: number(&set.data["spec"]["replicas"]).unwrap_or(1),
        updated: status("updatedReplicas"),
        ready: status("readyReplicas"),
        total: status("replicas"),
        is_current: set.data["status"]["observedGeneration"].as_i64() >= set.metadata.generation,
        trouble: None,
    }
}

fn trouble(pod: &Pod) -> Option<Trouble> {
    let name = pod.name_any();
    let status = pod.status.as_ref()?;
    let statuses = [&status.init_container_statuses, &status.container_statuses];
    let waiting = statuses.into_iter().flatten().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.clone()?;
        let said = waiting.message.clone().or_else(|| last_end(container));
        (!USUAL.contains(&reason.as_str())).then_some((reason, said))
    });
    if let Some((reason, said)) = waiting {
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        let message = format!("{name} does not start ({reason}){said}");
        return Some(Trouble { reason, message });
    }
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let said = unscheduled.message.clone().unwrap_or_default();
    Some(Trouble {
        reason: unscheduled.reason.clone().unwrap_or_else(|| "Unschedulable".into()),
        message: format!("{name} has no node: {said}"),
    })
}

fn last_end(container: &ContainerStatus) -> Option<String> {
    let ended = container.last_state.as_ref()?.terminated.as_ref()?;
    let message = ended.message.as_deref().unwrap_or("see its log").trim();
    Some(format!("it ended with {}, {message}", ended.exit_code))
}
