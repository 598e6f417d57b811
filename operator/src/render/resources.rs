//! CPU, memory and disk of a container, with small defaults.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity,
};

use crate::api::Resources;

/// What a part gets when nothing is written.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    pub cpu_request: &'static str,
    pub memory_request: &'static str,
    pub memory_limit: &'static str,
}

/// On the node's own disk a container has its log, which Kubernetes turns over (five files of 10 MiB, by
/// default), and its part of the pod's scratch space; nothing else can be written. The limit is far above
/// both: it is for the node, should something be wrong.
const DISK_REQUEST: &str = "64Mi";
const DISK_LIMIT: &str = "2Gi";

/// CPU has no limit by default: it would slow down without saving anything. Memory always has one.
pub(super) fn resources(written: Option<&Resources>, defaults: Defaults) -> ResourceRequirements {
    let requests = written.and_then(|written| written.requests.as_ref());
    let limits = written.and_then(|written| written.limits.as_ref());
    let text = |value: Option<&crate::api::Scalar>| value.map(ToString::to_string);
    let cpu_request = text(requests.and_then(|list| list.cpu.as_ref()));
    let cpu_limit = text(limits.and_then(|list| list.cpu.as_ref()));
    let memory_request = text(requests.and_then(|list| list.memory.as_ref()));
    let memory_limit = text(limits.and_then(|list| list.memory.as_ref()));
    // A default beside a written number could contradict it.
    let (memory_request, memory_limit) = match (memory_request, memory_limit) {
        (None, None) => (defaults.memory_request.to_owned(), defaults.memory_limit.to_owned()),
        (Some(both), None) | (None, Some(both)) => (both.clone(), both),
        (Some(request), Some(limit)) => (request, limit),
    };
    let cpu_request = match (cpu_request, &cpu_limit) {
        (Some(request), _) => request,
        (None, Some(limit)) => limit.clone(),
        (None, None) => defaults.cpu_request.to_owned(),
    };
    let disk = |amount: &str| quantity("ephemeral-storage", amount.to_owned());
    let requests = [quantity("cpu", cpu_request), quantity("memory", memory_request)];
    let mut requests = BTreeMap::from(requests);
    requests.extend([disk(DISK_REQUEST)]);
    let mut limits = BTreeMap::from([quantity("memory", memory_limit), disk(DISK_LIMIT)]);
    limits.extend(cpu_limit.map(|cpu| quantity("cpu", cpu)));
    ResourceRequirements { requests: Some(requests), limits: Some(limits), claims: None }
}

fn quantity(name: &str, amount: String) -> (String, Quantity) {
    (name.to_owned(), Quantity(amount))
}
