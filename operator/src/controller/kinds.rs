//! The kinds of objects that a Storefront becomes, as the API server knows them.

use kube::core::{ApiResource, GroupVersionKind};

/// Kinds that are listed, compared and pruned by label. Secrets are not among them: they are read one
/// by one, by name, so that nobody has to be allowed to read all of them.
pub const LISTED: &[(&str, &str, &str)] = &[
    ("", "v1", "ServiceAccount"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("policy", "v1", "PodDisruptionBudget"),
];

/// Kinds of APIs that a cluster may not serve: group, kind.
pub const OPTIONAL: &[(&str, &str)] = &[
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("kafka.strimzi.io", "KafkaTopic"),
    ("kafka.strimzi.io", "KafkaUser"),
];

/// How an object of that `apiVersion` and `kind` is addressed.
pub fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
