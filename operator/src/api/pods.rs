//! What pods are made from and where they run: images, placement, labels, variables. Nothing here can
//! weaken the `restricted` Pod Security Standard: there is no field for a security context or a volume.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Scalar, SecretRef, kubernetes, rules};

/// Where images come from. What is left out is the operator's own choice.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// What goes before the names of the services' images, such as a mirror. Default: the operator's.
    ///
    /// Example: `registry.example.com/storefront` makes `registry.example.com/storefront/storefront-order`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = rules::IMAGE_REGISTRY)]
    pub registry: Option<String>,

    /// Tag of the services' images. Default: the operator's version, so that an upgrade of the
    /// operator rolls the services; a tag written here keeps them.
    ///
    /// Example: `0.1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::IMAGE_TAG)]
    pub tag: Option<String>,

    /// Image of the stand-in for Stripe with its inbox. Default: by `registry` and `tag`, as for the services,
    /// each of which names its own in `spec.services`.
    ///
    /// Example: `registry.example.com/sandbox:1.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::IMAGE)]
    pub sandbox: Option<String>,

    /// When an image is fetched. Default: `IfNotPresent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,

    /// Secrets with the registries' credentials, at most 8. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub pull_secrets: Option<Vec<SecretRef>>,
}

/// When an image is fetched.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(inline)]
pub enum PullPolicy {
    Always,
    #[default]
    IfNotPresent,
    Never,
}

impl PullPolicy {
    /// The word that a container has.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Where pods run. A field written for one part replaces the same field of `spec.placement`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PodPlacement {
    /// Labels that a node must have, at most 32.
    ///
    /// Example: `{kubernetes.io/arch: arm64}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub node_selector: Option<BTreeMap<String, String>>,

    /// Taints of nodes that do not matter, at most 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::schema::<Vec<Toleration>>")]
    pub tolerations: Option<Vec<Toleration>>,

    /// Nodes and neighbours that are wanted or to be kept away from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::schema::<Affinity>")]
    pub affinity: Option<Affinity>,

    /// How instances of one part are spread, at most 32. Without a `labelSelector` a constraint counts
    /// the part's own pods. Default: over zones and nodes, where there are enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::schema::<Vec<TopologySpreadConstraint>>")]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,

    /// Name of a `PriorityClass`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    pub priority_class_name: Option<String>,
}

/// Labels and annotations of pods, for tools that look for them. Those of `app.kubernetes.io` and
/// `storefront.dev` are the operator's.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PodMetadata {
    /// Labels, at most 32.
    ///
    /// Example: `{team: checkout}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub labels: Option<BTreeMap<String, String>>,

    /// Annotations, at most 32.
    ///
    /// Example: `{prometheus.io/scrape: "true"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// What is written on the service accounts, such as the role of a cloud. Pods get no token of the
/// cluster itself.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// Annotations, at most 32.
    ///
    /// Example: `{eks.amazonaws.com/role-arn: "arn:aws:iam::111122223333:role/shop"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The fence around each part, which lets through what the parts need of one another.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Whether `NetworkPolicy` objects are made. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// One variable of a container. What is secret does not belong here: everybody who may look at a pod
/// reads it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EnvVariable {
    /// Its name. The settings that the operator computes cannot be replaced.
    ///
    /// Example: `RUST_LOG`.
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::ENV_NAME)]
    pub name: String,

    /// Its value.
    ///
    /// Example: `info,storefront_runtime=debug`.
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// A scaler that follows CPU. It needs the cluster's metrics server.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::AUTOSCALING_ORDER)]
pub struct Autoscaling {
    /// Fewest instances, 1 to 100. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::AUTOSCALING_COUNT)]
    pub min_replicas: Option<i32>,

    /// Most instances, 1 to 100. More than `kafka.topics.partitions` leaves some consumers idle.
    #[x_kube(validation = rules::AUTOSCALING_COUNT)]
    pub max_replicas: i32,

    /// Percent of the requested CPU that instances should use, 1 to 500. Default: 70.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::CPU_PERCENT)]
    pub cpu_percent: Option<i32>,
}

/// How many instances may be taken away at once when nodes are drained.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DisruptionBudget {
    /// A number, or a percentage such as `25%`. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::MAX_UNAVAILABLE)]
    pub max_unavailable: Option<Scalar>,
}
